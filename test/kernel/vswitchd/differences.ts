import type { ReasonCode } from '../../../types/errors.js'
import type { Action } from '../../../types/action.js'
import { ParsedUfid, ufidToBytes } from '../../../lib/ovs/ufid.js'
import { matchesCt } from '../../../lib/tc/match-ct.js'
import { type Layers, layersOf } from '../../../lib/tc/match.js'
import type { Filter, Json } from '../../fixtures/filters.js'
import type { RandomFlow } from '../../fixtures/random-flows.js'

// Where OVS 3.1 and this library do not do the same with TC, and why not.

/** A flow by the ufid under which both put it. */
export type Flow = RandomFlow & { readonly ufid: string }

/** What OVS makes of a flow, and how its filter would look if it did as we do. */
export interface FilterDifference {
  readonly what: string
  readonly mend: (theirs: Filter, flow: Flow) => Filter
}

export const filterDifferences: readonly FilterDifference[] = [
  {
    what: 'OVS puts the cookie on conntrack actions too; there is always an end that has it',
    mend: (filter) =>
      withActions(filter, (action) => (action.kind === 'ct' ? without(action, 'cookie') : action)),
  },
  {
    what: 'OVS drops by the verdict of the last action, which may leave no cookie to know the flow by',
    mend: (filter, flow) => {
      const last = filter.actions.at(-1)
      if (last === undefined || last.kind === 'gact' || verdictOf(last) !== 'drop') return filter
      const cookie = Buffer.from(ufidToBytes(new ParsedUfid(flow.ufid))).toString('hex')
      const pipe = { ...last, control_action: { type: 'pipe' } }
      return { ...filter, actions: [...filter.actions.slice(0, -1), pipe, dropWith(cookie)] }
    },
  },
  {
    what: 'OVS takes a packet away by the verdict of check_pkt_len where both branches drop; we drop in each',
    mend: (filter) => {
      const [police, gact, ...more] = filter.actions
      if (police?.kind !== 'police' || verdictOf(police) !== 'stolen' || gact !== undefined) return filter
      const jump = { ...police, control_action: { type: 'jump', jump: 2 } }
      const { cookie } = police
      return { ...filter, actions: [jump, dropWith(cookie), dropWith(cookie), ...more] }
    },
  },
  {
    what: 'OVS has the checksum of the transport written anew where a TTL or a class is, which would hide that it was wrong',
    mend: (filter) => {
      const actions = filter.actions.flatMap((action, index) => {
        if (action.kind !== 'csum' || coversTransport(filter.actions.slice(0, index))) return [action]
        return /iph/.test(String(action.csum)) ? [{ ...action, csum: 'iph' }] : []
      })
      return { ...filter, actions }
    },
  },
  {
    what: 'OVS leaves out IP protocol 0, and so matches all protocols',
    mend: (filter, flow) => (isProto0(flow) ? withKeys(filter, { ip_proto: '00' }) : filter),
  },
  {
    what: 'OVS leaves out -new beside +est, and so matches more',
    mend: (filter, { key, mask }) => {
      const state = (key.ctState ?? 0) & (mask.ctState ?? 0)
      if (!((mask.ctState ?? 0) & NEW) || !(state & EST)) return filter
      return withKeys(filter, { ct_state: String(filter.keys.ct_state).replace('+trk', '+trk-new') })
    },
  },
  {
    what: 'OVS leaves out labels behind a VLAN tag, and so matches all labels',
    mend: (filter, flow) => {
      const { tags, key, mask } = layers(flow)
      const [label = {}] = key.mpls ?? []
      const [bits] = mask.mpls ?? []
      if (tags.length === 0 || bits === undefined) return filter
      return withKeys(filter, {
        ...(bits.label ? { mpls_label: label.label } : {}),
        ...(bits.tc ? { mpls_tc: String(label.tc) } : {}),
        ...(bits.bos ? { mpls_bos: String(label.bos) } : {}),
        ...(bits.ttl ? { mpls_ttl: String(label.ttl) } : {}),
      })
    },
  },
]

/** What OVS reads wrongly, or we do: these parts of a flow's line are not compared. */
export interface LineDifference {
  readonly what: string
  readonly of: (flow: Flow) => boolean
  /** What is left of a part on both sides; nothing when empty. */
  readonly left: (part: string) => string
}

const drop = (pattern: RegExp) => (part: string) => (pattern.test(part) ? '' : part)

export const lineDifferences: readonly LineDifference[] = [
  {
    what: 'OVS reads that a VLAN id or priority is 0 where it is not matched',
    of: ({ mask }) => mask.vlan !== undefined && !(mask.vlan.vid && mask.vlan.pcp),
    left: drop(/^vlan\(/),
  },
  {
    what: 'OVS does not read a second VLAN tag',
    of: (flow) => layers(flow).tags.length > 1,
    left: drop(/^(encap|vlan)\(|^dp:/),
  },
  {
    what: 'OVS reads labels without their mask, and none as an error',
    of: ({ key }) => isMpls(key.etherType),
    left: drop(/^mpls\(|^dp:/),
  },
  {
    what: 'OVS reads neither labels nor ARP behind a VLAN tag',
    of: (flow) => {
      const { tags, key } = layers(flow)
      return tags.length > 0 && (isMpls(key.etherType) || key.etherType === ARP)
    },
    left: drop(/^encap\(|^dp:/),
  },
  {
    what: 'OVS reads no conntrack fields but of IP packets',
    of: (flow) => {
      const { key } = layers(flow)
      return matchesCt(flow.mask) && key.ipv4 === undefined && key.ipv6 === undefined
    },
    left: drop(/^ct_(state|mark|label)\(/),
  },
  {
    what: 'OVS does not read IP protocol 0',
    of: isProto0,
    left: (part) => part.replace('proto=0/0', 'proto=0'),
  },
  {
    what: 'OVS shows bits of an ARP operation that do not count',
    of: ({ mask }) => Boolean(mask.arp?.op),
    left: (part) => part.replace(/(?<=op=)\d+(?=\/0x)/, ''),
  },
  {
    what: 'OVS passes over marks and priorities that a filter writes',
    of: ({ actions }) => actions.some((action) => writesMark(action)),
    left: (part) =>
      part.startsWith('actions:')
        ? `actions:${part
            .slice(8)
            .split(/,(?![^(]*\))/)
            .filter((one) => !/^(set\(skb_|drop$)/.test(one))}`
        : part,
  },
  {
    what: 'OVS does not read the label that is written into an IPv6 header',
    of: ({ actions }) => actions.some(({ set, setMasked }) => (set ?? setMasked?.key)?.ipv6 !== undefined),
    left: (part) =>
      part.startsWith('actions:') ? part.replace(/(?<=set\(ipv6\([^()]*)label=[0-9a-fx/]+,/g, '') : part,
  },
  {
    what: 'OVS leaves out the TTL of a tunnel that is 0, which openvswitch reports',
    of: ({ actions }) => actions.some(({ set }) => set?.tunnel !== undefined),
    left: (part) =>
      part.startsWith('actions:') ? part.replace(/(?<=set\(tunnel\([^()]*)ttl=0,?/g, '') : part,
  },
  {
    what: 'jumps over more than the first action are not read by us: drivers and the kernel count them differently',
    of: ({ actions }) => actions.some(({ checkPktLen }) => checkPktLen !== undefined),
    left: drop(/^actions:/),
  },
]

/** Filters that OVS does not print at all. */
export const unreadable: readonly Omit<LineDifference, 'left'>[] = [
  {
    what: 'OVS prints no filter with a rewrite behind which are not the checksums that it would write',
    of: ({ actions }) => actions.some((action) => rewritesIp(action)),
  },
  {
    what: 'OVS prints no filter that pushes a label before the Ethernet header',
    of: ({ actions }) => actions.some(({ addMpls }) => addMpls !== undefined),
  },
]

/** What we refuse and OVS installs, by the reason we give. */
export const stricter: { readonly [K in ReasonCode]?: string } = {
  FRAGMENT_L4: "OVS's filter misses the first fragment, whose ports flower does not see",
  KERNEL_RULE: 'OVS asks for other conntrack states than were asked for',
  NEEDS_EXACT: "OVS's filter misses all ARP packets that are neither request nor reply",
  NEEDS_KERNEL: 'OVS leaves out that the packets of a tunnel are not to be fragmented',
  NO_FLOWER_KEY: 'OVS takes a match on mark 0 for one on any mark',
  NO_TC_ACTION:
    'OVS leaves out timeouts and the options of NAT, and rewrites behind two tags what is not the IP header',
  ORDER:
    'OVS goes on behind check_pkt_len with what a branch has changed, and with jumps that drivers count differently',
  PARTIAL_MASK: 'OVS matches all bits, and so misses packets',
  VALUE_TOO_LARGE: 'OVS cuts off the upper half of a tunnel id',
  UNKNOWN_CHECKSUM: 'OVS asks for a checksum that a fragment does not have',
}

const layers = ({ key, mask }: Flow): Layers => layersOf(key, mask)
const NEW = 1
const EST = 2
const ARP = 0x0806
const isMpls = (etherType: number | undefined) => etherType === 0x8847 || etherType === 0x8848

function isProto0(flow: Flow): boolean {
  const { key, mask } = layers(flow)
  return (key.ipv4 ?? key.ipv6)?.proto === 0 && (mask.ipv4 ?? mask.ipv6)?.proto === 0xff
}

/** Whether rewrites just before touch what the checksum of the next header covers. */
function coversTransport(actions: readonly Json[]): boolean {
  const last = actions.at(-1)
  if (last?.kind !== 'pedit') return false
  const covered = (last.keys as readonly { htype: string; offset: number }[]).some(({ htype, offset }) => {
    return (
      htype === 'tcp' ||
      htype === 'udp' ||
      (htype === 'ipv4' && offset >= 12) ||
      (htype === 'ipv6' && offset >= 8)
    )
  })
  return covered || coversTransport(actions.slice(0, -1))
}

function rewritesIp({ set, setMasked }: Action): boolean {
  const key = set ?? setMasked?.key
  return key?.ipv4 !== undefined || key?.ipv6 !== undefined
}

function writesMark({ set, setMasked }: Action): boolean {
  const key = set ?? setMasked?.key
  return key?.skbMark !== undefined || key?.skbPriority !== undefined
}

const verdictOf = (action: Json): string | undefined =>
  (action as { control_action?: { type?: string } }).control_action?.type

const dropWith = (cookie: unknown): Json => {
  const prob = { random_type: 'none', control_action: { type: 'pass' }, val: 0 }
  return { kind: 'gact', control_action: { type: 'drop' }, prob, cookie, no_percpu: true }
}

const withActions = (filter: Filter, change: (action: Json) => Json): Filter => {
  return { ...filter, actions: filter.actions.map(change) }
}

const withKeys = (filter: Filter, keys: Json): Filter => ({ ...filter, keys: { ...filter.keys, ...keys } })

const without = (part: Json, name: string): Json =>
  Object.fromEntries(Object.entries(part).filter(([other]) => other !== name))
