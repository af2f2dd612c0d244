import { isIPv4, isIPv6 } from 'node:net'
import { ipv4, ipv6 } from '../../netlink/addresses.js'
import type { MaskedAddress } from './question.js'

/** The addresses that begin alike: `10.0.0.0/8`. */
export interface Prefix extends MaskedAddress {
  readonly family: 4 | 6
  /** How many words count at most. */
  readonly words: number
}

/** Reads `10.0.0.0/8`, `10.0.0.1`, `fd00::/8`; nothing when it is none, or names bits behind the prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const [, address = '', digits] = /^([0-9a-fA-F:.]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? []
  const family = isIPv4(address) ? 4 : isIPv6(address) ? 6 : undefined
  if (family === undefined) return undefined
  const size = family === 4 ? 4 : 16
  const length = digits === undefined ? size * 8 : Number(digits)
  if (length > size * 8) return undefined
  const value = new Uint8Array(16)
  ;(family === 4 ? ipv4 : ipv6).put(value, 0, address)
  const mask = Uint8Array.from({ length: 16 }, (_, index) => {
    const set = Math.min(8, Math.max(0, length - index * 8))
    return index < size ? 0xff & ~(0xff >> set) : 0
  })
  if (value.some((byte, index) => index < size && (byte & ~(mask[index] as number)) !== 0)) return undefined
  return {
    family,
    words: size / 4,
    value: new Int32Array(value.buffer),
    mask: new Int32Array(mask.buffer),
  }
}

/** Whether every address the flow has is in the prefix. */
export function isWithin(prefix: Prefix, { value, mask }: MaskedAddress): boolean {
  for (let index = 0; index < prefix.words; index++) {
    const counts = prefix.mask[index] as number
    if (((mask[index] as number) & counts) !== counts) return false
    if ((((value[index] as number) ^ (prefix.value[index] as number)) & counts) !== 0) return false
  }
  return true
}

/** Whether one of them may be. */
export function overlaps(prefix: Prefix, { value, mask }: MaskedAddress): boolean {
  for (let index = 0; index < prefix.words; index++) {
    const counts = (prefix.mask[index] as number) & (mask[index] as number)
    if ((((value[index] as number) ^ (prefix.value[index] as number)) & counts) !== 0) return false
  }
  return true
}
