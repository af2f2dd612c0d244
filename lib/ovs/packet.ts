import type { Action } from '../../types/action.js'
import type { FlowKey, TunnelKey, UnknownAttribute } from '../../types/flow.js'
import type { Family } from '../netlink/genl.js'
import { u16, u32, u64 } from '../netlink/integers.js'
import { AttributeSet, bytes, flag } from '../netlink/table.js'
import { actionList } from './action.js'
import { type OvsHeader, ovsHeader } from './family.js'
import { flowKey } from './key.js'
import { tunnelKey } from './tunnel.js'

export interface PacketBody {
  readonly key?: FlowKey
  readonly userdata?: Uint8Array
  readonly egressTunKey?: TunnelKey
  readonly actions?: readonly Action[]
  readonly mru?: number
  readonly len?: number
  readonly hash?: bigint
  readonly packet?: Uint8Array
  readonly probe?: true
  readonly upcallPid?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/** MISS and ACTION come from the kernel, EXECUTE goes to it. */
export const packetCommands = { MISS: 1, ACTION: 2, EXECUTE: 3 } as const

/** Family ovs_packet: packets on their way out of the datapath and back into it. */
export const packet: Family<OvsHeader, PacketBody> & { readonly body: AttributeSet<PacketBody> } = {
  name: 'ovs_packet',
  version: 1,
  commands: packetCommands,
  header: ovsHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<PacketBody>('packet', {
    key: { uapi: 'OVS_PACKET_ATTR_KEY', id: 2, codec: flowKey, doc: 'What the packet looks like; in EXECUTE, what does not stand in it.' },
    userdata: { uapi: 'OVS_PACKET_ATTR_USERDATA', id: 4, codec: bytes, doc: 'Of the userspace action.' },
    egressTunKey: { uapi: 'OVS_PACKET_ATTR_EGRESS_TUN_KEY', id: 5, codec: tunnelKey, doc: 'The tunnel it would leave by.' },
    actions: { uapi: 'OVS_PACKET_ATTR_ACTIONS', id: 3, codec: actionList, doc: 'Those of the flow; in EXECUTE, what is done.' },
    mru: { uapi: 'OVS_PACKET_ATTR_MRU', id: 9, codec: u16, since: '4.3', doc: 'Size of the largest fragment it was put together from.' },
    len: { uapi: 'OVS_PACKET_ATTR_LEN', id: 10, codec: u32, since: '4.8', doc: 'How long it was before it was cut off; absent when it was not.' },
    hash: { uapi: 'OVS_PACKET_ATTR_HASH', id: 11, codec: u64, since: '5.5', doc: 'Of its headers, and how it was computed.' },
    packet: { uapi: 'OVS_PACKET_ATTR_PACKET', id: 1, codec: bytes, doc: 'From the Ethernet header on.' },
    probe: { uapi: 'OVS_PACKET_ATTR_PROBE', id: 8, codec: flag, doc: 'Keeps the log quiet.' },
    upcallPid: { uapi: 'OVS_PACKET_ATTR_UPCALL_PID', id: 12, codec: u32, since: '6.17', doc: 'In EXECUTE: where its own upcalls go.' },
  }),
}
