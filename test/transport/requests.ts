import { endianness } from 'node:os'

// Requests that any Linux answers, with or without Open vSwitch, written out by hand: the transport is tested without
// the rooms above it.

const little = endianness() === 'LE'
const REQUEST = 0x1

/** One framed message; `payload` is padded. */
export function message(type: number, payload: Uint8Array, flags = REQUEST): Uint8Array {
  const length = 16 + payload.length
  const bytes = new Uint8Array((length + 3) & ~3)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, length, little)
  view.setUint16(4, type, little)
  view.setUint16(6, flags, little)
  bytes.set(payload, 16)
  return bytes
}

/** RTM_GETLINK of one interface. Index 1 is `lo` in every network namespace. */
export function getLink(index: number): Uint8Array {
  const ifinfomsg = new Uint8Array(16)
  new DataView(ifinfomsg.buffer).setInt32(4, index, little)
  return message(18, ifinfomsg)
}

/** An interface index that nobody has. */
export const noLink = 0x7ffffff0

/** CTRL_CMD_GETFAMILY: looks a generic netlink family up by its name. */
export function getFamily(name: string): Uint8Array {
  const text = new TextEncoder().encode(`${name}\0`)
  const payload = new Uint8Array(4 + 4 + text.length)
  const view = new DataView(payload.buffer)
  payload.set([3, 1]) // CTRL_CMD_GETFAMILY, version 1
  view.setUint16(4, 4 + text.length, little)
  view.setUint16(6, 2, little) // CTRL_ATTR_FAMILY_NAME
  payload.set(text, 8)
  return message(16, payload)
}

export function concat(messages: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(messages))
}

/** `nlmsg_type` and `nlmsg_seq` of every message in `bytes`. */
export function headers(bytes: Uint8Array): { type: number; index: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = []
  for (let at = 0; at < bytes.length; at += (view.getUint32(at, little) + 3) & ~3) {
    found.push({ type: view.getUint16(at + 4, little), index: view.getUint32(at + 8, little) })
  }
  return found
}
