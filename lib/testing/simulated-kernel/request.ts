import { beginMessage, endMessage } from '../../netlink/message.js'
import { u16 } from '../../netlink/integers.js'
import type { Message } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import type { Span } from './attributes.js'

/** One message on its way through the kernel. */
export interface Request {
  readonly message: Message
  /** Everything behind the family's fixed header. */
  readonly attributes: Span
  /** Sends an answer to whoever asked. */
  reply(message: Uint8Array): void
}

/** One framed message of the kernel's own. */
export function frame(type: number, flags: number, write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(256)
  const at = beginMessage(writer, type, 0)
  // beginMessage() makes requests; this is an answer.
  u16.put(writer.bytes, at + 6, flags)
  write(writer)
  endMessage(writer, at)
  return writer.take()
}

/** Appends one attribute. */
export function put(writer: Writer, id: number, data: ArrayLike<number>): void {
  const at = writer.begin(id)
  writer.append(data instanceof Uint8Array ? data : Uint8Array.from(data))
  writer.end(at)
}

/** Appends an attribute that holds others. */
export function nest(writer: Writer, id: number, write: () => void): void {
  const at = writer.begin(id)
  write()
  writer.end(at)
}
