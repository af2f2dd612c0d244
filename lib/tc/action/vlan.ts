import { mac } from '../../netlink/addresses.js'
import { be16, u8, u16, u32 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface VlanParms extends General {
  /** One of {@link vlanActions}. */
  readonly vlanAction: number
}

export interface VlanOptions extends CommonOptions {
  readonly parms?: VlanParms
  readonly id?: number
  readonly protocol?: number
  readonly priority?: number
  readonly ethDst?: string
  readonly ethSrc?: string
}

/** TCA_VLAN_ACT_*. */
export const vlanActions = { POP: 1, PUSH: 2, MODIFY: 3, POP_ETH: 4, PUSH_ETH: 5 } as const

/** Adds or removes a VLAN tag, or the whole Ethernet header. */
export const vlan: ActionKind<VlanOptions> = {
  kind: 'vlan',
  // biome-ignore format: one row per line
  options: new AttributeSet<VlanOptions>('vlan', {
    parms: { uapi: 'TCA_VLAN_PARMS', id: 2, codec: struct<VlanParms>({ ...general, vlanAction: u32 }), doc: 'Push or pop.' },
    protocol: { uapi: 'TCA_VLAN_PUSH_VLAN_PROTOCOL', id: 4, codec: be16, doc: 'Type of the tag.' },
    id: { uapi: 'TCA_VLAN_PUSH_VLAN_ID', id: 3, codec: u16, doc: 'VLAN id, 12 bits, host order.' },
    priority: { uapi: 'TCA_VLAN_PUSH_VLAN_PRIORITY', id: 6, codec: u8, doc: 'Priority, 3 bits.' },
    ethDst: { uapi: 'TCA_VLAN_PUSH_ETH_DST', id: 7, codec: mac, since: '5.11', doc: 'Of the Ethernet header to add.' },
    ethSrc: { uapi: 'TCA_VLAN_PUSH_ETH_SRC', id: 8, codec: mac, since: '5.11', doc: 'Of the Ethernet header to add.' },
    times: { uapi: 'TCA_VLAN_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 5 }),
}
