import type { FlowWords } from '../../types/flow.js'
import { hash } from './hash.js'

/**
 * A map from 128-bit ids to a few 32-bit words, for a million flows: open addressing over typed arrays, 16 bytes of key and 4 of each
 * word an entry, no object per entry and nothing for the garbage collector to walk. It is cut into shards that grow one at a time, so
 * that no insertion waits for the whole table to be copied.
 *
 * An entry is there as long as its first word is not 0. Positions are valid until the next `insert` or `remove`.
 */
export class UfidTable {
  readonly #stride: number
  readonly #shards: Shard[]
  #size = 0
  /** What {@link fetch} saw last: without it the compiler might leave out the looking. */
  seen = 0

  /** `words` of 32 bits for every id, at least one. */
  constructor(words: number) {
    this.#stride = KEY_WORDS + words
    this.#shards = Array.from({ length: SHARDS }, () => new Shard(this.#stride))
  }

  /** How many ids are there. */
  get size(): number {
    return this.#size
  }

  /** Where the id's words are, or -1. */
  find(id: FlowWords): number {
    const hashed = hash(id.w0, id.w1, id.w2, id.w3)
    const shard = this.#shards[hashed & SHARD_BITS] as Shard
    const at = shard.probe(id, hashed)
    return shard.entries[at] === 0 ? -1 : at * SHARDS + (hashed & SHARD_BITS)
  }

  /**
   * Looks at where each of the ids would be, and nothing else. The table of a million flows is in no cache; looks that follow one another
   * closely wait for the memory together, those with work between them one by one.
   */
  fetch(ids: readonly FlowWords[], from = 0, to = ids.length): void {
    let seen = 0
    for (let index = from; index < to; index++) {
      const { w0, w1, w2, w3 } = ids[index] as FlowWords
      const hashed = hash(w0, w1, w2, w3)
      seen |= (this.#shards[hashed & SHARD_BITS] as Shard).first(hashed)
    }
    this.seen = seen
  }

  word(position: number, index: number): number {
    const { entries } = this.#shards[position & SHARD_BITS] as Shard
    return entries[(position >>> SHARD_SHIFT) + index] as number
  }

  /** The first word of an entry never becomes 0; `remove` does that. */
  setWord(position: number, index: number, value: number): void {
    const { entries } = this.#shards[position & SHARD_BITS] as Shard
    entries[(position >>> SHARD_SHIFT) + index] = value
  }

  /** Where the id's words are; they are `first`, then zeros, when it is new. */
  insert(id: FlowWords, first: number): number {
    const hashed = hash(id.w0, id.w1, id.w2, id.w3)
    const shard = this.#shards[hashed & SHARD_BITS] as Shard
    shard.makeRoom()
    const at = shard.probe(id, hashed)
    if (shard.entries[at] === 0) {
      shard.occupy(at, id, first)
      this.#size++
    }
    return at * SHARDS + (hashed & SHARD_BITS)
  }

  /** Takes the entry at `position` out. */
  remove(position: number): void {
    const shard = this.#shards[position & SHARD_BITS] as Shard
    shard.remove(position >>> SHARD_SHIFT)
    this.#size--
  }

  /** Calls `visit` with the position of every entry; the table must not change meanwhile. */
  each(visit: (id: FlowWords, position: number) => void): void {
    for (const [number, { entries }] of this.#shards.entries()) {
      for (let at = KEY_WORDS; at < entries.length; at += this.#stride) {
        if (entries[at] !== 0) visit(wordsAt(entries, at - KEY_WORDS), at * SHARDS + number)
      }
    }
  }

  /** Takes everything out. The room stays for what comes next. */
  clear(): void {
    for (const shard of this.#shards) shard.clear()
    this.#size = 0
  }
}

/** A table of its own, of the ids with the same low bits in their hashes. */
class Shard {
  entries: Int32Array
  readonly #stride: number
  #mask: number
  #size = 0

  constructor(stride: number) {
    this.#stride = stride
    this.#mask = FIRST_CAPACITY - 1
    this.entries = new Int32Array(FIRST_CAPACITY * stride)
  }

  /** The position of the id's first word, or of the free one where it would go. */
  probe({ w0, w1, w2, w3 }: FlowWords, hashed: number): number {
    const entries = this.entries
    const stride = this.#stride
    const mask = this.#mask
    for (let slot = (hashed >>> SHARD_SHIFT) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * stride
      if (entries[at + KEY_WORDS] === 0) return at + KEY_WORDS
      if (entries[at] === w0 && entries[at + 1] === w1 && entries[at + 2] === w2 && entries[at + 3] === w3) {
        return at + KEY_WORDS
      }
    }
  }

  /** What is where {@link probe} begins. */
  first(hashed: number): number {
    return this.entries[((hashed >>> SHARD_SHIFT) & this.#mask) * this.#stride] as number
  }

  occupy(at: number, { w0, w1, w2, w3 }: FlowWords, first: number): void {
    const entries = this.entries
    entries[at - 4] = w0
    entries[at - 3] = w1
    entries[at - 2] = w2
    entries[at - 1] = w3
    entries[at] = first
    this.#size++
  }

  /** Closes the gap, so that look-ups never walk over graves. */
  remove(position: number): void {
    const entries = this.entries
    const stride = this.#stride
    const mask = this.#mask
    let hole = (position - KEY_WORDS) / stride
    for (let next = (hole + 1) & mask; entries[next * stride + KEY_WORDS] !== 0; next = (next + 1) & mask) {
      const home = this.#home(entries, next * stride)
      // An entry moves up unless its home lies behind the hole.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      entries.copyWithin(hole * stride, next * stride, (next + 1) * stride)
      hole = next
    }
    entries.fill(0, hole * stride, (hole + 1) * stride)
    this.#size--
  }

  clear(): void {
    if (this.#size > 0) this.entries.fill(0)
    this.#size = 0
  }

  /** Grows when two thirds are taken. */
  makeRoom(): void {
    if (this.#size * 3 < (this.#mask + 1) * 2) return
    const old = this.entries
    const stride = this.#stride
    this.#mask = this.#mask * 2 + 1
    this.entries = new Int32Array((this.#mask + 1) * stride)
    for (let at = 0; at < old.length; at += stride) {
      if (old[at + KEY_WORDS] === 0) continue
      let slot = this.#home(old, at)
      while (this.entries[slot * stride + KEY_WORDS] !== 0) slot = (slot + 1) & this.#mask
      for (let word = 0; word < stride; word++) this.entries[slot * stride + word] = old[at + word] as number
    }
  }

  /** The slot the entry at `at` of `entries` would have, were the table empty. */
  #home(entries: Int32Array, at: number): number {
    const { w0, w1, w2, w3 } = wordsAt(entries, at)
    return (hash(w0, w1, w2, w3) >>> SHARD_SHIFT) & this.#mask
  }
}

function wordsAt(entries: Int32Array, at: number): FlowWords {
  return {
    w0: entries[at] as number,
    w1: entries[at + 1] as number,
    w2: entries[at + 2] as number,
    w3: entries[at + 3] as number,
  }
}

const KEY_WORDS = 4
const SHARD_SHIFT = 6
const SHARDS = 1 << SHARD_SHIFT
const SHARD_BITS = SHARDS - 1
const FIRST_CAPACITY = 4
