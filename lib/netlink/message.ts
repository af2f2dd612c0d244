import type { Codec } from './codec.js'
import { u16, u32 } from './integers.js'
import { type Message, messagesOf } from './reader.js'
import type { Writer } from './writer.js'

/** Flags of `nlmsghdr` (linux/netlink.h). CREATE, EXCL and REPLACE are for requests that make something, DUMP for those that list. */
export const flags = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  ECHO: 0x8,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
} as const

/** Control messages every family shares (linux/netlink.h). */
export const control = { ERROR: 2, DONE: 3 } as const

export const HEADER_SIZE = 16

/**
 * What a family's messages look like behind `nlmsghdr`: a fixed header, then attributes. `write` and `read` are pure; sequence
 * number and port id stay zero for the transport to fill in.
 */
export interface MessageForm<Header, Body> {
  readonly header: Codec<Header> & { readonly size: number }
  readonly body: Codec<Body>
}

/** Appends one framed message to `writer`. */
export function writeMessage<Header, Body>(
  writer: Writer,
  form: MessageForm<Header, Body>,
  message: { readonly type: number; readonly flags: number; readonly header: Header; readonly body: Body },
): void {
  const at = beginMessage(writer, message.type, message.flags)
  form.header.write(writer, message.header)
  form.body.write(writer, message.body)
  endMessage(writer, at)
}

/** Begins a message whose payload follows; close it with {@link endMessage}. Always a request. */
export function beginMessage(writer: Writer, type: number, messageFlags: number): number {
  const at = writer.reserve(HEADER_SIZE)
  u16.put(writer.bytes, at + 4, type)
  u16.put(writer.bytes, at + 6, messageFlags | flags.REQUEST)
  return at
}

export function endMessage(writer: Writer, at: number): void {
  writer.align()
  u32.put(writer.bytes, at, writer.length - at)
}

/** Gives every message in `bytes` another type. */
export function retype(bytes: Uint8Array, type: number): void {
  for (const { start } of messagesOf(bytes)) u16.put(bytes, start + 4, type)
}

/** Decodes header and body. Throws BAD_MESSAGE on bytes that are neither. */
export function readMessage<Header, Body>(
  form: MessageForm<Header, Body>,
  message: Message,
): { readonly header: Header; readonly body: Body } {
  const from = message.start + HEADER_SIZE
  const split = Math.min(from + form.header.size, message.end)
  return {
    header: form.header.read(message.bytes, from, split),
    body: form.body.read(message.bytes, split, message.end),
  }
}
