import type { Codec, Scalar } from '../../lib/netlink/codec.js'
import { be16, be24, be32, be64 } from '../../lib/netlink/integers.js'
import { AttributeList, AttributeSet, type NamedRow, type StructArray } from '../../lib/netlink/table.js'

// What stands in the cells of keys and actions alike.

export const code = (text: string): string => (text === '' ? '' : `\`${text}\``)
export const kernelName = ({ uapi, id }: NamedRow): string => `${code(uapi)} ${id}`
/** What a codec holds, as far as it tells. */
export function typeOf(codec: Codec<unknown>): string {
  if (codec instanceof AttributeSet) return 'attributes'
  if (codec instanceof AttributeList) return 'actions'
  if ('target' in codec) return typeOf(codec.target as Codec<unknown>)
  if ('struct' in codec) return `array of ${(codec as StructArray<object>).struct.size} bytes each`
  if ('fields' in codec) return `${codec.size} bytes`
  if (codec.size === 0) return 'flag'
  const [sample] = codec.samples
  if ('ones' in codec) return scalarType(codec as Scalar<unknown>)
  if (typeof sample === 'string') return 'text'
  if (sample instanceof Uint8Array) return 'bytes'
  return codec.size === undefined ? 'attributes' : `${codec.size} bytes`
}

const bigEndian: ReadonlySet<unknown> = new Set([be16, be24, be32, be64].map(({ put }) => put))

function scalarType(scalar: Scalar<unknown>): string {
  const { size, ones } = scalar
  if (typeof ones === 'string')
    return size === 6 ? 'MAC address' : size === 4 ? 'IPv4 address' : 'IPv6 address'
  const order = bigEndian.has(scalar.put as unknown) ? 'be' : 'u'
  const bits = BigInt(ones as number | bigint).toString(2).length
  return `${order}${size * 8}${bits < size * 8 ? `, ${bits} bit${bits > 1 ? 's' : ''}` : ''}`
}
