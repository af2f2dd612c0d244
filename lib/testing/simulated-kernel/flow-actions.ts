import { be16, u32 } from '../../netlink/integers.js'
import { payload, type Span, walk } from './attributes.js'
import { readCt } from './conntrack.js'
import { notSimulated, refuse } from './errors.js'
import { attr, flowLayout as layout, isVlanType, keyAttributes } from './flow-key.js'

// OVS_ACTION_ATTR_*, and the length of those that have a fixed one.
// biome-ignore format: a table
const action = { OUTPUT: 1, USERSPACE: 2, SET: 3, PUSH_VLAN: 4, POP_VLAN: 5, RECIRC: 7, HASH: 8, SET_MASKED: 11, TRUNC: 13, CT_CLEAR: 16, METER: 19, CT: 12, MAX: 23 }
// biome-ignore format: a table
const sizes: Readonly<Record<number, number>> = { 1: 4, 4: 4, 5: 0, 7: 4, 8: 8, 9: 8, 10: 2, 13: 4, 14: 12, 15: 0, 16: 0, 18: 0, 19: 4, 22: 12 }

/** Judges a list of actions behind the masked `key`, as __ovs_nla_copy_actions() does. */
export function validateActions(list: Span, key: Uint8Array): void {
  const ethernet = layout.number(key, 'macProto') === 1
  const rest = walk(list, (id, span) => {
    const size = span.end - span.start
    if (id < 1 || id > action.MAX || (sizes[id] ?? size) !== size) refuse('EINVAL')
    switch (id) {
      case action.OUTPUT:
        if (u32.take(span.bytes, span.start) >= 0xffff) refuse('EINVAL')
        break
      case action.PUSH_VLAN: {
        if (!ethernet || !isVlanType(be16.take(span.bytes, span.start))) refuse('EINVAL')
        if ((be16.take(span.bytes, span.start + 2) & 0x1000) === 0) refuse('EINVAL')
        break
      }
      case action.POP_VLAN:
        if (!ethernet) refuse('EINVAL')
        break
      case action.SET:
      case action.SET_MASKED:
        validateSet(span, key, id === action.SET_MASKED)
        break
      case action.USERSPACE:
        if (pidOf(span) === 0) refuse('EINVAL')
        break
      case action.HASH:
        if (u32.take(span.bytes, span.start) > 1) refuse('EINVAL')
        break
      case action.TRUNC:
        if (u32.take(span.bytes, span.start) < 14) refuse('EINVAL')
        break
      case action.CT:
        readCt(span)
        break
      case action.RECIRC:
      case action.CT_CLEAR:
      case action.METER:
        break
      default:
        notSimulated(`OVS_ACTION_ATTR ${id}`)
    }
  })
  if (rest > 0) refuse('EINVAL')
}

function pidOf(userspace: Span): number {
  let pid = 0
  walk(userspace, (id, span) => {
    if (id === 1 && span.end - span.start >= 4) pid = u32.take(span.bytes, span.start)
  })
  return pid
}

/** validate_set(): one header, writable, and proven by the match to be there. */
function validateSet(span: Span, key: Uint8Array, isMasked: boolean): void {
  const found: { id: number; data: Uint8Array; span: Span }[] = []
  const rest = walk(span, (id, inner) => found.push({ id, data: payload(inner), span: inner }))
  const [only] = found
  if (only === undefined || found.length !== 1 || rest > 0) refuse('EINVAL')
  const { id, data } = only
  const size = isMasked ? data.length / 2 : data.length
  if (id === attr.TUNNEL) return validateTunnel(only.span, isMasked)
  if (id === attr.NSH || id === attr.MPLS) notSimulated(`a set of OVS_KEY_ATTR ${id}`)
  if (keyAttributes[id]?.size !== size) refuse('EINVAL')
  const value = data.subarray(0, size)
  const mask = isMasked ? data.subarray(size) : undefined
  if (mask !== undefined && value.some((byte, index) => (byte & ~(mask[index] as number)) !== 0))
    refuse('EINVAL')

  const type = layout.number(key, 'ethType')
  const proto = layout.number(key, 'ipProto')
  const isIp = type === 0x0800 || type === 0x86dd
  if (freelySettable.has(id)) return
  if (id === attr.ETHERNET && layout.number(key, 'macProto') === 1) return
  if ((id === attr.IPV4 && type === 0x0800) || (id === attr.IPV6 && type === 0x86dd)) {
    // Protocol and fragment cannot be written: equal in a whole set, left alone in a masked one.
    const protoAt = id === attr.IPV4 ? 8 : 36
    const fixed = [value[protoAt], value[protoAt + 3]]
    if (mask !== undefined && (mask[protoAt] || mask[protoAt + 3])) refuse('EINVAL')
    if (mask === undefined && (fixed[0] !== proto || fixed[1] !== layout.number(key, 'frag')))
      refuse('EINVAL')
    if (id === attr.IPV6 && ((value[32] as number) || (value[33] as number) & 0xf0)) refuse('EINVAL')
    return
  }
  if (isIp && proto === protoOf[id]) return
  refuse('EINVAL')
}

/** validate_and_copy_set_tun(): a tunnel is set as a whole, with a TTL and one destination. */
function validateTunnel(span: Span, isMasked: boolean): void {
  const found = new Set<number>()
  walk(span, (id) => found.add(id))
  const [TTL, V4, V6] = [4, [1, 2], [12, 13]]
  const has = (ids: readonly number[]) => ids.some((id) => found.has(id))
  if (isMasked || !found.has(TTL) || has(V4) === has(V6)) refuse('EINVAL')
}

// PRIORITY, SKB_MARK, CT_MARK, CT_LABELS.
const freelySettable: ReadonlySet<number> = new Set([2, 15, 24, 25])
const protoOf: Readonly<Record<number, number>> = { [attr.TCP]: 6, [attr.UDP]: 17, [attr.SCTP]: 132 }
