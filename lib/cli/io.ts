import type { Transport } from '../index.js'

/** What a run of the command line reads from and writes to; tests bring their own. */
export interface Io {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly stdin: AsyncIterable<Uint8Array | string>
  /** The kernel to talk to; this machine's when left out. Stays open. */
  readonly transport?: Transport
  /** Milliseconds on CLOCK_MONOTONIC, which flows count their last use on. */
  readonly now?: () => number
  /** Whether somebody watches stderr, so that long work shows how far it is. */
  readonly isTTY?: boolean
  /** Has `stop` called when somebody wants work without an end to end; answers what takes that back. */
  readonly onInterrupt?: (stop: () => void) => () => void
}

/**
 * Lines on their way to stdout, some at a time. When the reader has gone, what follows is dropped: work that changes a kernel is
 * still finished, and a dump looks at `closed` and stops.
 */
export class Output {
  readonly #stream: NodeJS.WritableStream
  readonly #gone: Promise<void>
  #error: NodeJS.ErrnoException | undefined
  #text = ''

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream
    this.#gone = new Promise((resolve) => {
      stream.on('error', (error: NodeJS.ErrnoException) => {
        this.#error ??= error
        resolve()
      })
    })
  }

  /** Nobody reads any more. */
  get closed(): boolean {
    return this.#error !== undefined
  }

  /** What went wrong; a reader that had enough is no error. */
  get error(): Error | undefined {
    return this.#error?.code === 'EPIPE' ? undefined : this.#error
  }

  line(text: string): void | Promise<void> {
    return this.write(`${text}\n`)
  }

  write(text: string): void | Promise<void> {
    this.#text += text
    if (this.#text.length >= CHUNK) return this.flush()
  }

  async flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    if (text === '' || this.closed) return
    if (this.#stream.write(text)) return
    let drained = () => {}
    const room = new Promise<void>((resolve) => {
      drained = resolve
      this.#stream.once('drain', drained)
    })
    await Promise.race([room, this.#gone])
    this.#stream.removeListener('drain', drained)
  }
}

const CHUNK = 32768

/** "4096 of 100000", kept up to date in place where somebody watches. */
export class Progress {
  readonly #io: Io
  #shown = false

  constructor(io: Io) {
    this.#io = io
  }

  show(done: number, total: number): void {
    if (this.#io.isTTY !== true) return
    this.#shown = true
    this.#io.stderr.write(`\rhwacc: ${done} of ${total} flows`)
  }

  /** Leaves the line as it was. */
  end(): void {
    if (this.#shown) this.#io.stderr.write('\r\x1b[K')
    this.#shown = false
  }
}
