import type {
  EthernetKey,
  FlowKey,
  Ipv4Address,
  Ipv6Address,
  MplsKey,
  NshKey,
  UnknownAttribute,
} from './flow.js'

export interface PushVlan {
  /** 0x8100 (default) or 0x88a8. */
  readonly tpid?: number
  readonly vid?: number
  readonly pcp?: number
  /** The kernel accepts only 1, the default. */
  readonly cfi?: number
}

/** One header field group and the bits of it that are written. */
export interface SetMasked {
  /** Exactly one property. */
  readonly key: FlowKey
  /** The same property. */
  readonly mask: FlowKey
}

/** Hands the packet to userspace. One property per `OVS_USERSPACE_ATTR_*`. */
export interface UserspaceAction {
  /** Netlink port id of the socket that gets it; with per-CPU dispatch the kernel picks another. Not 0. */
  readonly pid?: number
  /** Comes back with the packet. OVS calls it the cookie. */
  readonly userdata?: Uint8Array
  /** Also tell through which tunnel it would leave at this port. */
  readonly egressTunPort?: number
  /** Also tell the flow's actions. */
  readonly actions?: true
  readonly unknown?: readonly UnknownAttribute[]
}

/** Carries out actions on a part of the packets. One property per `OVS_SAMPLE_ATTR_*`. */
export interface SampleAction {
  /** Of 2^32 - 1. */
  readonly probability?: number
  readonly actions?: readonly Action[]
  readonly unknown?: readonly UnknownAttribute[]
}

/** Computes `dpHash` for the pass after a recirculation. */
export interface HashAction {
  /** 0 addresses and ports, 1 the same in both directions (enum ovs_hash_alg). */
  readonly alg?: number
  readonly basis?: number
}

/** A label to push, and the Ethernet type the packet has then: 0x8847 or 0x8848. */
export interface PushMpls extends MplsKey {
  readonly etherType?: number
}

/** As {@link PushMpls}, at the place `flags` says. */
export interface AddMpls extends PushMpls {
  /** 1: before the L3 header (OVS_MPLS_L3_TUNNEL_FLAG_MASK); 0: before the Ethernet header. */
  readonly flags?: number
}

/** A value and which of its bits are written. */
export interface Bits<T> {
  readonly value: T
  readonly mask: T
}

/** Address translation. One property per `OVS_NAT_ATTR_*`; none of them restores what a connection was translated to. */
export interface Nat {
  /** Translates the source. */
  readonly src?: true
  /** Translates the destination. */
  readonly dst?: true
  readonly ipMin?: Ipv4Address | Ipv6Address
  readonly ipMax?: Ipv4Address | Ipv6Address
  readonly protoMin?: number
  readonly protoMax?: number
  readonly persistent?: true
  readonly protoHash?: true
  readonly protoRandom?: true
  readonly unknown?: readonly UnknownAttribute[]
}

/** Sends the packet through connection tracking. One property per `OVS_CT_ATTR_*`. */
export interface CtAction {
  /** Remember the connection. */
  readonly commit?: true
  readonly zone?: number
  readonly mark?: Bits<number>
  readonly labels?: Bits<bigint>
  /** Name of the protocol helper, up to 15 characters. */
  readonly helper?: string
  readonly nat?: Nat
  /** Commit even if the connection is known the other way round. */
  readonly forceCommit?: true
  /** Bits of enum ip_conntrack_events. */
  readonly eventMask?: number
  /** Name of the timeout policy, up to 31 characters. */
  readonly timeout?: string
  readonly unknown?: readonly UnknownAttribute[]
}

/** Goes one way or the other by the packet's length. One property per `OVS_CHECK_PKT_LEN_ATTR_*`. */
export interface CheckPktLen {
  /** Bytes. */
  readonly size?: number
  readonly greater?: readonly Action[]
  readonly lessEqual?: readonly Action[]
  readonly unknown?: readonly UnknownAttribute[]
}

/** Decrements the TTL. One property per `OVS_DEC_TTL_ATTR_*`. */
export interface DecTtl {
  /** What to do with a packet whose TTL is 1 or less. */
  readonly action?: readonly Action[]
  readonly unknown?: readonly UnknownAttribute[]
}

/** Sends a sample to a group of listeners. One property per `OVS_PSAMPLE_ATTR_*`. */
export interface Psample {
  readonly group?: number
  /** Up to 16 bytes. */
  readonly cookie?: Uint8Array
  readonly unknown?: readonly UnknownAttribute[]
}

/** One property per `OVS_ACTION_ATTR_*`, in the order of their numbers. An {@link Action} has exactly one of them. */
export interface ActionSet {
  /** Sends the packet to a datapath port. */
  readonly output?: number
  readonly userspace?: UserspaceAction
  /** Writes a whole header: exactly one property. */
  readonly set?: FlowKey
  readonly pushVlan?: PushVlan
  readonly popVlan?: true
  readonly sample?: SampleAction
  /** Starts over with this `recircId`. */
  readonly recirc?: number
  readonly hash?: HashAction
  readonly pushMpls?: PushMpls
  /** The Ethernet type the packet has then. */
  readonly popMpls?: number
  readonly setMasked?: SetMasked
  readonly ct?: CtAction
  /** Cuts the packet to so many bytes for the next output. */
  readonly trunc?: number
  readonly pushEth?: EthernetKey
  readonly popEth?: true
  readonly ctClear?: true
  readonly pushNsh?: NshKey
  readonly popNsh?: true
  /** Passes the packet through the meter of that number. */
  readonly meter?: number
  /** Carries out actions on a copy. */
  readonly clone?: readonly Action[]
  readonly checkPktLen?: CheckPktLen
  readonly addMpls?: AddMpls
  readonly decTtl?: DecTtl
  /** Drops with a reason code (kernel ≥ 6.6). An empty list of actions drops on every kernel. */
  readonly drop?: number
  readonly psample?: Psample
  readonly unknown?: readonly UnknownAttribute[]
}

/**
 * One action, named by its only property: `{ output: 2 }`, `{ popVlan: true }`. A list of actions is carried out in order; the
 * empty list drops.
 */
export type Action = {
  [K in keyof ActionSet]-?: { readonly [P in K]-?: NonNullable<ActionSet[K]> } & {
    readonly [P in Exclude<keyof ActionSet, K>]?: never
  }
}[keyof ActionSet]
