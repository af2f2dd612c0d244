import type { BackendName } from './op.js'
import type { Policy, Placement, Skip } from './policy.js'
import type { TunnelType } from './port.js'

/** What an action is called in policies: the word of ovs-dpctl. A flow without actions is one that drops. */
export type ActionKind =
  | 'add_mpls'
  | 'check_pkt_len'
  | 'clone'
  | 'ct'
  | 'ct_clear'
  | 'dec_ttl'
  | 'drop'
  | 'hash'
  | 'meter'
  | 'output'
  | 'pop_eth'
  | 'pop_mpls'
  | 'pop_nsh'
  | 'pop_vlan'
  | 'psample'
  | 'push_eth'
  | 'push_mpls'
  | 'push_nsh'
  | 'push_vlan'
  | 'recirc'
  | 'sample'
  | 'set'
  | 'trunc'
  | 'unknown'
  | 'userspace'

export type EtherTypeName = 'arp' | 'ipv4' | 'ipv6' | 'lldp' | 'mpls'
export type ProtocolName = 'icmp' | 'icmpv6' | 'sctp' | 'tcp' | 'udp'

/** One, or one of several. */
export type OneOrMore<T> = T | readonly T[]

/** What a rule is about; all of it has to be so. */
export interface RuleMatch {
  /**
   * A flow stands for many packets. With `all`, which it is when left out, the match has to fit every one of them; with `some` it is
   * enough that one could be among them, for what must not happen to any. It is about what is said of packets, not of actions.
   */
  readonly packets?: 'all' | 'some'
  /** The port packets come in through, by number or name. A name may be a port later. */
  readonly port?: OneOrMore<number | string>
  /** A port packets are sent to. */
  readonly toPort?: OneOrMore<number | string>
  /** The e-switch of the port packets come in through: its switch id, its name in devlink, or a name from `devices`. */
  readonly device?: OneOrMore<string>
  /** Whether all ports of the flow, tunnels aside, are on one e-switch. */
  readonly sameDevice?: boolean
  /** The tenant of the port packets come in through, or else of the first they are sent to that has one. */
  readonly tenant?: OneOrMore<string>
  /** Of what is behind tags. */
  readonly etherType?: OneOrMore<EtherTypeName | number>
  /** The outer tag, a number or a range like `100-199`. */
  readonly vlan?: OneOrMore<number | string>
  readonly protocol?: OneOrMore<ProtocolName | number>
  /** Addresses of IPv4 or IPv6, with or without prefix length: `10.0.0.0/8`. */
  readonly source?: OneOrMore<string>
  readonly destination?: OneOrMore<string>
  /** Of TCP, UDP or SCTP: a number or a range like `8000-8099`. */
  readonly sourcePort?: OneOrMore<number | string>
  readonly destinationPort?: OneOrMore<number | string>
  /** The tunnel packets come through. */
  readonly tunnel?: TunnelMatch
  /** A tunnel packets are sent into. */
  readonly toTunnel?: TunnelMatch
  /** One of these kinds is among the actions, or within them. */
  readonly actions?: OneOrMore<ActionKind>
  /** There are no actions of other kinds. */
  readonly onlyActions?: OneOrMore<ActionKind>
  /** Whether the flow is behind a recirculation. */
  readonly recirculated?: boolean
}

/** Any tunnel, or one of a kind or with an id. */
export interface TunnelMatch {
  /** VNI or GRE key: a number, and beyond 2^53 its digits in quotes. */
  readonly id?: OneOrMore<number | string>
  readonly type?: OneOrMore<TunnelType>
}

/** Where flows go. */
export interface RuleAnswer {
  /** In the order in which they are asked. */
  readonly backend: OneOrMore<BackendName>
  /** In TC: keeps flows out of software (`sw`) or hardware (`hw`). */
  readonly skip?: Skip
  /** So many flows of this rule may be in TC; the others wait in openvswitch. */
  readonly limit?: number
  /** Why, in a few words, for `explain`. */
  readonly reason?: string
}

export interface Rule extends RuleAnswer {
  readonly name?: string
  /** Every flow when left out. */
  readonly match?: RuleMatch
}

export interface RuleTenant {
  /** By number or name. A port has one tenant. */
  readonly ports: OneOrMore<number | string>
  /** So many of its flows may be in TC, whatever rules say; the others wait in openvswitch. */
  readonly limit?: number
}

/** A policy as an administrator writes it, in YAML or JSON. `policy.schema.json` is its schema. */
export interface RulesDocument {
  readonly version: 1
  /** What the policy is called where it is told of; `rules` when left out. */
  readonly name?: string
  /** Names for e-switches: switch ids, or what devlink calls them. */
  readonly devices?: Readonly<Record<string, string>>
  /** Labels of ports. */
  readonly tenants?: Readonly<Record<string, RuleTenant>>
  /** The first that fits decides. */
  readonly rules?: readonly Rule[]
  /** For flows no rule fits; TC, then openvswitch when left out. */
  readonly default?: RuleAnswer
}

/** What is wrong with a document, and where. */
export interface RulesProblem {
  /** From 1; left out of a document that is no text. */
  readonly line?: number
  readonly column?: number
  /** For example `rules[2].match.port`; empty when it is about the whole. */
  readonly path: string
  readonly message: string
}

/** A rule as it is known by in what is told: `rule dpi`, `rule 3`, `default`. */
export interface RuleSummary {
  readonly name: string
  readonly line?: number
  readonly placement: Placement
}

/** A policy that was made from a document. */
export interface RulesPolicy extends Policy {
  /** In order, the default last. */
  readonly rules: readonly RuleSummary[]
  /** The rule a placement of this policy is from. */
  ruleOf(placement: Placement): RuleSummary | undefined
  /** Names of e-switches that were not resolved, so that no port is on them. */
  readonly unresolved: readonly string[]
}
