import { s32, u8, u16, u32, u64 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet, bytes } from '../../netlink/table.js'
import { times } from '../stats.js'
import type { ActionKind, CommonOptions } from './kind.js'

/** struct tc_police. Its rates are struct tc_ratespec: 8 bytes about the shape of packets, then bytes a second. */
export interface PoliceParms {
  /** A policer that many filters share; 0 makes one for this filter. */
  readonly index?: number
  /** What happens to a packet that is too long or too much. */
  readonly action: number
  readonly limit?: number
  /** How long the rate takes for what may come at once, in ticks of 64 ns (PSCHED_SHIFT). */
  readonly burst?: number
  /** A longer packet is too long. */
  readonly mtu?: number
  /** The size of a cell in the table of transmission times, as a power of 2; from 1 where there is a table. */
  readonly rateCellLog?: number
  /** enum tc_link_layer: 1 is Ethernet, 0 lets the kernel guess from the table. */
  readonly rateLinkLayer?: number
  /** Bytes that every packet counts more. */
  readonly rateOverhead?: number
  readonly rateCellAlign?: number
  readonly rateMpu?: number
  /** 4294967295 for that and more; see `rate64`. */
  readonly rate?: number
  readonly peakShape?: bigint
  readonly peakRate?: number
  readonly refcnt?: number
  readonly bindcnt?: number
  readonly capab?: number
}

export interface PoliceOptions extends CommonOptions {
  readonly parms?: PoliceParms
  /** What happens to the others; TC_ACT_OK when left out. */
  readonly result?: number
  readonly rateTable?: Uint8Array
  readonly rate64?: bigint
  readonly packetRate?: bigint
  readonly packetBurst?: bigint
}

// biome-ignore format: one row per line
const parms = struct<PoliceParms>({
  index: u32, action: s32, limit: u32, burst: u32, mtu: u32,
  rateCellLog: u8, rateLinkLayer: u8, rateOverhead: u16, rateCellAlign: u16, rateMpu: u16, rate: u32,
  peakShape: u64, peakRate: u32,
  refcnt: s32, bindcnt: s32, capab: u32,
})

/** Tells packets apart by length, or by how much or how many there are. */
export const police: ActionKind<PoliceOptions> = {
  kind: 'police',
  // biome-ignore format: one row per line
  options: new AttributeSet<PoliceOptions>('police', {
    parms: { uapi: 'TCA_POLICE_TBF', id: 1, codec: parms, doc: 'Limits, and what happens to packets beyond them.' },
    result: { uapi: 'TCA_POLICE_RESULT', id: 5, codec: s32, doc: 'What happens to the others.' },
    rateTable: { uapi: 'TCA_POLICE_RATE', id: 2, codec: bytes, doc: 'Transmission times, 1024 bytes: asked for, and not read.' },
    rate64: { uapi: 'TCA_POLICE_RATE64', id: 8, codec: u64, since: '5.4', doc: 'Bytes a second over 32 bits.' },
    packetRate: { uapi: 'TCA_POLICE_PKTRATE64', id: 10, codec: u64, since: '5.13', doc: 'Packets a second.' },
    packetBurst: { uapi: 'TCA_POLICE_PKTBURST64', id: 11, codec: u64, since: '5.13', doc: 'Packets at once, as the time they take in ticks of 64 ns.' },
    times: { uapi: 'TCA_POLICE_TM', id: 6, codec: times, doc: 'Last use.' },
  }, { pad: 7 }),
}
