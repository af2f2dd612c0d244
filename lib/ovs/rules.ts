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
  if (key.vlan !== undefined) {
    if (key.etherType !== 0x8100 && key.etherType !== 0x88a8)
      report('vlan', 'vlan() goes with eth_type(0x8100) or 0x88a8')
    if (key.encap === undefined) report('encap', 'vlan() goes with encap()')
    if (mask.vlan?.cfi === 0) report('vlan.cfi', 'the mask of vlan() includes cfi')
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
  if (key.encap !== undefined)
    found.push(...violationsOf(key.encap, mask.encap ?? {}, `${path}encap.`, whole))
  return found
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
