import { s32, u32, u64 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import type { ActionKind, CommonOptions } from './kind.js'

/** struct tc_police. Its rates are struct tc_ratespec: 8 bytes about the shape of packets, then bytes a second. */
export interface PoliceParms {
  /** A policer that many filters share; 0 makes one for this filter. */
  readonly index?: number
  /** What happens to a packet that is too long or too much. */
  readonly action: number
  readonly limit?: number
  readonly burst?: number
  /** A longer packet is too long. */
  readonly mtu?: number
  readonly rateShape?: bigint
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
  readonly packetRate?: bigint
  readonly packetBurst?: bigint
}

// biome-ignore format: one row per line
const parms = struct<PoliceParms>({
  index: u32, action: s32, limit: u32, burst: u32, mtu: u32,
  rateShape: u64, rate: u32, peakShape: u64, peakRate: u32,
  refcnt: s32, bindcnt: s32, capab: u32,
})

/** Tells packets apart by length or by how many there are. */
export const police: ActionKind<PoliceOptions> = {
  kind: 'police',
  // biome-ignore format: one row per line
  options: new AttributeSet<PoliceOptions>('police', {
    parms: { uapi: 'TCA_POLICE_TBF', id: 1, codec: parms, doc: 'Limits, and what happens to packets beyond them.' },
    result: { uapi: 'TCA_POLICE_RESULT', id: 5, codec: s32, doc: 'What happens to the others.' },
    packetRate: { uapi: 'TCA_POLICE_PKTRATE64', id: 10, codec: u64, since: '5.13', doc: 'Packets a second.' },
    packetBurst: { uapi: 'TCA_POLICE_PKTBURST64', id: 11, codec: u64, since: '5.13', doc: 'Packets at once.' },
    times: { uapi: 'TCA_POLICE_TM', id: 6, codec: times, doc: 'Last use.' },
  }, { pad: 7 }),
}
