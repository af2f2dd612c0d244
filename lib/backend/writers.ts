import { Writer } from '../netlink/writer.js'

/** Writers that serve one batch after another: fresh memory costs a page fault for every 4 KiB. */
export class Writers {
  readonly #spare: Writer[] = []

  /** An empty one, which is the caller's until it is given back. */
  take(): Writer {
    return this.#spare.pop() ?? new Writer(FIRST_ROOM)
  }

  give(writer: Writer): void {
    writer.reset()
    if (this.#spare.length < MOST_SPARE) this.#spare.push(writer)
  }
}

const FIRST_ROOM = 64 * 1024
/** So many batches are written at the same time, mostly. */
const MOST_SPARE = 4
