import type { FlowKey } from '../../types/flow.js'

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

/** Which attributes a key must have beside others (match_validate(), net/openvswitch/flow_netlink.c). */
// biome-ignore format: one row per line
const companions: readonly Companion[] = [
  { when: type(0x0800), needs: 'ipv4', problem: 'eth_type(0x0800) goes with ipv4()' },
  { when: type(0x86dd), needs: 'ipv6', problem: 'eth_type(0x86dd) goes with ipv6()' },
  { when: type(0x0806), needs: 'arp', problem: 'eth_type(0x0806) goes with arp()' },
  { when: type(0x8035), needs: 'arp', problem: 'eth_type(0x8035) goes with arp()' },
  { when: proto(6), needs: 'tcp', problem: 'IP protocol 6 goes with tcp()' },
  { when: proto(6), needs: 'tcpFlags', problem: 'IP protocol 6 goes with tcp_flags()' },
  { when: proto(17), needs: 'udp', problem: 'IP protocol 17 goes with udp()' },
  { when: (key) => key.etherType === 0x0800 && proto(1)(key), needs: 'icmp', problem: 'IP protocol 1 goes with icmp()' },
  { when: (key) => key.etherType === 0x86dd && proto(58)(key), needs: 'icmpv6', problem: 'IP protocol 58 goes with icmpv6()' },
]

/** The kernel's rules that a flow breaks, as far as they are known here; for the person who was told EINVAL. */
export function violationsOf(key: FlowKey, mask: FlowKey, path = ''): Violation[] {
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
  for (const name of ['ipv4', 'ipv6', 'arp'] as const) {
    if (mask[name] !== undefined && key[name] === undefined)
      report(name, `${name} is masked but not in the key`)
    else if (mask[name] !== undefined && !isZero(mask[name]) && mask.etherType !== 0xffff) {
      report(name, `${name}() can be matched only with an exact eth_type()`)
    }
  }
  for (const name of ['tcp', 'tcpFlags', 'udp', 'icmp', 'icmpv6'] as const) {
    const bits = mask[name]
    const protoMask = (mask.ipv4 ?? mask.ipv6)?.proto
    if (bits !== undefined && !isZero(bits) && protoMask !== 0xff) {
      report(name, `${name}() can be matched only with an exact IP protocol`)
    }
  }
  if (key.encap !== undefined) found.push(...violationsOf(key.encap, mask.encap ?? {}, `${path}encap.`))
  return found
}

function isZero(bits: number | object): boolean {
  if (typeof bits === 'number') return bits === 0
  return Object.values(bits).every((part) => !part || (typeof part === 'string' && /^[0:.]*$/.test(part)))
}
