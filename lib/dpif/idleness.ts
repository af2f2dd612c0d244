import type { SweptPage } from '../../types/backend.js'
import { UfidTable } from '../memory/ufid-table.js'
import { forget, MISSED } from './history.js'

/** Times are milliseconds on CLOCK_MONOTONIC, modulo 2^32. */
const word = { bits: 0, packets: 1, since: 2 } as const

/**
 * Which flows no packet hits, look by look, by their counters alone: what a backend says of the time of the last packet is taken where
 * it says it, and not needed. 28 bytes a flow in a table.
 */
export class Idleness {
  readonly #table = new UfidTable(Object.keys(word).length)
  #look = 0

  begin(): void {
    this.#look = (this.#look + 1) & LOOKS
  }

  /**
   * Notes what a flow of a page has counted. Answers how many looks in a row, this one among them, have found that no packet has hit it
   * for `idleMs`.
   */
  note(page: SweptPage, index: number, now: number, idleMs: number): number {
    const table = this.#table
    const id = page.words(index)
    const packets = Number(BigInt.asIntN(32, page.packets[index] as bigint))
    const before = table.size
    const at = table.insert(id)
    const isNew = table.size > before
    const old = table.word(at, word.bits)
    if (isNew || table.word(at, word.packets) !== packets) {
      table.setWord(at, word.packets, packets)
      table.setWord(at, word.since, now | 0)
    }
    const used = page.used[index] as number
    // What was hit before the first look has been idle since then.
    const since = used > 0 && isNew ? used : now - ((now - table.word(at, word.since)) >>> 0)
    if (used > 0 && isNew) table.setWord(at, word.since, used | 0)
    const isIdle = now - since >= idleMs
    const count = isIdle ? Math.min(COUNTS, ((old >>> COUNT_SHIFT) & COUNTS) + 1) : 0
    table.setWord(at, word.bits, (old & UNNAMED) | (this.#look << LOOK_SHIFT) | (count << COUNT_SHIFT))
    return (old & UNNAMED) === 0 ? count : 0
  }

  /** The kernel knows no such ufid: the flow was put without one. */
  unnamed(id: Parameters<UfidTable['find']>[0]): void {
    const at = this.#table.find(id)
    if (at >= 0) this.#table.setWord(at, word.bits, this.#table.word(at, word.bits) | UNNAMED)
  }

  end(): void {
    forget(this.#table, (at) => {
      const seen = (this.#table.word(at, word.bits) >>> LOOK_SHIFT) & LOOKS
      return ((this.#look - seen) & LOOKS) >= MISSED
    })
  }
}

const UNNAMED = 1
const COUNT_SHIFT = 4
const COUNTS = 0xf
const LOOK_SHIFT = 8
const LOOKS = 0xff
