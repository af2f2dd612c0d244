import { u32, u64 } from '../netlink/integers.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet } from '../netlink/table.js'

/** struct gnet_stats_basic; 12 bytes of content in 16. */
export interface BasicStats {
  readonly bytes: bigint
  readonly packets: number
  readonly pad?: number
}

/** struct tcf_t: when an action was installed and last used, in USER_HZ ticks before now. */
export interface Times {
  readonly install: bigint
  readonly lastuse: bigint
  readonly expires: bigint
  readonly firstuse: bigint
}

export const times = struct<Times>(
  { install: u64, lastuse: u64, expires: u64, firstuse: u64 },
  { grows: true },
)

const basic = struct<BasicStats>({ bytes: u64, packets: u32, pad: u32 })

/** struct gnet_stats_queue. */
export interface QueueStats {
  readonly qlen: number
  readonly backlog: number
  readonly drops: number
  readonly requeues: number
  readonly overlimits: number
}

const queue = struct<QueueStats>({ qlen: u32, backlog: u32, drops: u32, requeues: u32, overlimits: u32 })

export interface ActionStats {
  readonly basic?: BasicStats
  readonly basicHw?: BasicStats
  readonly queue?: QueueStats
}

/**
 * What software leaves out of a packet's bytes: it counts what lies behind the Ethernet header (sch_handle_ingress(), net/core/dev.c, sees
 * the packet without it), which all packets of our filters have. Devices and openvswitch count it.
 */
export const ETHERNET = 14

/** Packets, and bytes with their Ethernet headers. */
export interface Counted {
  readonly packets: bigint
  readonly bytes: bigint
}

/** What an action counted, in software and in hardware apart. */
export function countedBy({ basic = nothing, basicHw = nothing }: ActionStats): {
  readonly software: Counted
  readonly hardware: Counted
} {
  const packets = BigInt(basic.packets - basicHw.packets)
  return {
    software: { packets, bytes: basic.bytes - basicHw.bytes + packets * BigInt(ETHERNET) },
    hardware: { packets: BigInt(basicHw.packets), bytes: basicHw.bytes },
  }
}

const nothing: BasicStats = { packets: 0, bytes: 0n }

/** TCA_ACT_STATS: software and hardware together in `basic`, hardware alone in `basicHw`. */
// biome-ignore format: one row per line
export const actionStats = new AttributeSet<ActionStats>('stats', {
  basic: { uapi: 'TCA_STATS_BASIC', id: 1, codec: basic, doc: 'Bytes and packets, software and hardware together.' },
  queue: { uapi: 'TCA_STATS_QUEUE', id: 3, codec: queue, doc: 'Packets an action dropped.' },
  basicHw: { uapi: 'TCA_STATS_BASIC_HW', id: 7, codec: basic, since: '5.4', doc: 'Bytes and packets that hardware counted.' },
})
