import { Writable } from 'node:stream'
import { type Io } from '../../lib/cli/io.js'
import { run } from '../../lib/cli/main.js'

/** What a call left behind. */
export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A stream that remembers what was written. */
export function collector(): Writable & { readonly text: () => string } {
  const parts: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      parts.push(String(chunk))
      done()
    },
  })
  return Object.assign(stream, { text: () => parts.join('') })
}

/** Runs the command line in this process. */
export async function call(
  words: readonly string[],
  io: Partial<Io> & { readonly input?: string } = {},
): Promise<Outcome> {
  const { input = '', ...rest } = io
  const stdout = collector()
  const stderr = collector()
  const stdin = (async function* () {
    yield input
  })()
  const code = await run(words, { stdout, stderr, stdin, ...rest })
  return { code, out: stdout.text(), err: stderr.text() }
}
