/** One direction of a tracked connection. */
export interface ConnectionTuple {
  readonly src: string
  readonly dst: string
  /** IP protocol. */
  readonly proto: number
  /** Of protocols with ports. */
  readonly srcPort?: number
  readonly dstPort?: number
  /** Of ICMP and ICMPv6. */
  readonly icmpId?: number
  readonly icmpType?: number
  readonly icmpCode?: number
}

/** What is known of a connection (IPS_*). */
export type ConnectionStatus =
  | 'EXPECTED'
  | 'SEEN_REPLY'
  | 'ASSURED'
  | 'CONFIRMED'
  | 'SRC_NAT'
  | 'DST_NAT'
  | 'SEQ_ADJUST'
  | 'SRC_NAT_DONE'
  | 'DST_NAT_DONE'
  | 'DYING'
  | 'FIXED_TIMEOUT'
  | 'TEMPLATE'
  | 'UNTRACKED'
  | 'HELPER'
  | 'OFFLOAD'
  | 'HW_OFFLOAD'

/** enum tcp_conntrack. */
export type TcpState =
  | 'NONE'
  | 'SYN_SENT'
  | 'SYN_RECV'
  | 'ESTABLISHED'
  | 'FIN_WAIT'
  | 'CLOSE_WAIT'
  | 'LAST_ACK'
  | 'TIME_WAIT'
  | 'CLOSE'
  | 'SYN_SENT2'

/** enum sctp_conntrack. */
export type SctpState =
  | 'NONE'
  | 'CLOSED'
  | 'COOKIE_WAIT'
  | 'COOKIE_ECHOED'
  | 'ESTABLISHED'
  | 'SHUTDOWN_SENT'
  | 'SHUTDOWN_RECD'
  | 'SHUTDOWN_ACK_SENT'
  | 'HEARTBEAT_SENT'
  | 'HEARTBEAT_ACKED'

/** What one end of a TCP connection has been seen to do (IP_CT_TCP_FLAG_*). */
export type TcpEndFlag =
  | 'WINDOW_SCALE'
  | 'SACK_PERM'
  | 'CLOSE_INIT'
  | 'BE_LIBERAL'
  | 'DATA_UNACKNOWLEDGED'
  | 'MAXACK_SET'

/** How far a TCP connection is. */
export interface TcpTracking {
  /** A name, or the number of one this version does not know. */
  readonly state: TcpState | number
  /** Shift of the window, and what was seen, of whoever began the connection and of the other end. */
  readonly originalScale?: number
  readonly replyScale?: number
  readonly originalFlags?: readonly TcpEndFlag[]
  readonly replyFlags?: readonly TcpEndFlag[]
}

export interface SctpTracking {
  readonly state: SctpState | number
  /** Verification tags. */
  readonly originalTag: number
  readonly replyTag: number
}

export interface ConnectionCounters {
  readonly packets: bigint
  readonly bytes: bigint
}

/** A connection the kernel tracks. What it does not tell is left out. */
export interface Connection {
  readonly id: number
  readonly zone: number
  /** As it began. */
  readonly original: ConnectionTuple
  /** As answers come: the other way round, and translated where there is NAT. */
  readonly reply: ConnectionTuple
  /** How the connection began that this one was expected by. */
  readonly parent?: ConnectionTuple
  readonly status: readonly ConnectionStatus[]
  /** Seconds until it is forgotten. */
  readonly timeout?: number
  readonly mark: number
  readonly labels: bigint
  readonly tcp?: TcpTracking
  readonly sctp?: SctpTracking
  /** What watches its payload, for example `ftp`. */
  readonly helper?: string
  /** Where the kernel counts (sysctl net.netfilter.nf_conntrack_acct). */
  readonly originalCounters?: ConnectionCounters
  readonly replyCounters?: ConnectionCounters
  /** Nanoseconds since 1970, where the kernel notes them (net.netfilter.nf_conntrack_timestamp). */
  readonly start?: bigint
  readonly stop?: bigint
}

/** Which connections; what is left out may be anything. */
export interface ConnectionMatch {
  readonly zone?: number
  readonly original?: Partial<ConnectionTuple>
  readonly reply?: Partial<ConnectionTuple>
}

/** How many connections a zone may have. */
export interface ZoneLimit {
  readonly zone: number
  /** 0 is as many as fit. */
  readonly limit: number
}

/** A limit as it is, with how many connections there are. */
export interface ZoneLimitState extends ZoneLimit {
  readonly count: number
}

/** Limits of the zones of a network namespace. */
export interface ZoneLimits {
  /** Of zones without a limit of their own; 0 is as many as fit. */
  readonly default: number
  readonly zones: readonly ZoneLimitState[]
}

/** Seconds without a packet after which a TCP connection in that state is forgotten. */
export interface TcpTimeouts {
  readonly synSent?: number
  readonly synRecv?: number
  readonly established?: number
  readonly finWait?: number
  readonly closeWait?: number
  readonly lastAck?: number
  readonly timeWait?: number
  readonly close?: number
  readonly synSent2?: number
  readonly retransmit?: number
  readonly unack?: number
}

export interface UdpTimeouts {
  /** While packets went one way only. */
  readonly single?: number
  /** Since they went both ways. */
  readonly multiple?: number
}

export interface IcmpTimeouts {
  readonly first?: number
}

/**
 * How long connections are remembered, in seconds, for the `timeout` of the action `ct`. What is left out is as the kernel has it for
 * all others. It is six objects of the kernel, one for each protocol below IPv4 and IPv6; `timeoutPolicyName()` says what they are called.
 */
export interface TimeoutPolicy {
  readonly id: number
  readonly tcp?: TcpTimeouts
  readonly udp?: UdpTimeouts
  /** Of ICMP and ICMPv6. */
  readonly icmp?: IcmpTimeouts
}

/** Protocols a timeout policy has an object for. */
export type TimeoutProtocol = 'tcp' | 'udp' | 'icmp'

/**
 * The tracked connections of a network namespace: openvswitch, TC and netfilter share them. All of it takes CAP_NET_ADMIN, reading too.
 *
 * Every method rejects with NO_PRIVILEGE, with NO_MODULE where the kernel lacks it, and with CLOSED.
 */
export interface Conntrack {
  /**
   * Connections, of one zone or of all. Pulls: nothing is read from the kernel before it is asked for.
   *
   * ```ts
   * for await (const { original, tcp } of dpif.conntrack.dump({ zone: 5 })) console.log(original.src, tcp?.state)
   * ```
   */
  dump(options?: Pick<ConnectionMatch, 'zone'>): AsyncIterableIterator<Connection>

  /**
   * Forgets the connections that match; all of them without a match. Those of a match that is not a whole original tuple in one zone are
   * looked for and forgotten one by one, so what comes meanwhile may stay. With a whole tuple it rejects with NOT_FOUND when there is no
   * such connection. Rejects with a TypeError or a RangeError on what is no match.
   *
   * ```ts
   * await dpif.conntrack.flush({ zone: 5, original: { src: '10.0.0.1', proto: 6, dstPort: 80 } })
   * ```
   */
  flush(match?: ConnectionMatch): Promise<void>

  /** Limits of these zones, or of all that have one. Limits are openvswitch's: they count what the action `ct` commits. */
  getLimits(zones?: readonly number[]): Promise<ZoneLimits>
  setLimits(limits: { readonly default?: number; readonly zones?: readonly ZoneLimit[] }): Promise<void>
  /** The zones have the default limit then. Those without a limit stay as they are. */
  delLimits(zones: readonly number[]): Promise<void>

  /**
   * Makes a timeout policy, or changes the one of that number: what is left out goes back to what the kernel has for all others. The six
   * objects are set one after another; when one is refused, those before it are set.
   */
  setTimeoutPolicy(policy: TimeoutPolicy): Promise<void>
  /** Rejects with NOT_FOUND. */
  getTimeoutPolicy(id: number): Promise<TimeoutPolicy>
  /**
   * Rejects with NOT_FOUND. While a flow names it, some kernels (6.1.176) reject with BUSY, and later ones (6.1.192) let the flow keep what it
   * has; part of it may be gone then.
   */
  delTimeoutPolicy(id: number): Promise<void>
  /** Ascending by number. */
  dumpTimeoutPolicies(): Promise<TimeoutPolicy[]>
}

/** Tracked connections, with a kernel of their own to talk to. Made by `openConntrack()`. */
export interface OpenConntrack extends Conntrack, AsyncDisposable {
  /** Lets go of the kernel. Idempotent. */
  close(): Promise<void>
}
