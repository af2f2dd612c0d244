import { DpifError } from '../errors.js'
import { u16, u32 } from './integers.js'

/** The bits of an attribute's type that are its number; NLA_F_NESTED and NLA_F_NET_BYTEORDER lie above. */
const TYPE_MASK = 0x3fff

/**
 * Calls `visit` with number and payload bounds of every attribute in `bytes[start, end)`. Throws BAD_MESSAGE when a length points
 * outside: nothing that comes from elsewhere is believed.
 */
export function eachAttribute(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (id: number, start: number, end: number) => void,
): void {
  let at = start
  while (at < end) {
    if (end - at < 4) {
      // Some senders pad the last attribute's nest; anything else is rubbish.
      if (bytes.subarray(at, end).every((byte) => byte === 0)) return
      throw new DpifError(
        'BAD_MESSAGE',
        `${end - at} bytes left over at offset ${at} behind the last attribute`,
      )
    }
    const size = u16.take(bytes, at)
    if (size < 4 || at + size > end) {
      throw new DpifError('BAD_MESSAGE', `attribute of ${size} bytes at offset ${at}, with ${end - at} left`)
    }
    visit(u16.take(bytes, at + 2) & TYPE_MASK, at + 4, at + size)
    at += (size + 3) & ~3
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
