import { u16 } from '../../netlink/integers.js'
import { refuse } from './errors.js'

/** Where the payload of an attribute lies. */
export interface Span {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** The payload's bytes, without copying them. */
export function payload({ bytes, start, end }: Span): Uint8Array {
  return bytes.subarray(start, end)
}

/**
 * Walks the attributes as nla_for_each_attr() does: it stops at the first that is not whole. Returns how many bytes were left,
 * which the strict parsers of openvswitch hold against the sender and the others do not.
 */
export function walk(
  { bytes, start, end }: Span,
  visit: (type: number, span: Span, flags: number) => void,
): number {
  let at = start
  while (end - at >= 4) {
    const size = u16.take(bytes, at)
    if (size < 4 || size > end - at) break
    const type = u16.take(bytes, at + 2)
    visit(type & 0x3fff, { bytes, start: at + 4, end: at + size }, type & 0xc000)
    at += (size + 3) & ~3
  }
  return Math.max(end - at, 0)
}

/** What an attribute's payload has to be: at least so many bytes, or a string of at most so many characters. */
export type Policy = Readonly<Record<number, { readonly min: number } | { readonly string: number }>>

/**
 * Attributes by number, as nla_parse_deprecated() finds them: the last of several counts, unknown ones are skipped, longer
 * payloads are fine.
 */
export function parse(span: Span, policy: Policy = {}, origin = span.start): Map<number, Span> {
  const found = new Map<number, Span>()
  walk(span, (type, attribute) => {
    const rule = policy[type]
    const offset = attribute.start - 4 - origin
    const length = attribute.end - attribute.start
    if (rule !== undefined && 'min' in rule && length < rule.min) {
      refuse('ERANGE', 'Attribute failed policy validation', offset)
    }
    if (rule !== undefined && 'string' in rule) {
      const text = payload(attribute)
      const nul = text.indexOf(0)
      if (nul < 0 || nul > rule.string) refuse('EINVAL', 'Attribute failed policy validation', offset)
    }
    found.set(type, attribute)
  })
  return found
}

/** Whether no bit is set. */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

/** The bits of `value` that `mask` keeps. */
export function masked(value: Uint8Array, mask: Uint8Array): Uint8Array {
  return value.map((byte, index) => byte & (mask[index] as number))
}

/** Bytes as something a Map can be keyed by. */
export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
