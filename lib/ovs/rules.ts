import type { FlowKey } from '../../types/flow.js'
import { MPLS_DEPTH } from './mpls.js'
import { nshViolations, tunnelViolations } from './rules-tunnel.js'

/** A rule the kernel enforces, told after it answered a bare EINVAL. */
export interface Violation {
  readonly path: string
  readonly problem: string
}

interface Companion {
  readonly when: (key: FlowKey) => boolean
  readonly needs: keyof FlowKey & string
  readonly problem: string
}

const ip = (key: FlowKey) =>
  key.etherType === 0x0800 ? key.ipv4 : key.etherType === 0x86dd ? key.ipv6 : undefined
const proto = (number: number) => (key: FlowKey) => ip(key)?.proto === number && ip(key)?.frag !== 2
const type = (number: number) => (key: FlowKey) => key.etherType === number
const isNeighbour = (key: FlowKey) =>
  key.etherType === 0x86dd && proto(58)(key) && (key.icmpv6?.type === 135 || key.icmpv6?.type === 136)

/** Which attributes a key must have beside others (match_validate(), net/openvswitch/flow_netlink.c). */
// biome-ignore format: one row per line
const companions: readonly Companion[] = [
  { when: type(0x0800), needs: 'ipv4', problem: 'eth_type(0x0800) goes with ipv4()' },
  { when: type(0x86dd), needs: 'ipv6', problem: 'eth_type(0x86dd) goes with ipv6()' },
  { when: type(0x0806), needs: 'arp', problem: 'eth_type(0x0806) goes with arp()' },
  { when: type(0x8035), needs: 'arp', problem: 'eth_type(0x8035) goes with arp()' },
  { when: type(0x8847), needs: 'mpls', problem: 'eth_type(0x8847) goes with mpls()' },
  { when: type(0x8848), needs: 'mpls', problem: 'eth_type(0x8848) goes with mpls()' },
  { when: type(0x894f), needs: 'nsh', problem: 'eth_type(0x894f) goes with nsh()' },
  { when: proto(6), needs: 'tcp', problem: 'IP protocol 6 goes with tcp()' },
  { when: proto(6), needs: 'tcpFlags', problem: 'IP protocol 6 goes with tcp_flags()' },
  { when: proto(17), needs: 'udp', problem: 'IP protocol 17 goes with udp()' },
  { when: proto(132), needs: 'sctp', problem: 'IP protocol 132 goes with sctp()' },
  { when: (key) => key.etherType === 0x0800 && proto(1)(key), needs: 'icmp', problem: 'IP protocol 1 goes with icmp()' },
  { when: (key) => key.etherType === 0x86dd && proto(58)(key), needs: 'icmpv6', problem: 'IP protocol 58 goes with icmpv6()' },
  { when: isNeighbour, needs: 'nd', problem: 'ICMPv6 type 135 and 136 go with nd()' },
]

/** The packets that have a header behind that of IP. */
const carries = {
  tcp: proto(6),
  tcpFlags: proto(6),
  udp: proto(17),
  sctp: proto(132),
  icmp: (key: FlowKey) => key.etherType === 0x0800 && proto(1)(key),
  icmpv6: (key: FlowKey) => key.etherType === 0x86dd && proto(58)(key),
  nd: isNeighbour,
} as const

/** The kernel's rules that a flow breaks, as far as they are known here; for the person who was told EINVAL. */
export function violationsOf(
  key: FlowKey,
  mask: FlowKey,
  path = '',
  whole: Whole = wholeOf(key, mask),
): Violation[] {
  const found: Violation[] = []
  const report = (where: string, problem: string) => found.push({ path: `${path}${where}`, problem })
  if (path === '' && key.ethernet === undefined && key.etherType === undefined) {
    report('ethernet', 'a flow needs eth() or, for packets without an Ethernet header, eth_type()')
  }
  for (const { when, needs, problem } of companions)
    if (when(key) && key[needs] === undefined) report(needs, problem)
  // ETH_P_802_3_MIN, eth_proto_is_802_3().
  if (key.etherType !== undefined && key.etherType < 0x600)
    report('etherType', `an Ethernet type is 0x0600 or more, not ${hex4(key.etherType)}; leave it out`)
  if (key.vlan !== undefined) {
    if (key.etherType !== 0x8100 && key.etherType !== 0x88a8)
      report('vlan', 'vlan() goes with eth_type(0x8100) or 0x88a8')
    if (key.encap === undefined) report('encap', 'vlan() goes with encap()')
    tagViolations(key, mask, report)
  } else {
    for (const name of ['vlan', 'encap'] as const)
      if (
        mask[name] !== undefined &&
        key[name] === undefined &&
        !isZero(name === 'vlan' ? { cfi: 1, ...mask.vlan } : mask.encap)
      )
        report(name, `${name} is masked but not in the key`)
  }
  for (const name of ['packetType', 'ndExtensions'] as const) {
    const given = key[name] ?? mask[name]
    if (given !== undefined) report(name, `${name} is for Open vSwitch in userspace; leave it out`)
  }
  for (const [name, bits] of Object.entries(mask)) {
    if (!maskedAlone.has(name) && !whole.names.has(name) && !isZero(bits))
      report(name, `${name} is masked but not in the key`)
  }
  for (const [name, types] of Object.entries(typed) as [keyof FlowKey, readonly number[]][]) {
    if (key[name] === undefined || isZero(mask[name])) continue
    if (!types.includes(whole.key.etherType ?? 0)) {
      report(
        name,
        `${name} can be matched only with eth_type ${types.map((type) => hex4(type)).join(' or ')}`,
      )
    } else if (!whole.mask.etherType) report(name, `${name} can be matched only with an exact eth_type()`)
  }
  for (const name of ['tcp', 'tcpFlags', 'udp', 'sctp', 'icmp', 'icmpv6', 'nd'] as const) {
    if (isZero(mask[name])) continue
    const protoMask = (mask.ipv4 ?? mask.ipv6)?.proto
    if (protoMask !== 0xff) report(name, `${name}() can be matched only with an exact IP protocol`)
    else if (whole.names.has(name) && !carries[name](whole.key))
      report(name, `${name}() can be matched only with its own IP protocol, and not in later fragments`)
  }
  if (!isZero(mask.nd) && mask.icmpv6?.type !== 0xff)
    report('nd', 'nd() can be matched only with an exact ICMPv6 type')
  if (!isZero(mask.ctTuple6) && isNeighbour(whole.key))
    report('ctTuple6', 'the kernel keeps nd() where ct_tuple6() would be; match one of them')
  for (const side of [key, mask]) {
    if ((side.ctState ?? 0) > 0xff)
      report('ctState', `conntrack state has 8 bits, not ${side.ctState?.toString(16)}`)
    if ((side.mpls?.length ?? 0) > MPLS_DEPTH) report('mpls', `the kernel matches ${MPLS_DEPTH} labels`)
  }
  if (key.mpls?.length === 0) report('mpls', 'mpls() has at least one label')
  tunnelViolations(key.tunnel, mask.tunnel, report)
  nshViolations(key.nsh, mask.nsh, report)
  for (const name of new Set([...saidTwice(key), ...saidTwice(mask)]))
    report(name, `${name} is before the tag and in encap(); have it once`)
  if (key.encap !== undefined)
    found.push(...violationsOf(key.encap, mask.encap ?? {}, `${path}encap.`, whole))
  return found
}

/** What the kernel refuses in the mask of a tag (validate_vlan_mask_from_nlattrs()): it looks for the tag's encap first. */
function tagViolations(key: FlowKey, mask: FlowKey, report: (where: string, problem: string) => void): void {
  const { vid = 0, pcp = 0, cfi = 1 } = key.vlan ?? {}
  const inside = Object.keys(mask.encap ?? {}).length > 0
  if (cfi === 0) {
    if (vid !== 0 || pcp !== 0) report('vlan.cfi', 'vlan() without cfi has neither vid nor pcp')
    if (Object.keys(key.encap ?? {}).length > 0) report('encap', 'behind vlan() without cfi there is nothing')
    if (inside) report('encap', 'behind vlan() without cfi nothing can be matched')
    else if (mask.vlan !== undefined && !isZero({ cfi: 1, ...mask.vlan }))
      report('vlan', 'vlan() without cfi is always exact; leave it out of the mask')
    return
  }
  if (inside) {
    if ((mask.vlan?.cfi ?? (mask.vlan ? 1 : 0)) === 0) report('vlan.cfi', 'the mask of vlan() includes cfi')
    if (mask.etherType !== 0xffff) report('etherType', 'encap() can be matched only with an exact eth_type()')
  } else if (mask.vlan !== undefined && !isZero({ cfi: 1, ...mask.vlan }))
    report('encap', 'vlan() can be matched only with a match on something in encap(), if only eth_type(0/0)')
}

/** What the kernel looks at together: it puts what is behind the tags beside what is before them. */
interface Whole {
  /** The innermost layer. */
  readonly key: FlowKey
  readonly mask: FlowKey
  /** The attributes of all layers. */
  readonly names: ReadonlySet<string>
}

function wholeOf(key: FlowKey, mask: FlowKey): Whole {
  const names = new Set(Object.keys(key))
  let at = { key, mask }
  while (at.key.encap !== undefined) {
    at = { key: at.key.encap, mask: at.mask.encap ?? {} }
    for (const name of Object.keys(at.key)) names.add(name)
  }
  return { ...at, names }
}

/** What a mask may have without a key (match_validate()); a tag is judged by itself. */
const maskedAlone: ReadonlySet<string> = new Set([
  'tunnel',
  'inPort',
  'etherType',
  'vlan',
  'encap',
  'unknown',
])

/** What is before a tag and once more behind it. */
function* saidTwice(outer: FlowKey): Generator<keyof FlowKey & string> {
  for (let layer = outer.encap; layer !== undefined; layer = layer.encap) {
    for (const name of Object.keys(layer) as (keyof FlowKey & string)[])
      if (!layered.has(name) && outer[name] !== undefined) yield name
  }
}

/** What every layer may have; of other attributes there is one in all (parse_flow_nlattrs()). */
const layered: ReadonlySet<string> = new Set(['etherType', 'vlan', 'encap', 'unknown'])

/** What is matched only behind an Ethernet type that is. */
const typed: { readonly [K in keyof FlowKey]?: readonly number[] } = {
  ctTuple4: [0x0800],
  ctTuple6: [0x86dd],
  ipv4: [0x0800],
  ipv6: [0x86dd],
  arp: [0x0806, 0x8035],
  mpls: [0x8847, 0x8848],
  nsh: [0x894f],
}

function hex4(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`
}

/** Whether nothing counts, which is as if it were not there. */
function isZero(bits: unknown): boolean {
  if (typeof bits === 'object' && bits !== null) return Object.values(bits).every(isZero)
  return !bits || (typeof bits === 'string' && /^[0:.]*$/.test(bits))
}
