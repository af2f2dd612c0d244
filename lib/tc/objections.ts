import type { Failure, ReasonCode } from '../../types/errors.js'
import type { FlowKey } from '../../types/flow.js'
import { MAX_JUMP } from './action/kind.js'
import { linux61, type Supports } from './features.js'
import {
  etherTypes,
  fieldOf,
  layersOf,
  type MatchRow,
  MAX_TAGS,
  matchRows,
  needsTagCount,
  outerAttributes,
  type Tag,
} from './match.js'
import { matchesCt, reportCt } from './match-ct.js'
import { reportMpls } from './match-mpls.js'
import { counts } from './match-row.js'
import { matchesTunnel, reportNoTunnel, reportTunnel } from './match-tunnel.js'
import type { Report } from './reasons.js'

/** What TC cannot match exactly, as a path into the flow, a reason and a sentence. */
export interface Objection extends Pick<Failure, 'code'> {
  readonly path: string
  readonly reason: ReasonCode
  readonly problem: string
}

/** What a match may count on. */
export interface MatchAbilities {
  /** What the kernel has; Linux 6.1 when left out. */
  readonly supports?: Supports
  /** Recirculated packets find their flows in the chain of that number; they do not when left out. */
  readonly chains?: boolean
}

/** Everything that keeps a match from being a flower filter that matches the same packets, no more and no fewer. */
export function matchObjections(
  key: FlowKey,
  mask: FlowKey,
  { supports = linux61, chains = false }: MatchAbilities = {},
): Objection[] {
  const found: Objection[] = []
  const report: Report = (path, reason, problem) =>
    found.push({ code: 'UNSUPPORTED_MATCH', path, reason, problem })
  if (key.inPort === undefined || !mask.inPort) {
    const problem = 'a TC filter lives on one port; match in_port'
    found.push({ code: 'NO_IN_PORT', path: 'inPort', reason: 'NO_IN_PORT', problem })
  }
  reportRecirculation(key, mask, chains, report)
  if (key.ethernet === undefined) report('ethernet', 'NO_FLOWER_KEY', 'packets without an Ethernet header')
  if (key.etherType === undefined || mask.etherType !== 0xffff) {
    report('etherType', 'NEEDS_EXACT', 'a TC filter is for exactly one Ethernet type; match eth_type')
  }
  const layers = layersOf(key, mask)
  const { tags } = layers
  const inner = 'encap.'.repeat(tags.length)
  reportTags(key, tags, supports, report)
  reportUnmatched({ key, mask }, true, tags.length === 0, '', report)
  if (tags.length > 0) reportUnmatched(layers, false, true, inner, report)
  reportRows(layers.key, layers.mask, inner, report)
  reportFragments(layers.key, layers.mask, inner, report)
  reportArp(layers.key, layers.mask, inner, report)
  if (layers.mask.mpls !== undefined) {
    const etherType = layers.mask.etherType === 0xffff ? layers.key.etherType : undefined
    reportMpls(inner, layers.key.mpls, layers.mask.mpls, etherType, supports, report)
  }
  if (matchesTunnel(key, mask)) reportTunnel(key, mask, supports, report)
  else if (key.tunnel === undefined && counts(mask.tunnel)) reportNoTunnel(report)
  if (matchesCt(mask)) reportCt(key, mask, supports, report)
  return found
}

/** A chain is for one recirculation id. A flow that does not care which pass it is in is taken for the first, as in OVS. */
function reportRecirculation(
  { recircId: id = 0 }: FlowKey,
  { recircId: bits = 0 }: FlowKey,
  chains: boolean,
  report: Report,
): void {
  if (bits === 0) return
  const path = 'recircId'
  if (bits !== 0xffffffff) report(path, 'PARTIAL_MASK', 'some bits of a recirculation id; all or none')
  if (id === 0) return
  if (id > MAX_JUMP)
    report(path, 'VALUE_TOO_LARGE', `recirculation id ${id} does not fit the 28 bits of a chain`)
  if (!chains) report(path, 'NOT_SHARED', NOT_SHARED)
}

/** What is said where recirculation is matched, and where it is done. */
export const NOT_SHARED =
  'a packet that TC leaves in the middle would begin anew in this datapath, which does not share recirculation with TC'

function reportTags(key: FlowKey, tags: readonly Tag[], supports: Supports, report: Report): void {
  const innermost = tags.length > 0 ? tags.at(-1)?.next.value : key.etherType
  if (innermost === etherTypes.VLAN || innermost === etherTypes.QINQ)
    report('vlan', 'NO_FLOWER_KEY', 'a tag that is cut short')
  if (tags.length > MAX_TAGS) report('encap', 'TOO_DEEP', `more than ${MAX_TAGS} VLAN tags`)
  tags.forEach((tag, depth) => {
    const path = 'encap.'.repeat(depth)
    const parts: [string, number | undefined, number, string][] = [
      ['vlan.vid', tag.mask.vid, 0xfff, 'a VLAN id'],
      ['vlan.pcp', tag.mask.pcp, 7, 'a VLAN priority'],
      ['encap.etherType', tag.next.mask, 0xffff, 'an Ethernet type'],
    ]
    for (const [part, bits, ones, name] of parts) {
      if (bits && bits !== ones) report(`${path}${part}`, 'PARTIAL_MASK', `some bits of ${name}; all or none`)
    }
    if (tag.key.cfi === 0 || tag.mask.cfi === 0)
      report(`${path}vlan.cfi`, 'NO_FLOWER_KEY', 'a tag that may be absent')
    // What follows counts, and there is nothing it should be.
    if (tag.next.mask !== 0 && tag.next.value === undefined)
      report(`${path}encap.etherType`, 'NO_FLOWER_KEY', 'a frame without an Ethernet type behind the tag')
  })
  if (needsTagCount(tags) && !supports.has('numOfVlans')) {
    const problem =
      'flower can match one tag and no second, whatever follows, from Linux 5.19; match eth_type'
    report('encap.etherType', 'NEEDS_KERNEL', problem)
  }
}

/** What the layers and the rules of their own account for. */
const elsewhere = new Set(['recircId', 'inPort', 'etherType', 'vlan', 'encap'])
const ruled = new Set(['tunnel', 'ctState', 'mpls'])
/** The parts of an attribute that have a row or a rule; one that is a field itself has an empty name. */
const known = new Map<string, Set<string>>([
  ['ipv4', new Set(['frag'])],
  ['ipv6', new Set(['frag'])],
])
for (const { attribute, part = '' } of matchRows) {
  const parts = known.get(attribute)
  if (parts === undefined) known.set(attribute, new Set([part]))
  else parts.add(part)
}

/** Mask bits no row and no special rule speaks for: `outer` attributes belong to the outer key, headers to the innermost one. */
function reportUnmatched(
  { key, mask }: { readonly key: FlowKey; readonly mask: FlowKey },
  outer: boolean,
  headers: boolean,
  prefix: string,
  report: Report,
): void {
  for (const [attribute, bits] of Object.entries(mask)) {
    if (elsewhere.has(attribute)) continue
    if (attribute === 'unknown') {
      // A mask without a key: the kernel refuses it from others, and reports it itself (a tunnel, __ovs_nla_put_key(), Linux 6.1).
      const keyed = mask.unknown?.filter(({ id }) => key.unknown?.some((other) => other.id === id))
      if (counts(keyed)) report(`${prefix}unknown`, 'NO_FLOWER_KEY', 'flower has no such match')
      continue
    }
    const here = outerAttributes.has(attribute) ? outer : headers
    if (here && ruled.has(attribute)) continue
    const parts = here ? known.get(attribute) : undefined
    if (typeof bits !== 'object' || Array.isArray(bits)) {
      if (parts === undefined && counts(bits))
        report(`${prefix}${attribute}`, 'NO_FLOWER_KEY', 'flower has no such match')
      continue
    }
    for (const [part, value] of Object.entries(bits)) {
      if (!parts?.has(part) && counts(value))
        report(`${prefix}${attribute}.${part}`, 'NO_FLOWER_KEY', 'flower has no such match')
    }
  }
}

/** The rows of headers: those of tunnels and conntrack have rules of their own. */
const headerRows = matchRows.filter(({ attribute }) => !outerAttributes.has(attribute))

/** Rows flower looks at only behind the right header, and fields it takes only whole. */
function reportRows(key: FlowKey, mask: FlowKey, prefix: string, report: Report): void {
  const etherType = mask.etherType === 0xffff ? key.etherType : undefined
  const ip = mask.ipv4 ?? mask.ipv6
  const proto = ip?.proto === 0xff ? (key.ipv4 ?? key.ipv6)?.proto : undefined
  for (const row of headerRows) {
    const bits = fieldOf(mask, row)
    if (bits === row.codec.zero) continue
    const path = `${prefix}${pathOf(row)}`
    if (row.maskId === undefined && bits !== row.codec.ones)
      report(path, 'PARTIAL_MASK', 'some bits of it; all or none')
    if (row.etherType !== undefined && row.etherType !== etherType) {
      report(path, 'NEEDS_EXACT', `needs eth_type 0x${row.etherType.toString(16).padStart(4, '0')}`)
    } else if (row.proto !== undefined && row.proto !== proto) {
      report(path, 'NEEDS_EXACT', `needs an exact match on IP protocol ${row.proto}`)
    }
  }
}

const pathOf = ({ attribute, part }: MatchRow): string =>
  part === undefined ? attribute : `${attribute}.${part}`

const l4Attributes = ['tcp', 'tcpFlags', 'udp', 'icmp', 'icmpv6', 'sctp'] as const

/**
 * flower dissects no L4 header of a fragment, not even of the first (no FLOW_DISSECTOR_F_PARSE_1ST_FRAG in fl_classify()), while
 * openvswitch does.
 */
function reportFragments(key: FlowKey, mask: FlowKey, prefix: string, report: Report): void {
  const name = key.ipv6 === undefined ? 'ipv4' : 'ipv6'
  const path = `${prefix}${name}.frag`
  const bits = mask[name]?.frag
  const value = bits ? (key[name]?.frag ?? 0) : undefined
  if (bits && bits !== 0xff) report(path, 'PARTIAL_MASK', 'some bits of the fragment type; all or none')
  if (name === 'ipv6' && value) report(path, 'NO_FLOWER_KEY', 'IPv6 fragments')
  const l4 = l4Attributes.find((attribute) => counts(mask[attribute]))
  if (l4 !== undefined && value !== 0) {
    const problem = `${l4} is matched, but flower sees no such header in fragments; match frag=no`
    report(path, 'FRAGMENT_L4', problem)
  }
}

/** The dissector gives up on ARP packets that are neither request nor reply, and then matches none of their fields. */
function reportArp(key: FlowKey, mask: FlowKey, prefix: string, report: Report): void {
  if (mask.arp === undefined || !counts(mask.arp)) return
  // openvswitch keeps one byte of the operation and reports its mask so; the other is 0 in every key it takes.
  const op = ((mask.arp.op ?? 0) & 0xff) === 0xff ? key.arp?.op : undefined
  if (op !== 1 && op !== 2) {
    const problem = 'flower sees ARP fields of requests and replies only; match op=1 or op=2'
    report(`${prefix}arp.op`, 'NEEDS_EXACT', problem)
  }
}
