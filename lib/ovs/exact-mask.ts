import type { FlowKey, TunnelKey } from '../../types/flow.js'
import type { Codec, Scalar } from '../netlink/codec.js'
import type { Struct } from '../netlink/struct.js'
import { AttributeSet, type StructArray } from '../netlink/table.js'
import { flowKey } from './key.js'
import { tunnelKey } from './tunnel.js'

/**
 * The mask that matches every attribute of `key` exactly: what the kernel takes an absent mask for (`ovs_nla_get_match()`,
 * net/openvswitch/flow_netlink.c).
 */
export function exactMask(key: FlowKey): FlowKey {
  return onesOf(flowKey, key) as FlowKey
}

/** All bits of what `value` has: attributes that are there, and all parts of structs. */
function onesOf(codec: Codec<unknown>, value: unknown): unknown {
  if (codec === tunnelKey) return exactTunnel(value as TunnelKey)
  if (codec instanceof AttributeSet) return onesOfSet(codec, value as Record<string, unknown>)
  if ('target' in codec) return onesOf(codec.target as Codec<unknown>, value)
  if ('fields' in codec) return onesOfStruct(codec as Struct<object>)
  if ('struct' in codec) {
    return (value as readonly object[]).map(() => onesOfStruct((codec as StructArray<object>).struct))
  }
  if ('ones' in codec) return (codec as Scalar<unknown>).ones
  if (value instanceof Uint8Array) return new Uint8Array(value.length).fill(0xff)
  // A flag counts by being there.
  return value
}

function onesOfSet({ rows }: AttributeSet<object>, value: Record<string, unknown>): object {
  const mask: Record<string, unknown> = {}
  for (const { name, codec } of rows) if (value[name] !== undefined) mask[name] = onesOf(codec, value[name])
  // The kernel refuses the bits that are none, in a mask as in a key.
  if (mask.ctState !== undefined) mask.ctState = CT_STATE_BITS
  const { unknown } = value as FlowKey
  if (unknown !== undefined) {
    mask.unknown = unknown.map(({ id, data }) => ({ id, data: new Uint8Array(data.length).fill(0xff) }))
  }
  return mask
}

function onesOfStruct({ fields }: Struct<object>): object {
  return Object.fromEntries(fields.map(({ name, scalar }) => [name, scalar.ones]))
}

/** CT_SUPPORTED_MASK. */
const CT_STATE_BITS = 0xff

/**
 * A tunnel is matched whole, whatever its key leaves out, for what is not sent is 0. Not so its flags: those that the key does not
 * have do not count.
 */
function exactTunnel(key: TunnelKey): TunnelKey {
  const addresses: TunnelKey =
    key.ipv6Src !== undefined || key.ipv6Dst !== undefined
      ? { ipv6Src: '::', ipv6Dst: '::' }
      : { src: '0.0.0.0', dst: '0.0.0.0' }
  return onesOfSet(tunnelKey, {
    id: 0n,
    ...addresses,
    tos: 0,
    ttl: 0,
    tpSrc: 0,
    tpDst: 0,
    ...key,
  }) as TunnelKey
}
