import type { FlowWords } from '../../types/flow.js'
import { hash } from './hash.js'

/**
 * Which 128-bit ids were seen, for a million of them. The ids lie one behind the other in the order they came; what is searched are
 * their numbers, four bytes each, so that an id that was not seen mostly costs one look at memory that is near.
 */
export class UfidSet {
  #ids = new Int32Array(FIRST_CAPACITY * 2)
  /** Number of an id from 1 on, 0 where there is none. */
  #slots = new Int32Array(FIRST_CAPACITY)
  #mask = FIRST_CAPACITY - 1
  #size = 0

  /** How many ids were seen. */
  get size(): number {
    return this.#size
  }

  has(id: FlowWords): boolean {
    return this.#slots[this.#probe(id)] !== 0
  }

  /** Notes an id; false when it was seen before. */
  add(id: FlowWords): boolean {
    if (this.#size * 2 > this.#mask) this.#grow()
    const slot = this.#probe(id)
    if (this.#slots[slot] !== 0) return false
    const ids = this.#ids
    const at = this.#size * 4
    ids[at] = id.w0
    ids[at + 1] = id.w1
    ids[at + 2] = id.w2
    ids[at + 3] = id.w3
    this.#slots[slot] = ++this.#size
    return true
  }

  /** Forgets all of them. The room stays for what comes next. */
  clear(): void {
    if (this.#size > 0) this.#slots.fill(0)
    this.#size = 0
  }

  /** The slot that has the id's number, or the free one where it would go. */
  #probe({ w0, w1, w2, w3 }: FlowWords): number {
    const slots = this.#slots
    const ids = this.#ids
    const mask = this.#mask
    for (let slot = hash(w0, w1, w2, w3) & mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot] as number
      if (number === 0) return slot
      const at = number * 4 - 4
      if (ids[at] === w0 && ids[at + 1] === w1 && ids[at + 2] === w2 && ids[at + 3] === w3) return slot
    }
  }

  #grow(): void {
    const old = this.#ids
    this.#mask = this.#mask * 2 + 1
    this.#slots = new Int32Array(this.#mask + 1)
    // At most half of the slots are taken.
    this.#ids = new Int32Array((this.#mask + 1) * 2 + 4)
    this.#ids.set(old)
    for (let number = 1; number <= this.#size; number++) {
      const at = number * 4 - 4
      let slot =
        hash(old[at] as number, old[at + 1] as number, old[at + 2] as number, old[at + 3] as number) &
        this.#mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
      this.#slots[slot] = number
    }
  }
}

const FIRST_CAPACITY = 256
