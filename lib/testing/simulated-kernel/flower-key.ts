import type { FlowKey } from '../../../types/flow.js'
import { be16, u16 } from '../../netlink/integers.js'
import { Writer } from '../../netlink/writer.js'
import { etherTypes, fieldOf, layersOf, matchRows, oddRows, outerAttributes } from '../../tc/match.js'
import { ctFlags, ctState } from '../../tc/match-ct.js'
import { isMpls, mplsRows } from '../../tc/match-mpls.js'
import { masked, parse, payload, type Policy, type Span } from './attributes.js'
import { notSimulated, refuse } from './errors.js'
import { Layout } from './layout.js'
import { put } from './request.js'

// The fields of cls_flower's fl_flow_key that have an attribute here.
// biome-ignore format: a table
const layout = new Layout({
  ethDst: 6, ethSrc: 6, type: 2, vlanId: 2, vlanPrio: 1, vlanTpid: 2, vlanNext: 2, cvlanId: 2, cvlanPrio: 1, cvlanTpid: 2, cvlanNext: 2,
  proto: 1, tos: 1, ttl: 1, v4Src: 4, v4Dst: 4, v6Src: 16, v6Dst: 16, tpSrc: 2, tpDst: 2, tcpFlags: 2, icmpType: 1, icmpCode: 1,
  arpSip: 4, arpTip: 4, arpOp: 1, arpSha: 6, arpTha: 6, flags: 4, numOfVlans: 1, mplsTtl: 1, mplsTc: 1, mplsLabel: 4, mplsBos: 1,
  encId: 4, encV4Src: 4, encV4Dst: 4, encV6Src: 16, encV6Dst: 16, encTpSrc: 2, encTpDst: 2, encTos: 1, encTtl: 1,
  ctState: 2, ctZone: 2, ctMark: 4, ctLabels: 16,
})

type FieldName = Parameters<(typeof layout)['field']>[1]

/** What a filter matches. */
export interface FlowerMatch {
  readonly key: Uint8Array
  readonly mask: Uint8Array
  readonly masked: Uint8Array
}

/** An attribute, the field it sets, the attribute of its mask, and under what the classifier looks at it. */
type Row = readonly [
  id: number,
  maskId: number | undefined,
  field: FieldName,
  when: (key: Uint8Array) => boolean,
]

const type = (key: Uint8Array) => layout.number(key, 'type')
const proto = (key: Uint8Array) => layout.number(key, 'proto')
const always = () => true
const ip = (key: Uint8Array) => type(key) === etherTypes.IPV4 || type(key) === etherTypes.IPV6
const arp = (key: Uint8Array) => type(key) === etherTypes.ARP || type(key) === 0x8035
const tcp = (key: Uint8Array) => proto(key) === 6
const udp = (key: Uint8Array) => proto(key) === 17
const sctp = (key: Uint8Array) => proto(key) === 132
const mpls = (key: Uint8Array) => isMpls(type(key))
const icmp = (key: Uint8Array) => type(key) === etherTypes.IPV4 && proto(key) === 1
const icmpv6 = (key: Uint8Array) => type(key) === etherTypes.IPV6 && proto(key) === 58

// In the order in which fl_dump_key() writes them. Ethernet type and tags come between the first two and the rest.
const addresses: readonly Row[] = [
  [4, 5, 'ethDst', always],
  [6, 7, 'ethSrc', always],
]
// biome-ignore format: one row per line
const labels: readonly Row[] = [
  [67, undefined, 'mplsTtl',   mpls],
  [69, undefined, 'mplsTc',    mpls],
  [70, undefined, 'mplsLabel', mpls],
  [68, undefined, 'mplsBos',   mpls],
]
// biome-ignore format: one row per line
const headers: readonly Row[] = [
  [9, undefined, 'proto', ip],
  [73, 74, 'tos', ip],
  [75, 76, 'ttl', ip],
  [10, 11, 'v4Src', always],
  [12, 13, 'v4Dst', always],
  [14, 15, 'v6Src', always],
  [16, 17, 'v6Dst', always],
  [18, 35, 'tpSrc', tcp],
  [19, 36, 'tpDst', tcp],
  [71, 72, 'tcpFlags', tcp],
  [20, 37, 'tpSrc', udp],
  [21, 38, 'tpDst', udp],
  [41, 39, 'tpSrc', sctp],
  [42, 40, 'tpDst', sctp],
  [51, 52, 'icmpType', icmp],
  [49, 50, 'icmpCode', icmp],
  [55, 56, 'icmpType', icmpv6],
  [53, 54, 'icmpCode', icmpv6],
  [57, 58, 'arpSip', arp],
  [59, 60, 'arpTip', arp],
  [61, 62, 'arpOp', arp],
  [63, 64, 'arpSha', arp],
  [65, 66, 'arpTha', arp],
  [27, 28, 'encV4Src', always],
  [29, 30, 'encV4Dst', always],
  [31, 32, 'encV6Src', always],
  [33, 34, 'encV6Dst', always],
  [26, undefined, 'encId', always],
  [43, 44, 'encTpSrc', always],
  [45, 46, 'encTpDst', always],
  [80, 81, 'encTos', always],
  [82, 83, 'encTtl', always],
  [ctState.id, ctState.maskId, 'ctState', always],
  [93, 94, 'ctZone', always],
  [95, 96, 'ctMark', always],
  [97, 98, 'ctLabels', always],
]

const { ethType, flags, flagsMask, vlanId, vlanPrio, vlanEthType, cvlanId, cvlanPrio, cvlanEthType } = oddRows
const { numOfVlans } = oddRows
const ACT = 3
const FLAGS = 22

/** TCA_FLOWER_* this kernel imitates: what it reads, and how long that has to be. */
const policy: Record<number, { readonly min: number }> = {
  [FLAGS]: { min: 4 },
  [flags.id]: { min: 4 },
  [flagsMask.id]: { min: 4 },
  [vlanPrio.id]: { min: 1 },
  [cvlanPrio.id]: { min: 1 },
  [numOfVlans.id]: { min: 1 },
}
for (const { id } of [ethType, vlanId, vlanEthType, cvlanId, cvlanEthType]) policy[id] = { min: 2 }
for (const [id, maskId, field] of [...addresses, ...labels, ...headers]) {
  const min = layout.field(layout.blank(), field).length
  policy[id] = { min }
  if (maskId !== undefined) policy[maskId] = { min }
}

/** Attributes of TCA_OPTIONS by number, without those in `unknown`. */
export function readOptions(span: Span, origin: number, unknown: ReadonlySet<number>): Map<number, Span> {
  const attributes = parse(span, policy as Policy, origin)
  for (const id of unknown) attributes.delete(id)
  for (const id of attributes.keys()) {
    if (id !== ACT && id <= MAX && policy[id] === undefined) notSimulated(`TCA_FLOWER attribute ${id}`)
  }
  return attributes
}

/** TCA_FLOWER_KEY_CT_FLAGS_MASK. */
const CT_FLAGS = ctFlags.reduce((bits, { flower }) => bits | flower, 0)

// TCA_FLOWER_MAX of Linux 6.1; what lies above is skipped.
const MAX = 105

/** Reads a match as fl_set_key() does: in this order, looking only at what the type and the protocol allow. */
export function readFlower(attributes: ReadonlyMap<number, Span>): FlowerMatch {
  const key = layout.blank()
  const mask = layout.blank()
  const set = (field: FieldName, value: ArrayLike<number>, bits?: ArrayLike<number>): void => {
    layout.set(key, field, value)
    const into = layout.field(mask, field)
    if (bits === undefined) into.fill(0xff)
    else into.set(bits)
  }
  for (const id of [ctState.id, ctState.maskId]) {
    const state = attributes.get(id)
    if (state !== undefined && u16.take(state.bytes, state.start) & ~CT_FLAGS)
      refuse('EINVAL', 'reserved bit set')
  }
  const bytesOf = (id: number, field: FieldName): Uint8Array | undefined => {
    const span = attributes.get(id)
    return span && payload(span).subarray(0, layout.field(key, field).length)
  }
  const read = (rows: readonly Row[]): void => {
    for (const [id, maskId, field, when] of rows) {
      const value = when(key) ? bytesOf(id, field) : undefined
      if (value !== undefined) set(field, value, maskId === undefined ? undefined : bytesOf(maskId, field))
    }
  }
  const half = (value: number) => [value >> 8, value & 0xff]
  const readTag = (tpid: number, ids: readonly number[], fields: readonly FieldName[]): void => {
    const [id, prio, next] = ids.map((number) => attributes.get(number))
    const [idField, prioField, tpidField, nextField] = fields as [FieldName, FieldName, FieldName, FieldName]
    if (id !== undefined) set(idField, half(u16.take(id.bytes, id.start) & 0xfff), [0x0f, 0xff])
    if (prio !== undefined) set(prioField, [(prio.bytes[prio.start] as number) & 7], [7])
    set(tpidField, half(tpid))
    if (next !== undefined) set(nextField, half(be16.take(next.bytes, next.start)))
  }

  read(addresses)
  const count = bytesOf(numOfVlans.id, 'numOfVlans')
  if (count !== undefined) set('numOfVlans', count)
  const outer = typeAt(attributes.get(ethType.id))
  if (outer !== undefined && isTag(outer)) {
    readTag(outer, [vlanId.id, vlanPrio.id, vlanEthType.id], ['vlanId', 'vlanPrio', 'vlanTpid', 'vlanNext'])
    const next = typeAt(attributes.get(vlanEthType.id))
    if (next !== undefined && isTag(next)) {
      readTag(
        next,
        [cvlanId.id, cvlanPrio.id, cvlanEthType.id],
        ['cvlanId', 'cvlanPrio', 'cvlanTpid', 'cvlanNext'],
      )
      const inner = typeAt(attributes.get(cvlanEthType.id))
      if (inner !== undefined) set('type', half(inner))
    } else if (next !== undefined) set('type', half(next))
  } else if (outer !== undefined) set('type', half(outer))
  read(labels)
  read(headers)
  checkState(layout.field(masked(key, mask), 'ctState'))

  const bits = attributes.get(flags.id)
  if (bits !== undefined) {
    const counts = attributes.get(flagsMask.id) ?? refuse('EINVAL', 'Missing flags mask')
    // Two flags are known: IS_FRAGMENT and FRAG_IS_FIRST.
    const known = payload(counts)
      .subarray(0, 4)
      .map((byte, at) => (at === 3 ? byte & 3 : 0))
    set('flags', masked(payload(bits).subarray(0, 4), known), known)
  }
  return { key, mask, masked: masked(key, mask) }
}

/** fl_validate_ct_state(). */
function checkState(bytes: Uint8Array): void {
  const state = u16.take(bytes, 0)
  const has = (name: (typeof ctFlags)[number]['name']) =>
    (state & (ctFlags.find((flag) => flag.name === name)?.flower ?? 0)) !== 0
  if (state !== 0 && !has('TRACKED')) refuse('EINVAL', 'no trk, so no other flag can be set')
  if (has('NEW') && has('ESTABLISHED')) refuse('EINVAL', 'new and est are mutually exclusive')
  if (has('INVALID') && state !== 24) refuse('EINVAL', 'when inv is set, only trk may be set')
  if (has('NEW') && has('REPLY')) refuse('EINVAL', 'new and rpl are mutually exclusive')
}

/** Writes a match as fl_dump_key() does: only what counts, values as they were sent. */
export function putFlower(writer: Writer, { key, mask }: FlowerMatch): void {
  const counts = (field: FieldName) => layout.field(mask, field).some((byte) => byte !== 0)
  const dump = (rows: readonly Row[]): void => {
    for (const [id, maskId, field, when] of rows) {
      if (!when(key) || !counts(field)) continue
      put(writer, id, layout.field(key, field))
      if (maskId !== undefined) put(writer, maskId, layout.field(mask, field))
    }
  }
  const hostHalf = (field: FieldName) => {
    const bytes = new Uint8Array(2)
    u16.put(bytes, 0, layout.number(key, field))
    return bytes
  }
  dump(addresses)
  if (counts('type')) put(writer, ethType.id, layout.field(key, 'type'))
  if (counts('numOfVlans')) put(writer, numOfVlans.id, layout.field(key, 'numOfVlans'))
  dump(labels)
  if (counts('vlanId')) put(writer, vlanId.id, hostHalf('vlanId'))
  if (counts('vlanPrio')) put(writer, vlanPrio.id, layout.field(key, 'vlanPrio'))
  if (counts('cvlanId')) put(writer, cvlanId.id, hostHalf('cvlanId'))
  if (counts('cvlanPrio')) put(writer, cvlanPrio.id, layout.field(key, 'cvlanPrio'))
  if (counts('cvlanTpid')) put(writer, vlanEthType.id, layout.field(key, 'cvlanTpid'))
  if (counts('type')) {
    if (counts('cvlanNext')) put(writer, cvlanEthType.id, layout.field(key, 'type'))
    else if (counts('vlanNext')) put(writer, vlanEthType.id, layout.field(key, 'vlanNext'))
  }
  dump(headers)
  if (counts('flags')) {
    put(writer, flags.id, layout.field(key, 'flags'))
    put(writer, flagsMask.id, layout.field(mask, 'flags'))
  }
}

/** A packet as the flow dissector shows it to flower. */
export function packetOf(frame: FlowKey): Uint8Array {
  const writer = new Writer(256)
  const { tags, key } = layersOf(frame, {})
  const write = <T>(id: number, codec: { write(writer: Writer, value: T): void }, value: T) => {
    const at = writer.begin(id)
    codec.write(writer, value)
    writer.end(at)
  }
  for (const row of matchRows) {
    if (row.etherType !== undefined && row.etherType !== key.etherType) continue
    const from = outerAttributes.has(row.attribute) ? frame : key
    if (row.attribute !== 'ethernet' && from[row.attribute] === undefined) continue
    write(row.id, row.codec, fieldOf(from, row))
  }
  if (key.mpls?.[0] !== undefined)
    for (const { name, id, codec } of mplsRows) write(id, codec, key.mpls[0][name] ?? 0)
  put(writer, numOfVlans.id, [tags.length])
  write(ethType.id, be16, frame.etherType ?? 0)
  tags.forEach((tag, index) => {
    const [id, prio, next] =
      index === 0 ? [vlanId, vlanPrio, vlanEthType] : [cvlanId, cvlanPrio, cvlanEthType]
    write(id.id, u16, tag.key.vid ?? 0)
    put(writer, prio.id, [tag.key.pcp ?? 0])
    write(next.id, be16, tag.next.value ?? 0)
  })
  const fragment = (key.ipv4 ?? key.ipv6)?.frag ?? 0
  put(writer, flags.id, [0, 0, 0, [0, 3, 1][fragment] ?? 0])
  put(writer, flagsMask.id, [0, 0, 0, 3])
  const bytes = writer.take()
  return readFlower(parse({ bytes, start: 0, end: bytes.length })).key
}

const isTag = (type: number): boolean => type === etherTypes.VLAN || type === etherTypes.QINQ

function typeAt(span: Span | undefined): number | undefined {
  return span && be16.take(span.bytes, span.start)
}
