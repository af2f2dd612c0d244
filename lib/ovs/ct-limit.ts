import type { UnknownAttribute } from '../../types/flow.js'
import type { Family } from '../netlink/genl.js'
import { s32, u32 } from '../netlink/integers.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, arrayOf } from '../netlink/table.js'
import { type OvsHeader, ovsHeader } from './family.js'

/** struct ovs_zone_limit. */
export interface ZoneLimitBody {
  readonly zone: number
  readonly limit?: number
  readonly count?: number
}

export interface CtLimitBody {
  readonly limits?: readonly ZoneLimitBody[]
  readonly unknown?: readonly UnknownAttribute[]
}

/** The commands of this family are its own. */
export const ctLimitCommands = { SET: 1, DEL: 2, GET: 3 } as const

/** The zone that stands for those without a limit of their own (OVS_ZONE_LIMIT_DEFAULT_ZONE). */
export const DEFAULT_ZONE = -1

/** Family ovs_ct_limit: how many connections a zone may have. They are a network namespace's, and no datapath's. */
export const ctLimit: Family<OvsHeader, CtLimitBody> & { readonly body: AttributeSet<CtLimitBody> } = {
  name: 'ovs_ct_limit',
  origin: 'it takes openvswitch of Linux 4.18, with CONFIG_NETFILTER_CONNCOUNT',
  version: 1,
  commands: ctLimitCommands,
  header: ovsHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<CtLimitBody>('ctLimit', {
    limits: { uapi: 'OVS_CT_LIMIT_ATTR_ZONE_LIMIT', id: 1, codec: arrayOf(struct<ZoneLimitBody>({ zone: s32, limit: u32, count: u32 })), since: '4.18', doc: 'Limits, one behind the other.' },
  }),
}
