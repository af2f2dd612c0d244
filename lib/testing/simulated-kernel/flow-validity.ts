import { u32 } from '../../netlink/integers.js'
import { isZero, payload, type Span, walk } from './attributes.js'
import { notSimulated, refuse } from './errors.js'
import {
  attr,
  flowLayout as layout,
  isNeighbour,
  isVlanType,
  keyAttributes,
  NO_PORT,
  readInto,
  transportOf,
  TYPE_802_2,
} from './flow-key.js'

/** What a flow matches: the key as it was sent, and the mask as the kernel understands it. */
export interface FlowMatch {
  readonly key: Uint8Array
  readonly mask: Uint8Array
}

/** Attributes of a key or a mask, by number. Those inside ENCAP join the others: a number counts once in the whole key. */
class Attributes {
  readonly present = new Set<number>()
  readonly spans = new Map<number, Span>()

  has(id: number): boolean {
    return this.present.has(id)
  }

  word(id: number): number {
    const span = this.spans.get(id)
    if (span === undefined) return 0
    return ((span.bytes[span.start] as number) << 8) | (span.bytes[span.start + 1] as number)
  }

  take(...ids: number[]): void {
    for (const id of ids) this.present.delete(id)
  }

  /** __parse_flow_nlattrs(): all-zero attributes of a mask are as good as absent. */
  add(nest: Span, isMask: boolean): void {
    const rest = walk(nest, (id, span) => {
      if (id > attr.IPV6_EXTHDRS || (id >= attr.PACKET_TYPE && id <= attr.TUNNEL_INFO)) refuse('EINVAL')
      if (this.present.has(id)) refuse('EINVAL')
      const size = id === attr.VLAN ? 2 : id === attr.IN_PORT ? 4 : keyAttributes[id]?.size
      if (size !== undefined && span.end - span.start !== size) refuse('EINVAL')
      if (isMask && isZero(payload(span))) return
      this.present.add(id)
      this.spans.set(id, span)
    })
    if (rest > 0) refuse('EINVAL')
  }
}

/** Reads key and mask and judges them as ovs_nla_get_match() does (net/openvswitch/flow_netlink.c). */
export function readMatch(keyNest: Span, maskNest: Span | undefined): FlowMatch {
  const match = { key: layout.blank(), mask: layout.blank() }
  const keyHas = readVector(keyNest, match, false)
  // The tags are matched even when nobody speaks of them.
  layout.set(match.mask, 'vlanTci', [0xff, 0xff])
  layout.set(match.mask, 'cvlanTci', [0xff, 0xff])
  validate(match, keyHas, readVector(maskNest ?? exactMask(keyNest), match, true))
  return match
}

/** Reads the key of a request that looks for a flow: masks do not come into it. */
export function readKey(nest: Span): Uint8Array {
  const match = { key: layout.blank(), mask: layout.blank() }
  validate(match, readVector(nest, match, false), new Set())
  return match.key
}

/** Fills in one side of a match and returns the attributes that were there, tags aside. */
function readVector(nest: Span, match: FlowMatch, isMask: boolean): Set<number> {
  const attributes = new Attributes()
  attributes.add(nest, isMask)
  readTags(attributes, match, isMask)
  readFields(attributes, match, isMask)
  return attributes.present
}

/** Without a mask everything that is in the key counts. */
function exactMask(keyNest: Span): Span {
  const bytes = keyNest.bytes.slice(keyNest.start, keyNest.end)
  const fill = (span: Span): void => {
    walk(span, (id, inner) => {
      if (id === attr.ENCAP) fill(inner)
      else bytes.fill(0xff, inner.start, inner.end)
      if (id === attr.CT_STATE && inner.end - inner.start === 4) u32.put(bytes, inner.start, 0xff)
    })
  }
  const whole = { bytes, start: 0, end: bytes.length }
  fill(whole)
  return whole
}

const CFI = 0x1000

function readTags(attributes: Attributes, { key, mask }: FlowMatch, isMask: boolean): void {
  for (const [tpidField, tciField] of [
    ['vlanTpid', 'vlanTci'],
    ['cvlanTpid', 'cvlanTci'],
  ] as const) {
    const tpid = attributes.word(attr.ETHERTYPE)
    const tci = attributes.word(attr.VLAN)
    const encap = attributes.spans.get(attr.ENCAP)
    if (isMask) {
      if (!attributes.has(attr.ENCAP)) return
      if ((layout.number(key, tciField) & CFI) === 0) refuse('EINVAL')
      if (tpid !== 0xffff || (tci & CFI) === 0) refuse('EINVAL')
    } else {
      if (!attributes.has(attr.ETHERNET) || !attributes.has(attr.ETHERTYPE) || !isVlanType(tpid)) return
      if (!attributes.has(attr.VLAN) || !attributes.has(attr.ENCAP)) refuse('EINVAL')
      // A tag that was cut short has neither contents nor anything behind it.
      if ((tci & CFI) === 0 && (tci !== 0 || (encap !== undefined && encap.end > encap.start)))
        refuse('EINVAL')
    }
    const vector = isMask ? mask : key
    layout.set(vector, tpidField, [tpid >> 8, tpid])
    layout.set(vector, tciField, [tci >> 8, tci])
    attributes.take(attr.ENCAP, attr.VLAN, attr.ETHERTYPE)
    if (encap !== undefined) attributes.add(encap, isMask)
  }
}

function readFields(attributes: Attributes, { key, mask }: FlowMatch, isMask: boolean): void {
  const vector = isMask ? mask : key
  for (const id of attributes.present) {
    if (id === attr.IN_PORT) continue
    if (id === attr.TUNNEL && isMask) {
      readTunnelMask(attributes.spans.get(id), mask)
      continue
    }
    if (keyAttributes[id] === undefined && id !== attr.VLAN && id !== attr.ENCAP)
      notSimulated(`OVS_KEY_ATTR_${nameOf(id)}`)
    const span = attributes.spans.get(id)
    if (span !== undefined && id !== attr.ETHERTYPE) readInto(vector, id, payload(span))
  }
  readInPort(attributes, vector, isMask)
  const ctState = attributes.spans.get(attr.CT_STATE)
  if (attributes.has(attr.CT_STATE) && ctState !== undefined && u32.take(ctState.bytes, ctState.start) > 0xff)
    refuse('EINVAL')

  const ethernet = attributes.has(attr.ETHERNET)
  if (attributes.has(attr.ETHERTYPE)) {
    const type = attributes.word(attr.ETHERTYPE)
    if (!isMask && type < 0x600) refuse('EINVAL')
    // Half a mask is promoted to a whole one.
    layout.set(vector, 'ethType', isMask ? [0xff, 0xff] : [type >> 8, type])
  } else if (!isMask && ethernet) layout.set(vector, 'ethType', [0, TYPE_802_2])
  else if (!isMask) refuse('EINVAL')
  layout.set(vector, 'macProto', [isMask ? 0xff : ethernet ? 1 : 0])

  if (attributes.has(attr.VLAN) || attributes.has(attr.ENCAP)) refuse('EINVAL')
  if (isMask) return
  if (layout.number(key, 'frag') > 2) refuse('EINVAL')
  if (layout.number(key, 'label') > 0xfffff) refuse('EINVAL')
  const arp = attributes.spans.get(attr.ARP)
  if (attributes.has(attr.ARP) && arp !== undefined && arp.bytes[arp.start + 8] !== 0) refuse('EINVAL')
}

/** The mask every dump has: it says that there is no tunnel, and is as welcome in a request. */
function readTunnelMask(nest: Span | undefined, mask: Uint8Array): void {
  if (nest === undefined) return
  walk(nest, (id, span) => {
    if (id !== 4 || !isZero(payload(span))) notSimulated('OVS_KEY_ATTR_TUNNEL')
  })
  layout.set(mask, 'tunProto', [0xff])
}

function readInPort(attributes: Attributes, vector: Uint8Array, isMask: boolean): void {
  const span = attributes.spans.get(attr.IN_PORT)
  if (!attributes.has(attr.IN_PORT) || span === undefined) {
    if (!isMask) layout.set(vector, 'inPort', [NO_PORT >> 8, NO_PORT & 0xff])
    return
  }
  const inPort = isMask ? 0xffff : u32.take(span.bytes, span.start)
  if (!isMask && inPort >= NO_PORT) refuse('EINVAL')
  layout.set(vector, 'inPort', [inPort >> 8, inPort])
}

/** match_validate(): which attributes a key needs, and which a mask may have. */
function validate({ key, mask }: FlowMatch, keyHas: Set<number>, maskHas: Set<number>): void {
  const expected: number[] = []
  const allowed = new Set(keyHas)
  for (const id of conditional) allowed.delete(id)
  for (const id of [attr.TUNNEL, attr.IN_PORT, attr.ETHERTYPE]) allowed.add(id)
  const need = (ids: readonly number[], maskable: boolean): void => {
    expected.push(...ids)
    if (maskable) for (const id of ids) allowed.add(id)
  }

  const type = layout.number(key, 'ethType')
  const typeExact = layout.number(mask, 'ethType') === 0xffff
  if (type === 0x0806 || type === 0x8035) need([attr.ARP], typeExact)
  if (type === 0x8847 || type === 0x8848) need([attr.MPLS], typeExact)
  if (type === 0x894f) need([attr.NSH], typeExact)
  if (type === 0x0800 || type === 0x86dd) {
    need([type === 0x0800 ? attr.IPV4 : attr.IPV6], typeExact)
    if (layout.number(key, 'frag') !== 2) {
      const protoExact = layout.number(mask, 'ipProto') === 0xff
      need(transportOf(type, layout.number(key, 'ipProto')), protoExact)
      if (isNeighbour(key)) need([attr.ND], layout.number(mask, 'tpSrc') === 0xff)
    }
  }
  if (expected.some((id) => !keyHas.has(id))) refuse('EINVAL')
  for (const id of maskHas) if (!allowed.has(id)) refuse('EINVAL')
}

/** Attributes a mask may have only where what they depend on is matched exactly. */
const conditional: readonly number[] = [
  attr.IPV4,
  attr.IPV6,
  attr.TCP,
  attr.TCP_FLAGS,
  attr.UDP,
  attr.SCTP,
  attr.ICMP,
  attr.ICMPV6,
  attr.ARP,
  attr.ND,
  attr.MPLS,
  attr.NSH,
]

const nameOf = (id: number): string => Object.entries(attr).find(([, known]) => known === id)?.[0] ?? `${id}`
