import type { UnknownAttribute } from '../../types/flow.js'
import type { PortStats, PortType } from '../../types/port.js'
import type { Family } from '../netlink/genl.js'
import { u32, u64 } from '../netlink/integers.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, list, string } from '../netlink/table.js'
import { commands, type OvsHeader, ovsHeader } from './family.js'

export interface VportBody {
  readonly portNo?: number
  readonly type?: number
  readonly name?: string
  readonly upcallPids?: readonly number[]
  readonly stats?: PortStats
  readonly ifindex?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/** enum ovs_vport_type, by its numbers from 1. The kernel has its tunnels for old users only; since 4.3 they are netdevs of a kind. */
export const portTypes: readonly PortType[] = ['netdev', 'internal', 'gre', 'vxlan', 'geneve']

/** Family ovs_vport: the ports of a datapath. */
export const vport: Family<OvsHeader, VportBody> & { readonly body: AttributeSet<VportBody> } = {
  name: 'ovs_vport',
  version: 1,
  commands,
  header: ovsHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<VportBody>('vport', {
    portNo: { uapi: 'OVS_VPORT_ATTR_PORT_NO', id: 1, codec: u32, doc: 'Port number; absent in NEW, the kernel picks one.' },
    type: { uapi: 'OVS_VPORT_ATTR_TYPE', id: 2, codec: u32, doc: 'OVS_VPORT_TYPE_*.' },
    name: { uapi: 'OVS_VPORT_ATTR_NAME', id: 3, codec: string, doc: 'Device name, at most 15 bytes.' },
    upcallPids: { uapi: 'OVS_VPORT_ATTR_UPCALL_PID', id: 5, codec: list(u32), doc: 'Where upcalls go, by the hash of the packet; 0 is nowhere.' },
    stats: {
      uapi: 'OVS_VPORT_ATTR_STATS',
      id: 6,
      codec: struct<PortStats>(
        {
          rxPackets: u64,
          txPackets: u64,
          rxBytes: u64,
          txBytes: u64,
          rxErrors: u64,
          txErrors: u64,
          rxDropped: u64,
          txDropped: u64,
        },
        { grows: true },
      ),
      doc: 'Counters of the port.',
    },
    ifindex: { uapi: 'OVS_VPORT_ATTR_IFINDEX', id: 8, codec: u32, since: '4.20', doc: 'Ifindex of the device.' },
  }),
}
