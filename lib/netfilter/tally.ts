import type { Connection } from '../../types/conntrack.js'
import { coalesced, protocolNames, tcpStateName } from './text.js'

/** How many connections there are, by protocol and by state of TCP. */
export interface ConnectionTally {
  readonly total: number
  /** By the names of {@link formatConnection}; a number where there is none. */
  readonly protocols: Readonly<Record<string, number>>
  /** By OVS's names, some of which stand for two of the kernel's. */
  readonly tcpStates: Readonly<Record<string, number>>
}

/** Counts connections as they are dumped. */
export class ConnectionCounter implements ConnectionTally {
  total = 0
  readonly protocols: Record<string, number> = {}
  readonly tcpStates: Record<string, number> = {}

  add({ original: { proto }, tcp }: Connection): void {
    const protocol = protocolNames[proto] ?? String(proto)
    this.total++
    this.protocols[protocol] = (this.protocols[protocol] ?? 0) + 1
    if (protocol !== 'tcp') return
    const name = tcpStateName(tcp?.state ?? 'NONE')
    const state = coalesced[name] ?? name
    this.tcpStates[state] = (this.tcpStates[state] ?? 0) + 1
  }
}

/** The lines of `ovs-dpctl ct-stats-show`; with `verbose` those of `-m`. */
export function formatTally({ total, protocols, tcpStates }: ConnectionTally, verbose = false): string {
  const lines = ['Connections Stats:', `    Total: ${total}`]
  for (const [label, protocol] of printed) {
    const count = protocols[protocol] ?? 0
    if (count === 0) continue
    lines.push(`  ${label}: ${count}`)
    if (protocol !== 'tcp' || !verbose) continue
    lines.push('    Conn per TCP states:')
    for (const state of states) if (tcpStates[state]) lines.push(`\t  [${state}]=${tcpStates[state]}`)
  }
  const others = Object.keys(protocols).filter((name) => /^[0-9]/.test(name))
  const count = others.reduce((sum, name) => sum + (protocols[name] ?? 0), 0)
  if (count > 0) lines.push(`  Other: ${count}`)
  return lines.join('\n')
}

/** In OVS's order, without ICMPv6, which OVS counts and does not print. */
const printed = [
  ['TCP', 'tcp'],
  ['UDP', 'udp'],
  ['UDPLITE', 'udplite'],
  ['SCTP', 'sctp'],
  ['ICMP', 'icmp'],
  ['DCCP', 'dccp'],
  ['IGMP', 'igmp'],
] as const

// biome-ignore format: a list
const states = [
  'CLOSED', 'LISTEN', 'SYN_SENT', 'SYN_RECV', 'ESTABLISHED', 'CLOSE_WAIT', 'FIN_WAIT_1', 'CLOSING', 'LAST_ACK', 'FIN_WAIT_2', 'TIME_WAIT',
]
