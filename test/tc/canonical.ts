import { ipv4, ipv6, mac } from '../../lib/netlink/addresses.js'
import { be32 } from '../../lib/netlink/integers.js'
import type { Scalar } from '../../lib/netlink/codec.js'
import type { FlowKey } from '../../types/flow.js'

/**
 * A match as what it says: every part of which a bit counts, with these bits and their values. Two matches that look the same so
 * match the same packets.
 */
export function canonical(key: FlowKey, mask: FlowKey): Record<string, string> {
  const said: Record<string, string> = {}
  walk('', key, mask, said)
  return said
}

function walk(path: string, key: unknown, mask: unknown, said: Record<string, string>): void {
  if (typeof mask === 'object' && mask !== null && !(mask instanceof Uint8Array)) {
    for (const [name, bits] of Object.entries(mask)) {
      const value = (key as Record<string, unknown> | undefined)?.[name]
      walk(path === '' ? name : `${path}.${name}`, value, bits, said)
    }
    return
  }
  const bits = numberOf(mask)
  const value = numberOf(key) & bits
  // A flag of a tunnel is its own mask, whatever it holds; so is that there is a key, or that there are options.
  if (bits !== 0n) said[path] = `${value.toString(16)}/${bits.toString(16)}`
}

function numberOf(value: unknown): bigint {
  if (value === undefined) return 0n
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return BigInt(value)
  if (value === true) return 1n
  if (value instanceof Uint8Array) return BigInt(`0x0${Buffer.from(value).toString('hex')}`)
  const text = String(value)
  const codec: Scalar<string> =
    text.includes('.') && !text.includes(':')
      ? ipv4
      : text.length === 17 && text.split(':').length === 6
        ? mac
        : ipv6
  const bytes = new Uint8Array(codec.size)
  codec.put(bytes, 0, text)
  return numberOf(bytes)
}

/** The bytes under a mask of a scalar: all of nothing, all of everything, each bit alone, and some at random. */
export function tortures<T>(codec: Scalar<T>, random: () => number, count = 20): T[] {
  const bits = codec.size * 8
  const found: T[] = [codec.zero, codec.ones]
  for (let bit = 0; bit < bits; bit++) {
    const bytes = new Uint8Array(codec.size)
    bytes[bit >> 3] = 1 << (bit & 7)
    found.push(codec.take(bytes, 0))
  }
  for (let turn = 0; turn < count; turn++) found.push(randomValue(codec, random))
  return found
}

export function randomValue<T>(codec: Scalar<T>, random: () => number): T {
  return codec.take(
    Uint8Array.from({ length: codec.size }, () => Math.floor(random() * 256)),
    0,
  )
}

/** The same numbers every time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const randomBytes = (length: number, random: () => number): Uint8Array => {
  const bytes = new Uint8Array(length + 4)
  for (let at = 0; at < length; at += 4) be32.put(bytes, at, Math.floor(random() * 2 ** 32))
  return bytes.subarray(0, length)
}
