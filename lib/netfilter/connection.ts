import type {
  Connection,
  ConnectionCounters,
  ConnectionStatus,
  ConnectionTuple,
  SctpState,
  SctpTracking,
  TcpEndFlag,
  TcpState,
  TcpTracking,
} from '../../types/conntrack.js'
import type { UnknownAttribute } from '../../types/flow.js'
import { ipv4, ipv6 } from '../netlink/addresses.js'
import { be16, be32, be64, u8, u128 } from '../netlink/integers.js'
import type { MessageForm } from '../netlink/message.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, bytes, string } from '../netlink/table.js'
import { addressFamilies, type NetfilterHeader, netfilterHeader } from './message.js'

export interface TupleIpBody {
  readonly v4Src?: string
  readonly v4Dst?: string
  readonly v6Src?: string
  readonly v6Dst?: string
}

export interface TupleProtoBody {
  readonly proto?: number
  readonly srcPort?: number
  readonly dstPort?: number
  readonly icmpId?: number
  readonly icmpType?: number
  readonly icmpCode?: number
  readonly icmpv6Id?: number
  readonly icmpv6Type?: number
  readonly icmpv6Code?: number
}

export interface TupleBody {
  readonly ip?: TupleIpBody
  readonly proto?: TupleProtoBody
  /** Of this direction alone; openvswitch has one for both. */
  readonly zone?: number
}

/** struct nf_ct_tcp_flags. */
export interface TcpFlagsBody {
  readonly flags: number
  readonly mask?: number
}

export interface TcpInfoBody {
  readonly state?: number
  readonly originalScale?: number
  readonly replyScale?: number
  readonly originalFlags?: TcpFlagsBody
  readonly replyFlags?: TcpFlagsBody
}

export interface SctpInfoBody {
  readonly state?: number
  readonly originalTag?: number
  readonly replyTag?: number
}

export interface ProtoInfoBody {
  readonly tcp?: TcpInfoBody
  readonly sctp?: SctpInfoBody
  readonly unknown?: readonly UnknownAttribute[]
}

export interface HelperBody {
  readonly name?: string
  readonly unknown?: readonly UnknownAttribute[]
}

export interface TimestampBody {
  readonly start?: bigint
  readonly stop?: bigint
}

export interface ConnectionBody {
  readonly original?: TupleBody
  readonly reply?: TupleBody
  readonly status?: number
  readonly protoInfo?: ProtoInfoBody
  readonly helper?: HelperBody
  readonly timeout?: number
  readonly mark?: number
  readonly originalCounters?: Partial<ConnectionCounters>
  readonly replyCounters?: Partial<ConnectionCounters>
  readonly id?: number
  readonly parent?: TupleBody
  readonly zone?: number
  readonly timestamp?: TimestampBody
  readonly labels?: bigint
  readonly unknown?: readonly UnknownAttribute[]
}

// biome-ignore format: one row per line
export const tupleIp = new AttributeSet<TupleIpBody>('ip', {
  v4Src: { uapi: 'CTA_IP_V4_SRC', id: 1, codec: ipv4, doc: 'IPv4 source.' },
  v4Dst: { uapi: 'CTA_IP_V4_DST', id: 2, codec: ipv4, doc: 'IPv4 destination.' },
  v6Src: { uapi: 'CTA_IP_V6_SRC', id: 3, codec: ipv6, doc: 'IPv6 source.' },
  v6Dst: { uapi: 'CTA_IP_V6_DST', id: 4, codec: ipv6, doc: 'IPv6 destination.' },
})

// biome-ignore format: one row per line
export const tupleProto = new AttributeSet<TupleProtoBody>('proto', {
  proto: { uapi: 'CTA_PROTO_NUM', id: 1, codec: u8, doc: 'IP protocol.' },
  srcPort: { uapi: 'CTA_PROTO_SRC_PORT', id: 2, codec: be16, doc: 'Source port.' },
  dstPort: { uapi: 'CTA_PROTO_DST_PORT', id: 3, codec: be16, doc: 'Destination port.' },
  icmpId: { uapi: 'CTA_PROTO_ICMP_ID', id: 4, codec: be16, doc: 'Identifier of ICMP.' },
  icmpType: { uapi: 'CTA_PROTO_ICMP_TYPE', id: 5, codec: u8, doc: 'Type of ICMP.' },
  icmpCode: { uapi: 'CTA_PROTO_ICMP_CODE', id: 6, codec: u8, doc: 'Code of ICMP.' },
  icmpv6Id: { uapi: 'CTA_PROTO_ICMPV6_ID', id: 7, codec: be16, doc: 'Identifier of ICMPv6.' },
  icmpv6Type: { uapi: 'CTA_PROTO_ICMPV6_TYPE', id: 8, codec: u8, doc: 'Type of ICMPv6.' },
  icmpv6Code: { uapi: 'CTA_PROTO_ICMPV6_CODE', id: 9, codec: u8, doc: 'Code of ICMPv6.' },
})

// biome-ignore format: one row per line
export const tuple = new AttributeSet<TupleBody>('tuple', {
  ip: { uapi: 'CTA_TUPLE_IP', id: 1, nested: true, codec: tupleIp, doc: 'Addresses.' },
  proto: { uapi: 'CTA_TUPLE_PROTO', id: 2, nested: true, codec: tupleProto, doc: 'What is above them.' },
  zone: { uapi: 'CTA_TUPLE_ZONE', id: 3, codec: be16, since: '4.3', doc: 'Zone of this direction.' },
})

const tcpFlagsOf = struct<TcpFlagsBody>({ flags: u8, mask: u8 })

// biome-ignore format: one row per line
export const tcpInfo = new AttributeSet<TcpInfoBody>('tcp', {
  state: { uapi: 'CTA_PROTOINFO_TCP_STATE', id: 1, codec: u8, doc: 'enum tcp_conntrack.' },
  originalScale: { uapi: 'CTA_PROTOINFO_TCP_WSCALE_ORIGINAL', id: 2, codec: u8, doc: 'Shift of the window.' },
  replyScale: { uapi: 'CTA_PROTOINFO_TCP_WSCALE_REPLY', id: 3, codec: u8, doc: 'Shift of the window.' },
  originalFlags: { uapi: 'CTA_PROTOINFO_TCP_FLAGS_ORIGINAL', id: 4, codec: tcpFlagsOf, doc: 'IP_CT_TCP_FLAG_*.' },
  replyFlags: { uapi: 'CTA_PROTOINFO_TCP_FLAGS_REPLY', id: 5, codec: tcpFlagsOf, doc: 'IP_CT_TCP_FLAG_*.' },
})

// biome-ignore format: one row per line
export const sctpInfo = new AttributeSet<SctpInfoBody>('sctp', {
  state: { uapi: 'CTA_PROTOINFO_SCTP_STATE', id: 1, codec: u8, doc: 'enum sctp_conntrack.' },
  originalTag: { uapi: 'CTA_PROTOINFO_SCTP_VTAG_ORIGINAL', id: 2, codec: be32, doc: 'Verification tag.' },
  replyTag: { uapi: 'CTA_PROTOINFO_SCTP_VTAG_REPLY', id: 3, codec: be32, doc: 'Verification tag.' },
})

// biome-ignore format: one row per line
export const protoInfo = new AttributeSet<ProtoInfoBody>('protoInfo', {
  tcp: { uapi: 'CTA_PROTOINFO_TCP', id: 1, nested: true, codec: tcpInfo, doc: 'Of TCP.' },
  sctp: { uapi: 'CTA_PROTOINFO_SCTP', id: 3, nested: true, codec: sctpInfo, doc: 'Of SCTP.' },
})

// biome-ignore format: one row per line
export const helperInfo = new AttributeSet<HelperBody>('helper', {
  name: { uapi: 'CTA_HELP_NAME', id: 1, codec: string, doc: 'What watches the payload.' },
})

// biome-ignore format: one row per line
export const counters = new AttributeSet<Partial<ConnectionCounters>>('counters', {
  packets: { uapi: 'CTA_COUNTERS_PACKETS', id: 1, codec: be64, doc: 'Packets.' },
  bytes: { uapi: 'CTA_COUNTERS_BYTES', id: 2, codec: be64, doc: 'Bytes, from the IP header on.' },
}, { pad: 5 })

// biome-ignore format: one row per line
export const timestamp = new AttributeSet<TimestampBody>('timestamp', {
  start: { uapi: 'CTA_TIMESTAMP_START', id: 1, codec: be64, doc: 'Nanoseconds since 1970.' },
  stop: { uapi: 'CTA_TIMESTAMP_STOP', id: 2, codec: be64, doc: 'Nanoseconds since 1970.' },
}, { pad: 3 })

/** Tracked connections, as messages of subsystem CTNETLINK have them (linux/netfilter/nfnetlink_conntrack.h). */
export const connectionMessage: MessageForm<NetfilterHeader, ConnectionBody> & {
  readonly body: AttributeSet<ConnectionBody>
} = {
  header: netfilterHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<ConnectionBody>('connection', {
    original: { uapi: 'CTA_TUPLE_ORIG', id: 1, nested: true, codec: tuple, doc: 'As it began.' },
    reply: { uapi: 'CTA_TUPLE_REPLY', id: 2, nested: true, codec: tuple, doc: 'As answers come.' },
    status: { uapi: 'CTA_STATUS', id: 3, codec: be32, doc: 'IPS_*.' },
    protoInfo: { uapi: 'CTA_PROTOINFO', id: 4, nested: true, codec: protoInfo, doc: 'How far it is.' },
    helper: { uapi: 'CTA_HELP', id: 5, nested: true, codec: helperInfo, doc: 'What watches its payload.' },
    timeout: { uapi: 'CTA_TIMEOUT', id: 7, codec: be32, doc: 'Seconds until it is forgotten.' },
    mark: { uapi: 'CTA_MARK', id: 8, codec: be32, doc: 'Conntrack mark.' },
    originalCounters: { uapi: 'CTA_COUNTERS_ORIG', id: 9, nested: true, codec: counters, doc: 'What went one way.' },
    replyCounters: { uapi: 'CTA_COUNTERS_REPLY', id: 10, nested: true, codec: counters, doc: 'What came back.' },
    id: { uapi: 'CTA_ID', id: 12, codec: be32, doc: 'Tells it from a later one with the same tuple.' },
    parent: { uapi: 'CTA_TUPLE_MASTER', id: 14, nested: true, codec: tuple, doc: 'Of the one that expected it.' },
    zone: { uapi: 'CTA_ZONE', id: 18, codec: be16, doc: 'Conntrack zone; absent for 0.' },
    timestamp: { uapi: 'CTA_TIMESTAMP', id: 20, nested: true, codec: timestamp, doc: 'When it began and ended.' },
    labels: { uapi: 'CTA_LABELS', id: 22, codec: u128, doc: 'Conntrack labels.' },
  }),
}

/** What has a connection forgotten that a message told of: its tuple as it came, whatever protocol it is of. */
export interface DeletionBody {
  readonly original?: Uint8Array
  readonly id?: number
  readonly zone?: number
  readonly unknown?: readonly UnknownAttribute[]
}

export const deletionMessage: MessageForm<NetfilterHeader, DeletionBody> = {
  header: netfilterHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<DeletionBody>('deletion', {
    original: { uapi: 'CTA_TUPLE_ORIG', id: 1, nested: true, codec: bytes, doc: 'As it began.' },
    id: { uapi: 'CTA_ID', id: 12, codec: be32, doc: 'Tells it from a later one with the same tuple.' },
    zone: { uapi: 'CTA_ZONE', id: 18, codec: be16, doc: 'Conntrack zone.' },
  }),
}

/** IPS_*_BIT, by number. */
// biome-ignore format: a list
export const statusNames: readonly ConnectionStatus[] = [
  'EXPECTED', 'SEEN_REPLY', 'ASSURED', 'CONFIRMED', 'SRC_NAT', 'DST_NAT', 'SEQ_ADJUST', 'SRC_NAT_DONE', 'DST_NAT_DONE', 'DYING',
  'FIXED_TIMEOUT', 'TEMPLATE', 'UNTRACKED', 'HELPER', 'OFFLOAD', 'HW_OFFLOAD',
]

/** TCP_CONNTRACK_*, by number. */
// biome-ignore format: a list
export const tcpStates: readonly TcpState[] = [
  'NONE', 'SYN_SENT', 'SYN_RECV', 'ESTABLISHED', 'FIN_WAIT', 'CLOSE_WAIT', 'LAST_ACK', 'TIME_WAIT', 'CLOSE', 'SYN_SENT2',
]

/** SCTP_CONNTRACK_*, by number. */
// biome-ignore format: a list
export const sctpStates: readonly SctpState[] = [
  'NONE', 'CLOSED', 'COOKIE_WAIT', 'COOKIE_ECHOED', 'ESTABLISHED', 'SHUTDOWN_SENT', 'SHUTDOWN_RECD', 'SHUTDOWN_ACK_SENT',
  'HEARTBEAT_SENT', 'HEARTBEAT_ACKED',
]

/** IP_CT_TCP_FLAG_*, by bit. */
// biome-ignore format: a list
export const tcpEndFlags: readonly TcpEndFlag[] = [
  'WINDOW_SCALE', 'SACK_PERM', 'CLOSE_INIT', 'BE_LIBERAL', 'DATA_UNACKNOWLEDGED', 'MAXACK_SET',
]

/** IP protocols whose tuples have an identifier in place of ports. */
export const icmpProtocols: ReadonlySet<number> = new Set([1, 58])

/** What a message says, as people see it. */
export function connectionOf(body: ConnectionBody): Connection {
  const { id = 0, zone = 0, original, reply, parent, status = 0, mark = 0, labels = 0n, timeout } = body
  const { protoInfo, helper, originalCounters, replyCounters, timestamp } = body
  return {
    id,
    zone,
    original: tupleOf(original),
    reply: tupleOf(reply),
    ...(parent === undefined ? {} : { parent: tupleOf(parent) }),
    status: namesOf(status, statusNames),
    ...(timeout === undefined ? {} : { timeout }),
    mark,
    labels,
    ...(protoInfo?.tcp === undefined ? {} : { tcp: tcpOf(protoInfo.tcp) }),
    ...(protoInfo?.sctp === undefined ? {} : { sctp: sctpOf(protoInfo.sctp) }),
    ...(helper?.name === undefined ? {} : { helper: helper.name }),
    ...(originalCounters === undefined ? {} : { originalCounters: { ...none, ...originalCounters } }),
    ...(replyCounters === undefined ? {} : { replyCounters: { ...none, ...replyCounters } }),
    ...timestamp,
  }
}

const none: ConnectionCounters = { packets: 0n, bytes: 0n }

function tupleOf({ ip = {}, proto: { proto = 0, ...rest } = {} }: TupleBody = {}): ConnectionTuple {
  const { srcPort, dstPort, icmpId = rest.icmpv6Id } = rest
  const { icmpType = rest.icmpv6Type, icmpCode = rest.icmpv6Code } = rest
  return {
    src: ip.v4Src ?? ip.v6Src ?? '',
    dst: ip.v4Dst ?? ip.v6Dst ?? '',
    proto,
    ...(srcPort === undefined ? {} : { srcPort }),
    ...(dstPort === undefined ? {} : { dstPort }),
    ...(icmpId === undefined ? {} : { icmpId }),
    ...(icmpType === undefined ? {} : { icmpType }),
    ...(icmpCode === undefined ? {} : { icmpCode }),
  }
}

/** A tuple as messages have it, and the family it is of. */
export function tupleBody({ src, dst, proto, ...rest }: ConnectionTuple): {
  readonly family: number
  readonly body: TupleBody
} {
  const { srcPort, dstPort, icmpId, icmpType, icmpCode } = rest
  const isV6 = src.includes(':')
  const ports = {
    ...(srcPort === undefined ? {} : { srcPort }),
    ...(dstPort === undefined ? {} : { dstPort }),
  }
  const icmp = isV6
    ? { icmpv6Id: icmpId ?? 0, icmpv6Type: icmpType ?? 0, icmpv6Code: icmpCode ?? 0 }
    : { icmpId: icmpId ?? 0, icmpType: icmpType ?? 0, icmpCode: icmpCode ?? 0 }
  return {
    family: isV6 ? addressFamilies.INET6 : addressFamilies.INET,
    body: {
      ip: isV6 ? { v6Src: src, v6Dst: dst } : { v4Src: src, v4Dst: dst },
      proto: { proto, ...(icmpProtocols.has(proto) ? icmp : ports) },
    },
  }
}

function tcpOf({
  state = 0,
  originalScale,
  replyScale,
  originalFlags,
  replyFlags,
}: TcpInfoBody): TcpTracking {
  return {
    state: tcpStates[state] ?? state,
    ...(originalScale === undefined ? {} : { originalScale }),
    ...(replyScale === undefined ? {} : { replyScale }),
    ...(originalFlags === undefined ? {} : { originalFlags: namesOf(originalFlags.flags, tcpEndFlags) }),
    ...(replyFlags === undefined ? {} : { replyFlags: namesOf(replyFlags.flags, tcpEndFlags) }),
  }
}

function sctpOf({ state = 0, originalTag = 0, replyTag = 0 }: SctpInfoBody): SctpTracking {
  return { state: sctpStates[state] ?? state, originalTag, replyTag }
}

/** The names of the bits that are set, lowest first. */
function namesOf<Name>(bits: number, names: readonly Name[]): Name[] {
  return names.filter((_, bit) => (bits >>> bit) & 1)
}
