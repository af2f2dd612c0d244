import type { Failure } from '../../types/errors.js'
import type { FlowKey } from '../../types/flow.js'
import { etherTypes, fieldOf, layersOf, MAX_TAGS, matchRows } from './match.js'

/** What TC cannot match exactly, as a path into the flow and a sentence. */
export interface Objection extends Pick<Failure, 'code' | 'path'> {
  readonly path: string
  readonly problem: string
}

type Report = (path: string, problem: string) => void

/** Everything that keeps a match from being a flower filter that matches the same packets, no more and no fewer. */
export function matchObjections(key: FlowKey, mask: FlowKey): Objection[] {
  const found: Objection[] = []
  const report: Report = (path, problem) => found.push({ code: 'UNSUPPORTED_MATCH', path, problem })
  if (key.inPort === undefined || !mask.inPort) {
    found.push({
      code: 'NO_IN_PORT',
      path: 'inPort',
      problem: 'a TC filter lives on one port; match in_port',
    })
  }
  // Only the first pass is seen by chain 0. A flow that does not care which pass it is in is taken for the first, as in OVS.
  if (key.recircId && mask.recircId) report('recircId', 'no TC chain for recirculated packets yet')
  if (key.ethernet === undefined) report('ethernet', 'packets without an Ethernet header')
  if (key.etherType === undefined || mask.etherType !== 0xffff) {
    report('etherType', 'a TC filter is for exactly one Ethernet type; match eth_type')
  }
  reportTags(key, mask, report)
  const layers = layersOf(key, mask)
  reportUnmatched('', { key, mask }, layers.tags.length > 0, report)
  if (layers.tags.length > 0) reportUnmatched('encap.'.repeat(layers.tags.length), layers, false, report)
  reportRows(layers.key, layers.mask, report)
  reportFragments(layers.key, layers.mask, report)
  reportArp(layers.key, layers.mask, report)
  return found
}

function reportTags(key: FlowKey, mask: FlowKey, report: Report): void {
  const { tags } = layersOf(key, mask)
  const innermost = tags.at(-1)?.next.value ?? key.etherType
  if (innermost === etherTypes.VLAN || innermost === etherTypes.QINQ)
    report('vlan', 'a tag that is cut short')
  if (tags.length > MAX_TAGS) report('encap', `more than ${MAX_TAGS} VLAN tags`)
  tags.forEach((tag, depth) => {
    const path = `${'encap.'.repeat(depth)}vlan`
    if (!wholeOrNothing(tag.mask.vid, 0xfff)) report(`${path}.vid`, 'some bits of a VLAN id; all or none')
    if (!wholeOrNothing(tag.mask.pcp, 7)) report(`${path}.pcp`, 'some bits of a VLAN priority; all or none')
    if (tag.key.cfi === 0 || tag.mask.cfi === 0) report(`${path}.cfi`, 'a tag that may be absent')
    if (!wholeOrNothing(tag.next.mask, 0xffff))
      report(`${path}.encap.etherType`, 'some bits of an Ethernet type')
  })
}

const wholeOrNothing = (mask: number | undefined, ones: number): boolean => !mask || mask === ones

/** What the layers account for themselves. */
const elsewhere = new Set(['recircId', 'inPort', 'etherType', 'vlan', 'encap', 'ipv4.frag', 'ipv6.frag'])
const matchable = new Set(
  matchRows.map(({ attribute, part }) => (part === undefined ? attribute : `${attribute}.${part}`)),
)

/** Mask bits no row and no special rule speaks for. */
function reportUnmatched(
  prefix: string,
  { key, mask }: { readonly key: FlowKey; readonly mask: FlowKey },
  tagged: boolean,
  report: Report,
): void {
  for (const [attribute, bits] of Object.entries(mask)) {
    if (elsewhere.has(attribute)) continue
    if (attribute === 'unknown') {
      // The kernel puts a tunnel into every mask it reports, also where the key has none (__ovs_nla_put_key(), Linux 6.1).
      const keyed = mask.unknown?.filter(({ id }) => key.unknown?.some((other) => other.id === id))
      if (counts(keyed)) report(`${prefix}unknown`, 'flower has no such match')
      continue
    }
    const isField = typeof bits !== 'object' || attribute === 'unknown'
    const parts: [string, unknown][] = isField
      ? [[attribute, bits]]
      : Object.entries(bits as object).map(([part, value]) => [`${attribute}.${part}`, value])
    for (const [path, value] of parts) {
      // Behind a tag only the frame's addresses belong to the outer key.
      const known = matchable.has(path) && !(tagged && attribute !== 'ethernet')
      if (!known && !elsewhere.has(path) && counts(value))
        report(`${prefix}${path}`, 'flower has no such match')
    }
  }
}

function counts(bits: unknown): boolean {
  if (Array.isArray(bits))
    return bits.some(({ data }: { data: Uint8Array }) => data.some((byte) => byte !== 0))
  return typeof bits === 'string' ? !/^[0:.]*$/.test(bits) : Boolean(bits)
}

/** Rows flower looks at only behind the right header, and fields it takes only whole. */
function reportRows(key: FlowKey, mask: FlowKey, report: Report): void {
  const ip = mask.ipv4 ?? mask.ipv6
  const proto = ip?.proto === 0xff ? (key.ipv4 ?? key.ipv6)?.proto : undefined
  for (const row of matchRows) {
    const bits = fieldOf(mask, row)
    if (bits === row.codec.zero) continue
    const path = row.part === undefined ? row.attribute : `${row.attribute}.${row.part}`
    if (row.maskId === undefined && bits !== row.codec.ones) report(path, 'some bits of it; all or none')
    if (row.etherType !== undefined && row.etherType !== key.etherType) {
      report(path, `needs eth_type 0x${row.etherType.toString(16).padStart(4, '0')}`)
    } else if (row.proto !== undefined && row.proto !== proto) {
      report(path, `needs an exact match on IP protocol ${row.proto}`)
    }
  }
}

const l4Attributes = ['tcp', 'tcpFlags', 'udp', 'icmp', 'icmpv6'] as const

/**
 * flower dissects no L4 header of a fragment, not even of the first (no FLOW_DISSECTOR_F_PARSE_1ST_FRAG in fl_classify()), while
 * openvswitch does.
 */
function reportFragments(key: FlowKey, mask: FlowKey, report: Report): void {
  const name = key.ipv6 === undefined ? 'ipv4' : 'ipv6'
  const bits = mask[name]?.frag
  const value = bits ? key[name]?.frag : undefined
  if (bits && bits !== 0xff) report(`${name}.frag`, 'some bits of the fragment type; all or none')
  if (name === 'ipv6' && value) report('ipv6.frag', 'IPv6 fragments')
  const l4 = l4Attributes.find((attribute) => anyCounts(mask[attribute]))
  if (l4 !== undefined && value !== 0) {
    report(`${name}.frag`, `${l4} is matched, but flower sees no such header in fragments; match frag=no`)
  }
}

function anyCounts(bits: number | object | undefined): boolean {
  return typeof bits === 'object' ? Object.values(bits).some(counts) : Boolean(bits)
}

/** The dissector gives up on ARP packets that are neither request nor reply, and then matches none of their fields. */
function reportArp(key: FlowKey, mask: FlowKey, report: Report): void {
  if (!anyCounts(mask.arp)) return
  // openvswitch keeps one byte of the operation and reports its mask so; the other is 0 in every key it takes.
  const op = ((mask.arp?.op ?? 0) & 0xff) === 0xff ? key.arp?.op : undefined
  if (op !== 1 && op !== 2)
    report('arp.op', 'flower sees ARP fields of requests and replies only; match op=1 or op=2')
}
