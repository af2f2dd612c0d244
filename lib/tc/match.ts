import type { FlowKey, IcmpKey, VlanKey } from '../../types/flow.js'
import { ipv4, ipv6, mac } from '../netlink/addresses.js'
import type { Scalar } from '../netlink/codec.js'
import { be16, be32, u8, u16 } from '../netlink/integers.js'
import type { AttributeIndex, Found } from '../netlink/reader.js'
import type { Writer } from '../netlink/writer.js'
import { ctRows, ctState, matchesCt, readCt, writeCt } from './match-ct.js'
import { isMpls, mplsOpts, readMpls, writeMpls } from './match-mpls.js'
import { type MatchRow, put, readParts, row, type Take, takeFrom, writeRow } from './match-row.js'
import { encFlags, matchesTunnel, readTunnel, tunnelRows, writeTunnel } from './match-tunnel.js'
import { encOpts } from './match-tunnel-options.js'

export { fieldOf, type MatchRow } from './match-row.js'

/*
 * A flow's match and flower's, row by row. What has no row here, TC cannot match; `objections.ts` says so.
 *
 * Flower has no nesting: what is known of a packet from outside (its frame's addresses, its tunnel, its connection) comes from the
 * outer key, everything behind the Ethernet type from the innermost one, and VLAN tags have attributes of their own. Where there is
 * more to say than one field, there is a file: match-tunnel.ts, match-mpls.ts, match-ct.ts.
 */

export const etherTypes = {
  IPV4: 0x0800,
  ARP: 0x0806,
  VLAN: 0x8100,
  RARP: 0x8035,
  IPV6: 0x86dd,
  QINQ: 0x88a8,
} as const

const v4 = { etherType: etherTypes.IPV4 }
const v6 = { etherType: etherTypes.IPV6 }
const arp = { etherType: etherTypes.ARP }
const tcp = { proto: 6 }
const udp = { proto: 17 }
const sctp = { proto: 132 }
const icmp = { etherType: etherTypes.IPV4, proto: 1 }
const icmpv6 = { etherType: etherTypes.IPV6, proto: 58 }

// flower keeps 8 of the 16 bits; the upper ones are always clear in openvswitch's key. Only a mask is ever 0xff.
const arpOp: Scalar<number> = {
  ...u8,
  ones: 0xffff,
  put: (to, at, value) => u8.put(to, at, value & 0xff),
  write: (writer, value) => u8.write(writer, value & 0xff),
  read: (bytes, start, end) => {
    const value = u8.read(bytes, start, end)
    return value === 0xff ? 0xffff : value
  },
}

// biome-ignore format: one row per line
const headerRows: readonly MatchRow[] = [
  row('ethernet.dst', 'ETH_DST',      4,  5, mac),
  row('ethernet.src', 'ETH_SRC',      6,  7, mac),
  row('arp.sip',      'ARP_SIP',     57, 58, ipv4, arp),
  row('arp.tip',      'ARP_TIP',     59, 60, ipv4, arp),
  row('arp.op',       'ARP_OP',      61, 62, arpOp, arp),
  row('arp.sha',      'ARP_SHA',     63, 64, mac, arp),
  row('arp.tha',      'ARP_THA',     65, 66, mac, arp),
  row('ipv4.ttl',     'IP_TTL',      75, 76, u8, v4),
  row('ipv6.hlimit',  'IP_TTL',      75, 76, u8, v6),
  row('ipv4.tos',     'IP_TOS',      73, 74, u8, v4),
  row('ipv6.tclass',  'IP_TOS',      73, 74, u8, v6),
  row('ipv4.proto',   'IP_PROTO',     9, undefined, u8, v4),
  row('ipv6.proto',   'IP_PROTO',     9, undefined, u8, v6),
  row('udp.src',      'UDP_SRC',     20, 37, be16, udp),
  row('udp.dst',      'UDP_DST',     21, 38, be16, udp),
  row('tcp.src',      'TCP_SRC',     18, 35, be16, tcp),
  row('tcp.dst',      'TCP_DST',     19, 36, be16, tcp),
  row('tcpFlags',     'TCP_FLAGS',   71, 72, be16, tcp),
  row('icmp.code',    'ICMPV4_CODE', 49, 50, u8, icmp),
  row('icmp.type',    'ICMPV4_TYPE', 51, 52, u8, icmp),
  row('icmpv6.code',  'ICMPV6_CODE', 53, 54, u8, icmpv6),
  row('icmpv6.type',  'ICMPV6_TYPE', 55, 56, u8, icmpv6),
  row('ipv4.src',     'IPV4_SRC',    10, 11, ipv4, v4),
  row('ipv4.dst',     'IPV4_DST',    12, 13, ipv4, v4),
  row('ipv6.src',     'IPV6_SRC',    14, 15, ipv6, v6),
  row('ipv6.dst',     'IPV6_DST',    16, 17, ipv6, v6),
]

// Fewer flows have these; they are looked at when the mask does.
// biome-ignore format: one row per line
const sctpRows: readonly MatchRow[] = [
  row('sctp.src',     'SCTP_SRC',    41, 39, be16, sctp),
  row('sctp.dst',     'SCTP_DST',    42, 40, be16, sctp),
]

/** Every field that is one attribute of flower. */
export const matchRows: readonly MatchRow[] = [...headerRows, ...sctpRows, ...tunnelRows, ...ctRows]

const rowsByAttribute = new Map<string, MatchRow[]>()
for (const row of matchRows) {
  const rows = rowsByAttribute.get(row.attribute)
  if (rows === undefined) rowsByAttribute.set(row.attribute, [row])
  else rows.push(row)
}

/** What a packet has outside of its headers, and its frame's addresses: never behind a VLAN tag. */
export const outerAttributes: ReadonlySet<string> = new Set([
  'ethernet',
  'tunnel',
  'ctState',
  ...ctRows.map(({ attribute }) => attribute),
])

/** Attributes that are not one field of a flow: the kernel's names and numbers. */
export const oddRows = {
  ethType: { uapi: 'TCA_FLOWER_KEY_ETH_TYPE', id: 8 },
  ipProto: { uapi: 'TCA_FLOWER_KEY_IP_PROTO', id: 9 },
  flags: { uapi: 'TCA_FLOWER_KEY_FLAGS', id: 47 },
  flagsMask: { uapi: 'TCA_FLOWER_KEY_FLAGS_MASK', id: 48 },
  vlanId: { uapi: 'TCA_FLOWER_KEY_VLAN_ID', id: 23 },
  vlanPrio: { uapi: 'TCA_FLOWER_KEY_VLAN_PRIO', id: 24 },
  vlanEthType: { uapi: 'TCA_FLOWER_KEY_VLAN_ETH_TYPE', id: 25 },
  cvlanId: { uapi: 'TCA_FLOWER_KEY_CVLAN_ID', id: 77 },
  cvlanPrio: { uapi: 'TCA_FLOWER_KEY_CVLAN_PRIO', id: 78 },
  cvlanEthType: { uapi: 'TCA_FLOWER_KEY_CVLAN_ETH_TYPE', id: 79 },
  numOfVlans: { uapi: 'TCA_FLOWER_KEY_NUM_OF_VLANS', id: 102 },
} as const

/** Outer tag first: id, priority and next type of each. */
const tagRows = [
  { vid: oddRows.vlanId.id, pcp: oddRows.vlanPrio.id, next: oddRows.vlanEthType.id },
  { vid: oddRows.cvlanId.id, pcp: oddRows.cvlanPrio.id, next: oddRows.cvlanEthType.id },
] as const

/** How many VLAN tags flower can look through. */
export const MAX_TAGS = tagRows.length

/** enum ovs_frag_type ⇄ TCA_FLOWER_KEY_FLAGS: IS_FRAGMENT 1, FRAG_IS_FIRST 2. An exact match on `frag` says both bits, but "no" only the first. */
const fragments = [
  { flags: 0, mask: 1 },
  { flags: 3, mask: 3 },
  { flags: 1, mask: 3 },
] as const

/** OVS_FRAG_TYPE_LATER. */
const LATER = 2

/** One VLAN tag of a flow, with what its mask says of it. */
export interface Tag {
  readonly key: VlanKey
  readonly mask: VlanKey
  /** Type of what follows, and whether it counts. */
  readonly next: { readonly value: number | undefined; readonly mask: number }
}

/** A flow's match without its nesting: the outer key, its tags, and the innermost key. */
export interface Layers {
  readonly tags: readonly Tag[]
  readonly key: FlowKey
  readonly mask: FlowKey
}

export function layersOf(key: FlowKey, mask: FlowKey): Layers {
  const tags: Tag[] = []
  let at = { key, mask }
  while (at.key.vlan !== undefined && at.key.encap !== undefined) {
    const inner = { key: at.key.encap, mask: at.mask.encap ?? {} }
    tags.push({
      key: at.key.vlan,
      mask: at.mask.vlan ?? { vid: 0, pcp: 0, cfi: 0 },
      next: { value: inner.key.etherType, mask: inner.mask.etherType ?? 0 },
    })
    at = inner
  }
  return { tags, ...at }
}

/** Appends the flower attributes of a match that nothing stands against. */
export function writeMatch(writer: Writer, outerKey: FlowKey, outerMask: FlowKey): void {
  const { tags, key, mask } = layersOf(outerKey, outerMask)
  for (const row of headerRows) {
    if (row.etherType !== undefined && row.etherType !== key.etherType) continue
    if (row.attribute === 'ethernet') writeRow(writer, row, outerKey, outerMask)
    else writeRow(writer, row, key, mask)
  }
  if (mask.sctp !== undefined) for (const row of sctpRows) writeRow(writer, row, key, mask)
  const fragment = (mask.ipv4?.frag ?? mask.ipv6?.frag) ? ((key.ipv4 ?? key.ipv6)?.frag ?? 0) : undefined
  const flags = fragment === undefined ? undefined : fragments[fragment]
  if (flags !== undefined) {
    put(writer, oddRows.flags.id, be32, flags.flags)
    put(writer, oddRows.flagsMask.id, be32, flags.mask)
  }
  put(writer, oddRows.ethType.id, be16, outerKey.etherType ?? 0)
  if (mask.mpls !== undefined) writeMpls(writer, key.mpls ?? [], mask.mpls)
  tags.forEach(({ key, mask, next }, index) => {
    const ids = tagRows[index]
    if (ids === undefined) return
    if (mask.vid) put(writer, ids.vid, u16, key.vid ?? 0)
    if (mask.pcp) put(writer, ids.pcp, u8, key.pcp ?? 0)
    if (next.mask !== 0 && next.value !== undefined) put(writer, ids.next, be16, next.value)
  })
  if (needsTagCount(tags)) put(writer, oddRows.numOfVlans.id, u8, tags.length)
  if (matchesTunnel(outerKey, outerMask)) writeTunnel(writer, outerKey, outerMask)
  if (matchesCt(outerMask)) writeCt(writer, outerKey, outerMask)
}

/** Behind one tag openvswitch expects no other, also where the type that follows does not count; flower has to be told. */
export function needsTagCount(tags: readonly Tag[]): boolean {
  return tags.length === 1 && tags[0]?.next.mask === 0
}

/**
 * Key and mask of a filter the kernel reports, from its protocol and the attributes of its options. Headers that the
 * Ethernet type and the IP protocol imply are there even when nothing in them is matched, since openvswitch wants them in a key.
 */
export function readMatch(
  protocol: number,
  options: AttributeIndex,
): { readonly key: FlowKey; readonly mask: FlowKey } {
  let kinds = 0
  for (const id of options.ids) kinds |= kindOf[id] ?? 0
  const take = takeFrom(options)

  const tags: { key: VlanKey; mask: VlanKey; type: number }[] = []
  let type: number | undefined = protocol
  while (type !== undefined && isTag(type) && tags.length < MAX_TAGS) {
    const ids = tagRows[tags.length] as (typeof tagRows)[number]
    const vid = take(ids.vid, u16)
    const pcp = take(ids.pcp, u8)
    tags.push({
      key: { vid: vid ?? 0, pcp: pcp ?? 0, cfi: 1 },
      mask: { vid: vid === undefined ? 0 : 0xfff, pcp: pcp === undefined ? 0 : 7, cfi: 1 },
      type,
    })
    type =
      take(ids.next, be16) ??
      innerType(take(oddRows.ethType.id, be16), take(oddRows.cvlanEthType.id, be16), tags.length)
  }

  const inner = readHeaders(type, take, options)
  const outer = { key: inner.key, mask: inner.mask }
  for (const tag of tags.reverse()) {
    outer.key = { etherType: tag.type, vlan: tag.key, encap: outer.key }
    outer.mask = { etherType: 0xffff, vlan: tag.mask, encap: outer.mask }
  }
  const ethernet = readParts(rowsByAttribute.get('ethernet') ?? [], take)
  const tunnel = kinds & TUNNEL ? readTunnel(take, options) : nothing
  const ct = kinds & CT ? readCt(take) : nothing
  return {
    key: { ...tunnel.key, ...ct.key, ethernet: ethernet.key, ...outer.key },
    mask: { ...tunnel.mask, ...ct.mask, ethernet: ethernet.mask, ...outer.mask },
  }
}

/** Which of the rarer parts of a match an attribute belongs to. */
const kindOf = new Uint8Array(128)
const TUNNEL = 1
const CT = 2
for (const { id, maskId = id } of tunnelRows) kindOf[id] = kindOf[maskId] = TUNNEL
for (const { id } of [...Object.values(encFlags), encOpts.opts, encOpts.mask]) kindOf[id] = TUNNEL
for (const { id, maskId } of [...ctRows, ctState]) kindOf[id] = kindOf[maskId ?? id] = CT
const nothing = { key: {}, mask: {} }

const isTag = (type: number): boolean => type === etherTypes.VLAN || type === etherTypes.QINQ

// With two tags the kernel reports the payload's type alone, so the outer tag's next type has to be inferred from it
// (fl_dump_key(), net/sched/cls_flower.c); its ETH_TYPE is the payload's too.
function innerType(
  ethType: number | undefined,
  cvlanType: number | undefined,
  depth: number,
): number | undefined {
  if (depth === 1 && cvlanType !== undefined) return etherTypes.VLAN
  return ethType !== undefined && !isTag(ethType) ? ethType : undefined
}

function readHeaders(type: number | undefined, take: Take, found: Found): { key: FlowKey; mask: FlowKey } {
  if (type === undefined) return nothing
  const key: Record<string, unknown> = { etherType: type }
  const mask: Record<string, unknown> = { etherType: 0xffff }
  if (isMpls(type)) {
    const [value, bits] = readMpls(take, found.get(mplsOpts.opts.id))
    return { key: { ...key, ...value }, mask: { ...mask, ...bits } }
  }
  const add = (attribute: string): void => {
    const parts = readParts(rowsByAttribute.get(attribute) ?? [], take)
    // An attribute that is a field itself has its one value under the empty name.
    key[attribute] = '' in parts.key ? parts.key[''] : parts.key
    mask[attribute] = '' in parts.mask ? parts.mask[''] : parts.mask
  }
  const l3 = l3Of[type]
  if (l3 === undefined) return { key, mask }
  add(l3)
  if (l3 === 'arp') return { key, mask }

  const flags = take(oddRows.flagsMask.id, be32)
  const value = (take(oddRows.flags.id, be32) ?? 0) & (flags ?? 0)
  const frag = flags ? fragments.findIndex((known) => known.flags === value && known.mask === flags) : -1
  Object.assign(key[l3] as object, { frag: Math.max(frag, 0) })
  Object.assign(mask[l3] as object, { frag: frag < 0 ? 0 : 0xff })
  if (l3 === 'ipv6') {
    Object.assign(key.ipv6 as object, { label: 0 })
    Object.assign(mask.ipv6 as object, { label: 0 })
  }

  // Behind the first fragment there is no header, and openvswitch takes no key that has one.
  if (frag === LATER) return { key, mask }
  const proto = take(oddRows.ipProto.id, u8)
  for (const attribute of proto === undefined ? [] : (l4Of[proto] ?? [])) {
    const rows = rowsByAttribute.get(attribute) ?? []
    if (rows.some((row) => row.etherType === undefined || row.etherType === type)) add(attribute)
  }
  if (isNeighbour(key.icmpv6, mask.icmpv6)) {
    key.nd = { target: '::', sll: NO_MAC, tll: NO_MAC }
    mask.nd = key.nd
  }
  return { key, mask }
}

const NO_MAC = '00:00:00:00:00:00'

/** Solicitations and advertisements: what they say is no field of flower, but openvswitch wants it in a key. */
function isNeighbour(key: unknown, mask: unknown): boolean {
  const { type = 0 } = (key ?? {}) as IcmpKey
  return (type === 135 || type === 136) && (mask as IcmpKey).type === 0xff
}

const l3Of: Readonly<Record<number, 'ipv4' | 'ipv6' | 'arp'>> = {
  [etherTypes.IPV4]: 'ipv4',
  [etherTypes.IPV6]: 'ipv6',
  [etherTypes.ARP]: 'arp',
  // Nothing of it is matched, but openvswitch wants it in a key.
  [etherTypes.RARP]: 'arp',
}

/** The attributes openvswitch wants beside an IP protocol. */
export const l4Of: Readonly<Record<number, readonly MatchRow['attribute'][]>> = {
  1: ['icmp'],
  6: ['tcp', 'tcpFlags'],
  17: ['udp'],
  58: ['icmpv6'],
  132: ['sctp'],
}
