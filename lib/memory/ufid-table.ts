/**
 * A map from 128-bit ids to a few 32-bit words, for a million flows: open addressing over one typed array, 16 bytes of key and 4 of
 * each word an entry, no object per entry and nothing for the garbage collector to walk.
 *
 * An entry is there as long as its first word is not 0. Positions are valid until the next `insert` or `remove`.
 */
export class UfidTable {
  readonly #stride: number
  #entries: Uint32Array
  #mask: number
  #size = 0

  /** `words` of 32 bits for every id, at least one. */
  constructor(words: number, capacity = 64) {
    this.#stride = KEY_WORDS + words
    this.#mask = 2 ** Math.ceil(Math.log2(capacity)) - 1
    this.#entries = new Uint32Array((this.#mask + 1) * this.#stride)
  }

  /** How many ids are there. */
  get size(): number {
    return this.#size
  }

  /** Where the id's words are, or -1. */
  find(id: Uint32Array): number {
    const at = this.#probe(id)
    return this.#entries[at] === 0 ? -1 : at
  }

  word(position: number, index: number): number {
    return this.#entries[position + index] as number
  }

  /** The first word of an entry never becomes 0; `remove` does that. */
  setWord(position: number, index: number, value: number): void {
    this.#entries[position + index] = value
  }

  /** Where the id's words are; they are `first`, then zeros, when it is new. */
  insert(id: Uint32Array, first: number): number {
    if (this.#size * 3 >= (this.#mask + 1) * 2) this.#grow()
    const at = this.#probe(id)
    const entries = this.#entries
    if (entries[at] !== 0) return at
    const key = at - KEY_WORDS
    entries[key] = id[0] as number
    entries[key + 1] = id[1] as number
    entries[key + 2] = id[2] as number
    entries[key + 3] = id[3] as number
    entries[at] = first
    this.#size++
    return at
  }

  /** Takes the entry at `position` out and closes the gap, so that look-ups never walk over graves. */
  remove(position: number): void {
    const entries = this.#entries
    const stride = this.#stride
    let hole = (position - KEY_WORDS) / stride
    for (
      let next = (hole + 1) & this.#mask;
      entries[next * stride + KEY_WORDS] !== 0;
      next = (next + 1) & this.#mask
    ) {
      const home = hash(entries, next * stride) & this.#mask
      // An entry moves up unless its home lies behind the hole.
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue
      entries.copyWithin(hole * stride, next * stride, (next + 1) * stride)
      hole = next
    }
    entries.fill(0, hole * stride, (hole + 1) * stride)
    this.#size--
  }

  /** Calls `visit` with the id (valid during the call) and the position of every entry; the table must not change meanwhile. */
  each(visit: (id: Uint32Array, position: number) => void): void {
    for (let at = 0; at < this.#entries.length; at += this.#stride) {
      if (this.#entries[at + KEY_WORDS] !== 0)
        visit(this.#entries.subarray(at, at + KEY_WORDS), at + KEY_WORDS)
    }
  }

  clear(): void {
    this.#mask = 63
    this.#entries = new Uint32Array(64 * this.#stride)
    this.#size = 0
  }

  /** The position of the id's first word, or of the free one where it would go. */
  #probe(id: Uint32Array): number {
    const entries = this.#entries
    const stride = this.#stride
    const a = id[0]
    const b = id[1]
    const c = id[2]
    const d = id[3]
    for (let slot = hash(id, 0) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * stride
      if (entries[at + KEY_WORDS] === 0) return at + KEY_WORDS
      if (entries[at] === a && entries[at + 1] === b && entries[at + 2] === c && entries[at + 3] === d) {
        return at + KEY_WORDS
      }
    }
  }

  #grow(): void {
    const old = this.#entries
    this.#mask = this.#mask * 2 + 1
    this.#entries = new Uint32Array((this.#mask + 1) * this.#stride)
    for (let at = 0; at < old.length; at += this.#stride) {
      if (old[at + KEY_WORDS] === 0) continue
      let slot = hash(old, at) & this.#mask
      while (this.#entries[slot * this.#stride + KEY_WORDS] !== 0) slot = (slot + 1) & this.#mask
      for (let word = 0; word < this.#stride; word++) {
        this.#entries[slot * this.#stride + word] = old[at + word] as number
      }
    }
  }
}

const KEY_WORDS = 4

// People number ufids by hand, so every bit has to reach the low ones (the finaliser of MurmurHash3 over the folded words).
function hash(words: Uint32Array, at: number): number {
  let h = (words[at] as number) ^ Math.imul(words[at + 1] as number, 0x9e3779b1)
  h ^= Math.imul(words[at + 2] as number, 0x85ebca77) ^ Math.imul(words[at + 3] as number, 0xc2b2ae3d)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
