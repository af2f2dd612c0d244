import type { Action } from '../../types/action.js'
import type { FlowKey, UnknownAttribute } from '../../types/flow.js'
import type { Family } from '../netlink/genl.js'
import { u8, u32, u64 } from '../netlink/integers.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, bytes, flag } from '../netlink/table.js'
import { actionList } from './action.js'
import { commands, type OvsHeader, ovsHeader } from './family.js'
import { flowKey } from './key.js'

export interface FlowCounters {
  readonly packets: bigint
  readonly bytes: bigint
}

export interface FlowBody {
  readonly key?: FlowKey
  readonly actions?: readonly Action[]
  readonly stats?: FlowCounters
  readonly tcpFlags?: number
  readonly used?: bigint
  readonly clear?: true
  readonly probe?: true
  readonly mask?: FlowKey
  readonly ufid?: Uint8Array
  readonly ufidFlags?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/** OVS_UFID_F_*: what a reply about a flow with a ufid leaves out. */
export const ufidFlags = { OMIT_KEY: 1, OMIT_MASK: 2, OMIT_ACTIONS: 4, OMIT_ALL: 7 } as const

/** struct ovs_flow_stats. */
export const counters = struct<FlowCounters>({ packets: u64, bytes: u64 }, { grows: true })

/** Family ovs_flow: the flows of a datapath. */
export const flow: Family<OvsHeader, FlowBody> & { readonly body: AttributeSet<FlowBody> } = {
  name: 'ovs_flow',
  version: 1,
  commands,
  header: ovsHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<FlowBody>('flow', {
    ufid: { uapi: 'OVS_FLOW_ATTR_UFID', id: 9, codec: bytes, since: '4.0', doc: 'Identity, 16 bytes.' },
    ufidFlags: { uapi: 'OVS_FLOW_ATTR_UFID_FLAGS', id: 10, codec: u32, since: '4.0', doc: 'What replies leave out.' },
    key: { uapi: 'OVS_FLOW_ATTR_KEY', id: 1, codec: flowKey, doc: 'What a packet looks like.' },
    mask: { uapi: 'OVS_FLOW_ATTR_MASK', id: 7, codec: flowKey, doc: 'Which bits of the key count; absent is all.' },
    actions: { uapi: 'OVS_FLOW_ATTR_ACTIONS', id: 2, codec: actionList, doc: 'What is done; empty drops.' },
    stats: { uapi: 'OVS_FLOW_ATTR_STATS', id: 3, codec: counters, doc: 'Packets and bytes; absent when zero.' },
    tcpFlags: { uapi: 'OVS_FLOW_ATTR_TCP_FLAGS', id: 4, codec: u8, doc: 'OR of the TCP flags seen.' },
    used: { uapi: 'OVS_FLOW_ATTR_USED', id: 5, codec: u64, doc: 'Last use, in ms on CLOCK_MONOTONIC.' },
    clear: { uapi: 'OVS_FLOW_ATTR_CLEAR', id: 6, codec: flag, doc: 'Set the counters back; only SET listens.' },
    probe: { uapi: 'OVS_FLOW_ATTR_PROBE', id: 8, codec: flag, since: '4.0', doc: 'Keeps the log quiet.' },
  }),
}
