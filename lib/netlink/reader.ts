import { DpifError } from '../errors.js'
import { u16, u32 } from './integers.js'

/** The bits of an attribute's type that are its number; NLA_F_NESTED and NLA_F_NET_BYTEORDER lie above. */
const TYPE_MASK = 0x3fff

/** NLA_F_NESTED, a flag on an attribute's number. */
export const NESTED = 0x8000

/** The number of an attribute as it is written. */
export function wireId({ id, nested }: { readonly id: number; readonly nested?: true }): number {
  return nested === true ? id | NESTED : id
}

/**
 * Walks over the attributes in `bytes[from, to)`: after each `next()` that answers true, `id`, `start` and `end` are the number and
 * the payload's bounds. Throws BAD_MESSAGE when a length points outside: nothing that comes from elsewhere is believed.
 */
export class AttributeCursor {
  readonly bytes: Uint8Array
  id = 0
  start = 0
  end = 0
  #at: number
  readonly #to: number

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.bytes = bytes
    this.#at = from
    this.#to = to
  }

  next(): boolean {
    const at = this.#at
    const left = this.#to - at
    if (left < 4) return this.#leftOver(left)
    const size = u16.take(this.bytes, at)
    if (size < 4 || size > left) {
      throw new DpifError('BAD_MESSAGE', `attribute of ${size} bytes at offset ${at}, with ${left} left`)
    }
    this.id = u16.take(this.bytes, at + 2) & TYPE_MASK
    this.start = at + 4
    this.end = at + size
    this.#at = at + ((size + 3) & ~3)
    return true
  }

  /** Goes on to the next attribute with that number; false when there is none. */
  seek(id: number): boolean {
    while (this.next()) if (this.id === id) return true
    return false
  }

  /** A walk over what the attribute holds. */
  nested(): AttributeCursor {
    return new AttributeCursor(this.bytes, this.start, this.end)
  }

  // Some senders pad the last attribute's nest; anything else is rubbish.
  #leftOver(left: number): false {
    for (let at = this.#at; at < this.#to; at++) {
      if (this.bytes[at] === 0) continue
      throw new DpifError(
        'BAD_MESSAGE',
        `${left} bytes left over at offset ${this.#at} behind the last attribute`,
      )
    }
    return false
  }
}

/** Calls `visit` with number and payload bounds of every attribute in `bytes[start, end)`; throws like {@link AttributeCursor}. */
export function eachAttribute(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (id: number, start: number, end: number) => void,
): void {
  const cursor = new AttributeCursor(bytes, start, end)
  while (cursor.next()) visit(cursor.id, cursor.start, cursor.end)
}

/** Payloads by the number of their attribute. */
export type Found = Pick<ReadonlyMap<number, Uint8Array>, 'get'>

/** Where the attributes of a list lie, by number; of several with one number the last. Throws like {@link AttributeCursor}. */
export class AttributeIndex implements Found {
  readonly bytes: Uint8Array
  /** One entry for each attribute, in order: its number, and where its payload begins and ends. */
  readonly ids: readonly number[]
  readonly starts: readonly number[]
  readonly ends: readonly number[]

  constructor(bytes: Uint8Array, start: number, end: number) {
    const ids: number[] = []
    const starts: number[] = []
    const ends: number[] = []
    const cursor = new AttributeCursor(bytes, start, end)
    while (cursor.next()) {
      ids.push(cursor.id)
      starts.push(cursor.start)
      ends.push(cursor.end)
    }
    this.bytes = bytes
    this.ids = ids
    this.starts = starts
    this.ends = ends
  }

  /** Which entry has that number; -1 when none has. Lists are so short that a map would cost more. */
  find(id: number): number {
    return this.ids.lastIndexOf(id)
  }

  get(id: number): Uint8Array | undefined {
    const at = this.find(id)
    return at < 0 ? undefined : this.bytes.subarray(this.starts[at], this.ends[at])
  }
}

/** Header of a netlink message and where its payload lies. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly seq: number
  /** The buffer the message lies in. */
  readonly bytes: Uint8Array
  /** Where the message begins in `bytes`, header included. */
  readonly start: number
  readonly end: number
}

/** The messages in a buffer, one behind the other. Throws BAD_MESSAGE when a length points outside. */
export function* messagesOf(bytes: Uint8Array): Generator<Message> {
  let at = 0
  while (at < bytes.length) {
    const size = bytes.length - at < 16 ? 0 : u32.take(bytes, at)
    if (size < 16 || at + size > bytes.length) {
      throw new DpifError(
        'BAD_MESSAGE',
        `message of ${size} bytes at offset ${at}, with ${bytes.length - at} left`,
      )
    }
    yield {
      type: u16.take(bytes, at + 4),
      flags: u16.take(bytes, at + 6),
      seq: u32.take(bytes, at + 8),
      bytes,
      start: at,
      end: at + size,
    }
    at += (size + 3) & ~3
  }
}
