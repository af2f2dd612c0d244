import { readFile } from 'node:fs/promises'
import { CliError } from './error.js'
import type { Io } from './io.js'

/** The text of a file, or of stdin for `-`. */
export async function readText(file: string, { stdin }: Pick<Io, 'stdin'>): Promise<string> {
  if (file === '-') {
    const parts: Buffer[] = []
    for await (const part of stdin) parts.push(Buffer.from(part as string))
    return Buffer.concat(parts).toString('utf8')
  }
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new CliError(`cannot read '${file}': ${reasons[code ?? ''] ?? message}`)
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
}
