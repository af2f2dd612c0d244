import type { UnknownAttribute } from '../../types/flow.js'
import { s32, u8, u16, u32 } from '../netlink/integers.js'
import { HEADER_SIZE, type MessageForm } from '../netlink/message.js'
import { type Struct, struct } from '../netlink/struct.js'
import { AttributeSet, bytes, string } from '../netlink/table.js'
import { LITTLE } from '../netlink/writer.js'
import { type BitField32, bitField32 } from './action/index.js'

/** struct tcmsg (linux/rtnetlink.h). */
export interface TcHeader {
  readonly family?: number
  readonly pad1?: number
  readonly pad2?: number
  readonly ifindex: number
  readonly handle?: number
  readonly parent?: number
  /** For filters: priority in the upper half, protocol in the lower, in network order; see {@link filterInfo}. */
  readonly info?: number
}

export interface TcBody {
  readonly kind?: string
  /** What these hold depends on `kind`. */
  readonly options?: Uint8Array
  readonly chain?: number
  readonly dumpFlags?: BitField32
  readonly unknown?: readonly UnknownAttribute[]
}

/** What RTM_*TFILTER and RTM_*QDISC messages look like. */
export const tcMessage: MessageForm<TcHeader, TcBody> & {
  readonly header: Struct<TcHeader>
  readonly body: AttributeSet<TcBody>
} = {
  header: struct<TcHeader>({
    family: u8,
    pad1: u8,
    pad2: u16,
    ifindex: s32,
    handle: u32,
    parent: u32,
    info: u32,
  }),
  // biome-ignore format: one row per line
  body: new AttributeSet<TcBody>('tc', {
    kind: { uapi: 'TCA_KIND', id: 1, codec: string, doc: 'Which classifier or qdisc.' },
    options: { uapi: 'TCA_OPTIONS', id: 2, codec: bytes, doc: 'What it says; a table for each kind.' },
    chain: { uapi: 'TCA_CHAIN', id: 11, codec: u32, since: '4.13', doc: 'Absent is 0 in a request, and all in a dump.' },
    dumpFlags: { uapi: 'TCA_DUMP_FLAGS', id: 15, codec: bitField32, since: '5.8', doc: 'TERSE (1): identity and counters only.' },
  }),
}

/** Where a message has its handle and its info, and where its attributes begin: behind nlmsghdr and tcmsg. */
export const HANDLE = placeOf('handle')
export const INFO = placeOf('info')
export const HEADERS = HEADER_SIZE + tcMessage.header.size

function placeOf(part: keyof TcHeader): number {
  return HEADER_SIZE + (tcMessage.header.fields.find(({ name }) => name === part)?.offset ?? 0)
}

/** RTM_* of linux/rtnetlink.h. Chains are there since 4.19. */
export const types = {
  NEWQDISC: 36,
  DELQDISC: 37,
  GETQDISC: 38,
  NEWTFILTER: 44,
  DELTFILTER: 45,
  GETTFILTER: 46,
  NEWCHAIN: 100,
  GETCHAIN: 102,
} as const

/** Where things hang (linux/pkt_sched.h): TC_H_INGRESS for the qdisc itself, and the ingress hook its filters are on. */
export const hooks = { QDISC: 0xfffffff1, QDISC_HANDLE: 0xffff0000, INGRESS: 0xfffffff2 } as const

/** ETH_P_ALL (linux/if_ether.h), as the protocol of a filter: every packet. */
export const ALL_PROTOCOLS = 3

/** The `info` of a filter. The protocol is an Ethernet type as people write it; it travels in network order. */
export function filterInfo(prio: number, protocol: number): number {
  return ((prio << 16) | swap16(protocol)) >>> 0
}

/** Priority and protocol out of `info`. */
export function prioAndProtocol(info: number): { readonly prio: number; readonly protocol: number } {
  return { prio: info >>> 16, protocol: swap16(info & 0xffff) }
}

// The field is an integer in host order with htons(protocol) in its lower half.
function swap16(value: number): number {
  return LITTLE ? ((value & 0xff) << 8) | (value >> 8) : value
}
