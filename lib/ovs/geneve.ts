import { DpifError } from '../errors.js'
import { be16 } from '../netlink/integers.js'

/** One GENEVE option (RFC 8926), without its length, which `data` has. */
export interface GeneveOption {
  readonly class: number
  /** 8 bits; the highest says that whoever does not know the option drops the packet. */
  readonly type: number
  /** A multiple of 4 bytes, at most 124. */
  readonly data: Uint8Array
  /** Which bits count; all of them when it is left out. */
  readonly mask?: GeneveOptionMask
}

/** Which bits of a {@link GeneveOption} count. `data` is as long as the option's. */
export interface GeneveOptionMask {
  readonly class: number
  readonly type: number
  readonly data: Uint8Array
}

/** Class, type and length stand before the data of an option. */
export const GENEVE_HEADER = 4
/** The lower bits of the fourth byte are the length, in words; the others are reserved. */
export const GENEVE_LENGTH = 0x1f

/**
 * Takes the options of a tunnel key apart: `geneveOptions(key.tunnel.geneve, mask.tunnel.geneve)`. Throws BAD_MESSAGE when a length
 * points outside, or when key and mask are not equally long.
 */
export function geneveOptions(key: Uint8Array, mask?: Uint8Array): GeneveOption[] {
  if (mask !== undefined && mask.length !== key.length) {
    throw new DpifError('BAD_MESSAGE', `${key.length} bytes of GENEVE options with a mask of ${mask.length}`)
  }
  const options: GeneveOption[] = []
  for (let at = 0; at < key.length; ) {
    const size = GENEVE_HEADER + ((key[at + 3] ?? 0) & GENEVE_LENGTH) * 4
    if (at + size > key.length) {
      throw new DpifError(
        'BAD_MESSAGE',
        `a GENEVE option of ${size} bytes at offset ${at}, with ${key.length - at} left`,
      )
    }
    const part = (bytes: Uint8Array) => ({
      class: be16.take(bytes, at),
      type: bytes[at + 2] as number,
      data: bytes.slice(at + GENEVE_HEADER, at + size),
    })
    options.push(mask === undefined ? part(key) : { ...part(key), mask: part(mask) })
    at += size
  }
  return options
}

/** The options as a tunnel key has them: `{ geneve: encodeGeneveOptions([{ class: 0x102, type: 0x80, data }]) }`. */
export function encodeGeneveOptions(options: readonly GeneveOption[]): Uint8Array {
  return join(options, (option) => ({ ...option, length: option.data.length / 4 }))
}

/** The mask that belongs to {@link encodeGeneveOptions}: that of each option, with a length that counts. */
export function encodeGeneveMask(options: readonly GeneveOption[]): Uint8Array {
  return join(options, ({ data, mask }) => {
    const exact = { class: 0xffff, type: 0xff, data: new Uint8Array(data.length).fill(0xff) }
    if (mask !== undefined && mask.data.length !== data.length) {
      throw new RangeError(`a mask of ${mask.data.length} bytes for a GENEVE option of ${data.length}`)
    }
    return { ...(mask ?? exact), length: GENEVE_LENGTH }
  })
}

function join(
  options: readonly GeneveOption[],
  part: (option: GeneveOption) => GeneveOptionMask & { readonly length: number },
): Uint8Array {
  const bytes = new Uint8Array(options.reduce((sum, { data }) => sum + GENEVE_HEADER + data.length, 0))
  let at = 0
  for (const option of options) {
    const { length: most } = option.data
    if (most % 4 !== 0 || most > GENEVE_LENGTH * 4) {
      throw new RangeError(
        `${most} bytes in a GENEVE option; it takes a multiple of 4, up to ${GENEVE_LENGTH * 4}`,
      )
    }
    const { class: number, type, length, data } = part(option)
    if ((type & 0xff) !== type) throw new RangeError(`type ${type} of a GENEVE option does not fit in 8 bits`)
    be16.put(bytes, at, number)
    bytes[at + 2] = type
    bytes[at + 3] = length
    bytes.set(data, at + GENEVE_HEADER)
    at += GENEVE_HEADER + data.length
  }
  return bytes
}
