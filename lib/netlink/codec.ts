import type { Scanner } from './scanner.js'
import type { Writer } from './writer.js'

/**
 * One kind of value in an attribute's payload. Byte order, width and text form belong to the codec, never to its caller.
 */
export interface Codec<T> {
  /** Payload size in bytes, or undefined when it varies. */
  readonly size: number | undefined
  /** Appends the payload, without attribute header and padding. */
  write(writer: Writer, value: T): void
  /** Reads the payload in `bytes[start, end)`. Throws BAD_MESSAGE when its length cannot be right. */
  read(bytes: Uint8Array, start: number, end: number): T
  /** Values that tests, fuzzers and benchmarks try. */
  readonly samples: readonly T[]
}

/** A value of fixed size that can be written in place, compared with nothing-set and all-set, and spelled. */
export interface Scalar<T> extends Codec<T> {
  readonly size: number
  /** The mask under which nothing counts, and the value of a part that is left out. */
  readonly zero: T
  /** The mask under which everything counts. */
  readonly ones: T
  put(bytes: Uint8Array, at: number, value: T): void
  take(bytes: Uint8Array, at: number): T
  /** As ovs-dpctl prints the value. */
  format(value: T): string
  /** As ovs-dpctl prints the mask after the slash. */
  formatMask(mask: T): string
  parse(scanner: Scanner): T
  parseMask(scanner: Scanner): T
}

/** The same bytes, spelled differently. */
export function spelled<T>(
  scalar: Scalar<T>,
  text: Partial<Pick<Scalar<NoInfer<T>>, 'format' | 'formatMask'>>,
): Scalar<T> {
  return { ...scalar, ...text }
}
