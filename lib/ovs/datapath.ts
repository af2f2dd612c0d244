import type { UnknownAttribute } from '../../types/flow.js'
import type { DatapathFeature } from '../../types/port.js'
import type { Family } from '../netlink/genl.js'
import { u32, u64 } from '../netlink/integers.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, list, string } from '../netlink/table.js'
import { commands, type OvsHeader, ovsHeader } from './family.js'

export interface DatapathStatsBody {
  readonly hit: bigint
  readonly missed: bigint
  readonly lost: bigint
  readonly flows: bigint
}

export interface MegaflowStatsBody {
  readonly maskHit: bigint
  readonly masks: number
  readonly pad?: number
  readonly cacheHit?: bigint
  readonly pad1?: bigint
}

export interface DatapathBody {
  readonly name?: string
  readonly upcallPid?: number
  readonly stats?: DatapathStatsBody
  readonly megaflowStats?: MegaflowStatsBody
  readonly userFeatures?: number
  readonly masksCacheSize?: number
  readonly perCpuPids?: readonly number[]
  readonly ifindex?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/** OVS_DP_F_*: the bits of OVS_DP_ATTR_USER_FEATURES. */
// biome-ignore format: one row per line
export const datapathFeatures: Readonly<Record<DatapathFeature, { readonly uapi: string; readonly bit: number; readonly since: string }>> = {
  unaligned:            { uapi: 'OVS_DP_F_UNALIGNED',                bit: 1, since: '3.14' },
  vportPids:            { uapi: 'OVS_DP_F_VPORT_PIDS',               bit: 2, since: '3.17' },
  tcRecircSharing:      { uapi: 'OVS_DP_F_TC_RECIRC_SHARING',        bit: 4, since: '5.5' },
  dispatchUpcallPerCpu: { uapi: 'OVS_DP_F_DISPATCH_UPCALL_PER_CPU',  bit: 8, since: '5.15' },
}

/** Family ovs_datapath: the datapaths themselves. */
export const datapath: Family<OvsHeader, DatapathBody> & { readonly body: AttributeSet<DatapathBody> } = {
  name: 'ovs_datapath',
  version: 2,
  commands,
  header: ovsHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<DatapathBody>('datapath', {
    name: { uapi: 'OVS_DP_ATTR_NAME', id: 1, codec: string, doc: 'Name, at most 15 bytes.' },
    upcallPid: { uapi: 'OVS_DP_ATTR_UPCALL_PID', id: 2, codec: u32, doc: 'Where misses go; 0 is nowhere.' },
    stats: { uapi: 'OVS_DP_ATTR_STATS', id: 3, codec: struct<DatapathStatsBody>({ hit: u64, missed: u64, lost: u64, flows: u64 }, { grows: true }), doc: 'Lookups and flows.' },
    megaflowStats: {
      uapi: 'OVS_DP_ATTR_MEGAFLOW_STATS',
      id: 4,
      codec: struct<MegaflowStatsBody>(
        { maskHit: u64, masks: u32, pad: u32, cacheHit: u64, pad1: u64 },
        { grows: true },
      ),
      doc: 'Masks and the mask cache.',
    },
    userFeatures: { uapi: 'OVS_DP_ATTR_USER_FEATURES', id: 5, codec: u32, doc: 'OVS_DP_F_*; a SET without it clears all.' },
    masksCacheSize: { uapi: 'OVS_DP_ATTR_MASKS_CACHE_SIZE', id: 7, codec: u32, since: '5.10', doc: 'Entries of the mask cache.' },
    perCpuPids: { uapi: 'OVS_DP_ATTR_PER_CPU_PIDS', id: 8, codec: list(u32), since: '5.15', doc: 'Where upcalls of each processor go; told since 6.1.' },
    ifindex: { uapi: 'OVS_DP_ATTR_IFINDEX', id: 9, codec: u32, since: '6.6', doc: 'Ifindex of the local device.' },
  }),
}
