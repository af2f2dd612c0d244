import type { UnknownAttribute } from '../../types/flow.js'
import type { MeterBandType, MeterStats } from '../../types/meter.js'
import type { Codec } from '../netlink/codec.js'
import type { Family } from '../netlink/genl.js'
import { u32, u64 } from '../netlink/integers.js'
import { eachAttribute } from '../netlink/reader.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, flag } from '../netlink/table.js'
import { type OvsHeader, ovsHeader } from './family.js'

export interface MeterBandBody {
  readonly type?: number
  readonly rate?: number
  readonly burst?: number
  readonly stats?: MeterStats
  readonly unknown?: readonly UnknownAttribute[]
}

export interface MeterBody {
  readonly id?: number
  readonly kbps?: true
  readonly stats?: MeterStats
  readonly bands?: readonly MeterBandBody[]
  /** Milliseconds on CLOCK_MONOTONIC. */
  readonly used?: bigint
  readonly clear?: true
  readonly maxMeters?: number
  readonly maxBands?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/** enum ovs_meter_band_type, by its numbers from 1. */
export const bandTypes: readonly MeterBandType[] = ['drop']

/** The commands of this family are its own; there is none that lists. */
export const meterCommands = { FEATURES: 1, SET: 2, DEL: 3, GET: 4 } as const

// struct ovs_flow_stats, which meters count with, too.
const stats = struct<MeterStats>({ packets: u64, bytes: u64 }, { grows: true })

// biome-ignore format: one row per line
export const meterBand = new AttributeSet<MeterBandBody>('band', {
  type: { uapi: 'OVS_BAND_ATTR_TYPE', id: 1, codec: u32, doc: 'OVS_METER_BAND_TYPE_*.' },
  rate: { uapi: 'OVS_BAND_ATTR_RATE', id: 2, codec: u32, doc: 'Kilobits or packets a second; 0 is refused.' },
  burst: { uapi: 'OVS_BAND_ATTR_BURST', id: 3, codec: u32, doc: 'Kilobits or packets at once; with 0 nothing passes.' },
  stats: { uapi: 'OVS_BAND_ATTR_STATS', id: 4, codec: stats, doc: 'What went beyond the rate.' },
})

/** One attribute without a number for each band; what is in it counts. */
const bands: Codec<readonly MeterBandBody[]> = {
  size: undefined,
  write: (writer, list) => {
    for (const band of list) {
      const at = writer.begin(0)
      meterBand.write(writer, band)
      writer.end(at)
    }
  },
  read: (bytes, start, end) => {
    const list: MeterBandBody[] = []
    eachAttribute(bytes, start, end, (_, from, to) => list.push(meterBand.read(bytes, from, to)))
    return list
  },
  samples: [[], [{ type: 1, rate: 1000, burst: 0 }], [{ stats: { packets: 1n, bytes: 60n } }, {}]],
}

/** Family ovs_meter: limits that flows share, since Linux 4.15. */
export const meter: Family<OvsHeader, MeterBody> & { readonly body: AttributeSet<MeterBody> } = {
  name: 'ovs_meter',
  version: 1,
  commands: meterCommands,
  header: ovsHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<MeterBody>('meter', {
    id: { uapi: 'OVS_METER_ATTR_ID', id: 1, codec: u32, doc: 'Which meter of the datapath.' },
    kbps: { uapi: 'OVS_METER_ATTR_KBPS', id: 2, codec: flag, doc: 'Rates are kilobits a second; packets without it.' },
    stats: { uapi: 'OVS_METER_ATTR_STATS', id: 3, codec: stats, doc: 'What came to it; in SET, what it begins with.' },
    bands: { uapi: 'OVS_METER_ATTR_BANDS', id: 4, codec: bands, doc: 'Limits; in FEATURES, the kinds there are.' },
    used: { uapi: 'OVS_METER_ATTR_USED', id: 5, codec: u64, doc: 'Last use, in ms on CLOCK_MONOTONIC.' },
    clear: { uapi: 'OVS_METER_ATTR_CLEAR', id: 6, codec: flag, doc: 'In SET: nothing is begun with, and nothing told when it goes.' },
    maxMeters: { uapi: 'OVS_METER_ATTR_MAX_METERS', id: 7, codec: u32, doc: 'Meters that fit in a datapath.' },
    maxBands: { uapi: 'OVS_METER_ATTR_MAX_BANDS', id: 8, codec: u32, doc: 'Bands that fit in a meter.' },
  }, { pad: 9 }),
}
