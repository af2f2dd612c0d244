import type { UserspaceAction } from '../../../types/action.js'
import { u32 } from '../../netlink/integers.js'
import { AttributeSet, bytes, flag } from '../../netlink/table.js'

// biome-ignore format: one row per line
export const userspace: AttributeSet<UserspaceAction> = new AttributeSet<UserspaceAction>('userspace', {
  pid: { uapi: 'OVS_USERSPACE_ATTR_PID', id: 1, codec: u32, text: 'pid', doc: 'Netlink port id of the socket that gets it.' },
  userdata: { uapi: 'OVS_USERSPACE_ATTR_USERDATA', id: 2, codec: bytes, text: 'userdata', doc: 'Comes back with the packet.' },
  egressTunPort: { uapi: 'OVS_USERSPACE_ATTR_EGRESS_TUN_PORT', id: 3, codec: u32, text: 'tunnel_out_port', doc: 'Tell the tunnel it would leave by at this port.' },
  actions: { uapi: 'OVS_USERSPACE_ATTR_ACTIONS', id: 4, codec: flag, text: 'actions', doc: "Tell the flow's actions." },
})
