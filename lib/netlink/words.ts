import { DpifError } from '../errors.js'
import { LITTLE } from './writer.js'

/**
 * A page of netlink messages as words in host order, which is what most of it is made of: lengths, types, counters. Everything in it
 * lies at multiples of 4, so a word is one load.
 */
export class Words {
  readonly length: number
  readonly #w32: Int32Array
  readonly #w16: Uint16Array

  constructor(bytes: Uint8Array) {
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
    this.length = bytes.length & ~3
    this.#w32 = new Int32Array(aligned.buffer, aligned.byteOffset, this.length >> 2)
    this.#w16 = new Uint16Array(aligned.buffer, aligned.byteOffset, this.length >> 1)
  }

  /** The word at a byte offset that is a multiple of 4, as a signed integer. */
  at(offset: number): number {
    return this.#w32[offset >> 2] as number
  }

  /** The lower half of a 64-bit number. */
  low(offset: number): number {
    return this.at(offset + LOW)
  }

  /** The upper half of a 64-bit number. */
  high(offset: number): number {
    return this.at(offset + HIGH)
  }

  /** Where the message at `offset` ends, without padding. Throws BAD_MESSAGE when its length cannot be. */
  messageEnd(offset: number, least: number): number {
    const size = this.length - offset < 16 ? 0 : this.at(offset)
    if (size < least || size > this.length - offset) {
      throw new DpifError(
        'BAD_MESSAGE',
        `a message of ${size} bytes at offset ${offset} of a page of ${this.length}`,
      )
    }
    return offset + size
  }

  /** The length of the attribute at `offset`, with its header. Throws BAD_MESSAGE when it cannot lie before `end`. */
  attributeSize(offset: number, end: number): number {
    const size = this.#w16[offset >> 1] as number
    if (size < 4 || size > end - offset) {
      throw new DpifError(
        'BAD_MESSAGE',
        `attribute of ${size} bytes at offset ${offset}, with ${end - offset} left`,
      )
    }
    return size
  }

  /** The number of the attribute at `offset`, without its flags. */
  attributeId(offset: number): number {
    return (this.#w16[(offset >> 1) + 1] as number) & 0x3fff
  }
}

const LOW = LITTLE ? 0 : 4
const HIGH = 4 - LOW

/** `size` with the padding that follows it. */
export const padded = (size: number): number => (size + 3) & ~3
