import type { MatchBits } from '../../types/dpif.js'
import type { FlowKey, Match } from '../../types/flow.js'
import type { Codec } from '../netlink/codec.js'
import { AttributeSet } from '../netlink/table.js'
import { Writer } from '../netlink/writer.js'
import { flowKey } from './key.js'

type Bits = { readonly value: Uint8Array; readonly mask: Uint8Array }

/**
 * What is matched, attribute by attribute, as bytes: the name of an attribute within others is a path, as `encap.ipv4`. What does not
 * count is not there, or 0. Two matches have packets in common unless they differ in a bit that counts for both.
 */
export function bitsOf({ key, mask }: Required<Match>): MatchBits {
  const found = new Map<string, Bits>()
  collect(flowKey as unknown as AttributeSet<object>, key, mask, '', found)
  return found
}

function collect(
  set: AttributeSet<object>,
  key: object,
  mask: object,
  path: string,
  found: Map<string, Bits>,
) {
  const [values, bits] = [key as Record<string, unknown>, mask as Record<string, unknown>]
  for (const { name, codec } of set.rows) {
    if (bits[name] === undefined) continue
    const at = `${path}${name}`
    const inner = 'target' in codec ? (codec.target as Codec<unknown>) : codec
    if (inner instanceof AttributeSet) {
      collect(inner, (values[name] as object | undefined) ?? {}, bits[name] as object, `${at}.`, found)
      continue
    }
    const counting = payload(codec, bits[name])
    if (counting.every((byte) => byte === 0)) continue
    const whole = values[name] === undefined ? new Uint8Array() : payload(codec, values[name])
    found.set(at, { value: counting.map((byte, index) => byte & (whole[index] ?? 0)), mask: counting })
  }
  for (const { id, data } of (mask as FlowKey).unknown ?? []) {
    const value = (key as FlowKey).unknown?.find((other) => other.id === id)?.data ?? new Uint8Array()
    found.set(`${path}${id}`, { value: data.map((byte, index) => byte & (value[index] ?? 0)), mask: data })
  }
}

function payload(codec: Codec<unknown>, value: unknown): Uint8Array {
  const writer = new Writer(64)
  codec.write(writer, value)
  return writer.take()
}
