import type { Codec } from '../netlink/codec.js'

/**
 * Decodes values that are mostly the one before: flows of one kind have one mask and do the same thing. They then are one object
 * between them, so nobody may change it.
 */
export class Shared<T> {
  readonly #codec: Pick<Codec<T>, 'read'>
  #bytes = new Uint8Array(0)
  #value: T | undefined

  constructor(codec: Pick<Codec<T>, 'read'>) {
    this.#codec = codec
  }

  /** Throws what the codec throws. */
  read(bytes: Uint8Array, start: number, end: number): T {
    if (this.#value !== undefined && isSame(this.#bytes, bytes, start, end)) return this.#value
    const value = this.#codec.read(bytes, start, end)
    this.#bytes = bytes.slice(start, end)
    this.#value = value
    return value
  }
}

function isSame(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  if (a.length !== end - start) return false
  // From the end: what differs is mostly there.
  for (let index = a.length - 1; index >= 0; index--) if (a[index] !== b[start + index]) return false
  return true
}
