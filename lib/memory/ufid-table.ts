import type { FlowWords } from '../../types/flow.js'
import { hash } from './hash.js'

/**
 * A map from 128-bit ids to a few 32-bit words each, or to none, for a million ids. New entries are written one behind the other; what is
 * searched are their numbers, four bytes each with a piece of the hash, so that an id that is not there mostly costs one look
 * at memory that is near, and writing it another one beside the last. There is no object per entry and nothing for the garbage
 * collector to walk. It is cut into shards that grow one at a time, so that no insertion waits for the whole table to be copied.
 *
 * Positions are valid until the next `remove` or `clear`.
 */
export class UfidTable {
  readonly #shards: Shard[]
  #size = 0
  /** What {@link fetch} saw last: without it the compiler might leave out the looking. */
  seen = 0

  /** `words` of 32 bits for every id. */
  constructor(words = 0) {
    this.#shards = Array.from({ length: SHARDS }, () => new Shard(KEY_WORDS + words))
  }

  /** How many ids are there. */
  get size(): number {
    return this.#size
  }

  has(id: FlowWords): boolean {
    return this.find(id) >= 0
  }

  /** Where the id's words are, or -1. */
  find(id: FlowWords): number {
    const hashed = hash(id.w0, id.w1, id.w2, id.w3)
    const number = (this.#shards[hashed & SHARD_BITS] as Shard).find(id, hashed)
    return number === 0 ? -1 : number * SHARDS + (hashed & SHARD_BITS)
  }

  /** Whether the id's words are at a position, which may have come to mean another id's or none. */
  isAt(position: number, id: FlowWords): boolean {
    return (this.#shards[position & SHARD_BITS] as Shard).isAt(position >>> SHARD_SHIFT, id)
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
      seen |= (this.#shards[hashed & SHARD_BITS] as Shard).look(hashed)
    }
    this.seen = seen
  }

  word(position: number, index: number): number {
    return (this.#shards[position & SHARD_BITS] as Shard).word(position >>> SHARD_SHIFT, index)
  }

  setWord(position: number, index: number, value: number): void {
    ;(this.#shards[position & SHARD_BITS] as Shard).setWord(position >>> SHARD_SHIFT, index, value)
  }

  /** Where the id's words are; they are zeros when it is new. */
  insert(id: FlowWords): number {
    const hashed = hash(id.w0, id.w1, id.w2, id.w3)
    const shard = this.#shards[hashed & SHARD_BITS] as Shard
    const before = shard.size
    const number = shard.insert(id, hashed)
    this.#size += shard.size - before
    return number * SHARDS + (hashed & SHARD_BITS)
  }

  /** Notes an id; false when it is there already. */
  add(id: FlowWords): boolean {
    const before = this.#size
    this.insert(id)
    return this.#size > before
  }

  /** Takes the entry at `position` out. */
  remove(position: number): void {
    const shard = this.#shards[position & SHARD_BITS] as Shard
    shard.remove(position >>> SHARD_SHIFT)
    this.#size--
  }

  /** Calls `visit` with the position of every entry; the table must not change meanwhile. */
  each(visit: (id: FlowWords, position: number) => void): void {
    for (const [index, shard] of this.#shards.entries()) {
      for (let number = 1; number <= shard.size; number++) visit(shard.id(number), number * SHARDS + index)
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
  readonly #stride: number
  /** By number from 1 on: the id, then its words. Nothing is in the place of number 0. */
  #entries: Int32Array
  /** What is searched: numbers, with the tag of their hash below; 0 where there is none. Half of them at most are taken. */
  #slots: Int32Array
  #mask = FIRST_SLOTS - 1
  size = 0

  constructor(stride: number) {
    this.#stride = stride
    this.#slots = new Int32Array(FIRST_SLOTS)
    this.#entries = new Int32Array(FIRST_SLOTS * stride)
  }

  /** The id's number, or 0. */
  find(id: FlowWords, hashed: number): number {
    return (this.#slots[this.#probe(id, hashed)] as number) >>> TAG_BITS
  }

  /** The slot that has the id's number, or the free one where it would go. */
  #probe({ w0, w1, w2, w3 }: FlowWords, hashed: number): number {
    const slots = this.#slots
    const entries = this.#entries
    const mask = this.#mask
    const stride = this.#stride
    const tag = hashed >>> TAG_SHIFT
    for (let slot = (hashed >>> SHARD_SHIFT) & mask; ; slot = (slot + 1) & mask) {
      const taken = slots[slot] as number
      if (taken === 0) return slot
      if ((taken & TAG) !== tag) continue
      const at = (taken >>> TAG_BITS) * stride
      if (entries[at] === w0 && entries[at + 1] === w1 && entries[at + 2] === w2 && entries[at + 3] === w3)
        return slot
    }
  }

  isAt(number: number, { w0, w1, w2, w3 }: FlowWords): boolean {
    const entries = this.#entries
    const at = number * this.#stride
    return (
      number > 0 &&
      number <= this.size &&
      entries[at] === w0 &&
      entries[at + 1] === w1 &&
      entries[at + 2] === w2 &&
      entries[at + 3] === w3
    )
  }

  /** What is where a search begins, and in the entry that is named there. */
  look(hashed: number): number {
    const taken = this.#slots[(hashed >>> SHARD_SHIFT) & this.#mask] as number
    // Another id's entry is not looked at by who searches.
    if ((taken & TAG) !== hashed >>> TAG_SHIFT) return 0
    return this.#entries[(taken >>> TAG_BITS) * this.#stride] as number
  }

  word(number: number, index: number): number {
    return this.#entries[number * this.#stride + KEY_WORDS + index] as number
  }

  setWord(number: number, index: number, value: number): void {
    this.#entries[number * this.#stride + KEY_WORDS + index] = value
  }

  id(number: number): FlowWords {
    const entries = this.#entries
    const at = number * this.#stride
    return {
      w0: entries[at] as number,
      w1: entries[at + 1] as number,
      w2: entries[at + 2] as number,
      w3: entries[at + 3] as number,
    }
  }

  insert(id: FlowWords, hashed: number): number {
    if (this.size * 2 > this.#mask) this.#grow()
    const slot = this.#probe(id, hashed)
    const known = (this.#slots[slot] as number) >>> TAG_BITS
    if (known !== 0) return known
    const number = this.size + 1
    if (number * this.#stride === this.#entries.length) this.#extend()
    this.size = number
    this.#slots[slot] = (number << TAG_BITS) | (hashed >>> TAG_SHIFT)
    const entries = this.#entries
    const stride = this.#stride
    const at = number * stride
    entries[at] = id.w0
    entries[at + 1] = id.w1
    entries[at + 2] = id.w2
    entries[at + 3] = id.w3
    for (let word = KEY_WORDS; word < stride; word++) entries[at + word] = 0
    return number
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let number = 1; number <= this.size; number++) {
      const hashed = this.#hashOf(number)
      let slot = (hashed >>> SHARD_SHIFT) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = (number << TAG_BITS) | (hashed >>> TAG_SHIFT)
    }
    this.#slots = slots
    this.#mask = mask
  }

  /** Makes room for half as many entries again: they take more memory than their numbers. */
  #extend(): void {
    const rows = this.#entries.length / this.#stride
    const entries = new Int32Array((rows + (rows >> 1)) * this.#stride)
    entries.set(this.#entries)
    this.#entries = entries
  }

  /** The last entry takes the place of the one that goes. */
  remove(number: number): void {
    this.#free(this.#slotOf(number))
    const last = this.size--
    if (number === last) return
    const stride = this.#stride
    const slot = this.#slotOf(last)
    this.#slots[slot] = (number << TAG_BITS) | ((this.#slots[slot] as number) & TAG)
    this.#entries.copyWithin(number * stride, last * stride, (last + 1) * stride)
  }

  #slotOf(number: number): number {
    const mask = this.#mask
    let slot = this.#home(number)
    while ((this.#slots[slot] as number) >>> TAG_BITS !== number) slot = (slot + 1) & mask
    return slot
  }

  /** Closes the gap, so that look-ups never walk over graves. */
  #free(slot: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let hole = slot
    for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#home((slots[next] as number) >>> TAG_BITS)
      // A number moves up unless its home lies behind the hole.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      slots[hole] = slots[next] as number
      hole = next
    }
    slots[hole] = 0
  }

  clear(): void {
    if (this.size > 0) this.#slots.fill(0)
    this.size = 0
  }

  /** The slot a number would have, were the table empty. */
  #home(number: number): number {
    return (this.#hashOf(number) >>> SHARD_SHIFT) & this.#mask
  }

  #hashOf(number: number): number {
    const entries = this.#entries
    const at = number * this.#stride
    return hash(
      entries[at] as number,
      entries[at + 1] as number,
      entries[at + 2] as number,
      entries[at + 3] as number,
    )
  }
}

const KEY_WORDS = 4
const SHARD_SHIFT = 6
const SHARDS = 1 << SHARD_SHIFT
const SHARD_BITS = SHARDS - 1
const FIRST_SLOTS = 4
/** Of a slot: the upper bits of the hash, which have no part in where its number lies below eight million. The number is above. */
const TAG_BITS = 8
const TAG = (1 << TAG_BITS) - 1
const TAG_SHIFT = 32 - TAG_BITS
