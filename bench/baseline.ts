import { type ChildProcessByStdio, execFile, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

// The C programs that say what the kernel can do. They are compiled when they are first needed, and again when their
// text changes.

export const programs = ['limit', 'ovs-way', 'receive'] as const
export type Program = (typeof programs)[number]

/** What a program prints. */
export interface BaselineResult {
  readonly messages: number
  readonly ns: number
  readonly failures: number
  /** Of the first failure; 0 without one. */
  readonly errno: number
  /** When each of the equal parts that were asked for was done, in nanoseconds. */
  readonly segments?: readonly number[]
  readonly userUs: number
  readonly kernelUs: number
}

const run = promisify(execFile)

/** Runs a program that takes one turn and answers what it printed. */
export async function baseline(program: 'ovs-way', args: readonly string[]): Promise<BaselineResult> {
  const { stdout } = await run(compiled(program), [...args])
  return JSON.parse(stdout) as BaselineResult
}

/** A program that takes a turn whenever it is told to. One process serves all turns; `netlink.h` says why. */
export class Baseline {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #lines: AsyncIterator<string>
  readonly #problem: Promise<string>

  constructor(program: 'limit' | 'receive', args: readonly string[]) {
    this.#child = spawn(compiled(program), [...args], { stdio: 'pipe' })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    this.#problem = text(this.#child.stderr)
    // Told by the turn that gets no answer.
    this.#child.stdin.on('error', () => {})
  }

  /** Takes a turn and answers what was printed. */
  async turn(): Promise<BaselineResult> {
    this.#child.stdin.write('\n')
    const { value, done } = await this.#lines.next()
    if (done) throw new Error((await this.#problem) || 'the C program ended before its turn')
    return JSON.parse(value) as BaselineResult
  }

  end(): void {
    this.#child.stdin.end()
  }
}

/** The path of the compiled program. Throws when there is no compiler. */
export function compiled(program: Program): string {
  const folder = sources()
  const text = ['netlink.h', `${program}.c`].map((name) => readFileSync(path.join(folder, name)))
  const hash = createHash('sha256').update(Buffer.concat(text)).digest('hex').slice(0, 12)
  const name = `${program}-${hash}`
  const found = places(folder).find((place) => existsSync(path.join(place, name)))
  if (found !== undefined) return path.join(found, name)
  const place = places(folder).find(isWritable)
  if (place === undefined) throw new Error(`cannot compile ${program}.c: no place to write to`)
  const file = path.join(place, name)
  compile(path.join(folder, `${program}.c`), file)
  return file
}

function compile(source: string, file: string): void {
  // Compiled aside and renamed: two benchmarks may start at once.
  const aside = `${file}.${process.pid}`
  const cc = process.env.CC || 'cc'
  const result = spawnSync(cc, ['-O2', '-o', aside, source], { encoding: 'utf8' })
  if (result.error !== undefined) {
    throw new Error(
      `cannot compile ${source}: there is no C compiler ('${cc}'); install gcc, or leave the limit out with --no-limit --beside 0`,
    )
  }
  if (result.status !== 0) throw new Error(`cannot compile ${source}: ${result.stderr.trim()}`)
  renameSync(aside, file)
}

function sources(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url))
  // Walked, not counted: this file lies one level deeper in dist/ than in the sources.
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return path.join(folder, 'bench', 'baseline')
}

function places(folder: string): string[] {
  const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache')
  return [path.join(folder, '..', '..', 'build', 'bench'), path.join(cache, 'dpif-hw-acc', 'bench')]
}

function isWritable(place: string): boolean {
  try {
    mkdirSync(place, { recursive: true })
    accessSync(place, constants.W_OK)
    return true
  } catch {
    return false
  }
}
