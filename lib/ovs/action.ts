import type { Action, ActionSet, HashAction } from '../../types/action.js'
import type { EthernetKey } from '../../types/flow.js'
import { mac } from '../netlink/addresses.js'
import { be16, u32 } from '../netlink/integers.js'
import { struct } from '../netlink/struct.js'
import { AttributeList, AttributeSet, flag, lazy } from '../netlink/table.js'
import { ct, nat } from './action/ct.js'
import { checkPktLenSet, decTtlSet, psample, sampleSet } from './action/nested.js'
import { addMpls, pushMpls, pushNsh, pushVlan } from './action/push.js'
import { set, setMasked } from './action/set.js'
import { userspace } from './action/userspace.js'

/** How many lists may lie in one another: as many as OVS reads. The kernel takes 16. */
export const deepest = 30

const list = Object.assign(
  lazy<readonly Action[]>(undefined, () => actionList, deepest),
  { samples: [[{ output: 3 }, { popVlan: true }], []] as const },
)
const [sample, checkPktLen, decTtl] = [sampleSet(list), checkPktLenSet(list), decTtlSet(list)]

const hash = struct<HashAction>({ alg: u32, basis: u32 })
const ethernet = struct<EthernetKey>({ src: mac, dst: mac })

// biome-ignore format: one row per line
const actionRows: AttributeSet<ActionSet> = new AttributeSet<ActionSet>('actions', {
  output: { uapi: 'OVS_ACTION_ATTR_OUTPUT', id: 1, codec: u32, doc: 'Send to a datapath port.' },
  userspace: { uapi: 'OVS_ACTION_ATTR_USERSPACE', id: 2, codec: userspace, text: 'userspace', doc: 'Hand to userspace.' },
  set: { uapi: 'OVS_ACTION_ATTR_SET', id: 3, codec: set, text: 'set', doc: 'Write a whole header.' },
  pushVlan: { uapi: 'OVS_ACTION_ATTR_PUSH_VLAN', id: 4, codec: pushVlan, text: 'push_vlan', doc: 'Add a VLAN tag.' },
  popVlan: { uapi: 'OVS_ACTION_ATTR_POP_VLAN', id: 5, codec: flag, text: 'pop_vlan', doc: 'Remove the outer VLAN tag.' },
  sample: { uapi: 'OVS_ACTION_ATTR_SAMPLE', id: 6, codec: sample, text: 'sample', doc: 'Carry out actions on a part of the packets.' },
  recirc: { uapi: 'OVS_ACTION_ATTR_RECIRC', id: 7, codec: u32, text: 'recirc', since: '3.19', doc: 'Start over, with this recirc_id.' },
  hash: { uapi: 'OVS_ACTION_ATTR_HASH', id: 8, codec: hash, text: 'hash', since: '3.18', doc: 'Compute dp_hash.' },
  pushMpls: { uapi: 'OVS_ACTION_ATTR_PUSH_MPLS', id: 9, codec: pushMpls, text: 'push_mpls', since: '3.19', doc: 'Push an MPLS label.' },
  popMpls: { uapi: 'OVS_ACTION_ATTR_POP_MPLS', id: 10, codec: be16, text: 'pop_mpls', since: '3.19', doc: 'Remove an MPLS label.' },
  setMasked: { uapi: 'OVS_ACTION_ATTR_SET_MASKED', id: 11, codec: setMasked, text: 'set', since: '3.19', doc: 'Write some bits of a header.' },
  ct: { uapi: 'OVS_ACTION_ATTR_CT', id: 12, codec: ct, text: 'ct', since: '4.3', doc: 'Connection tracking.' },
  trunc: { uapi: 'OVS_ACTION_ATTR_TRUNC', id: 13, codec: u32, text: 'trunc', since: '4.8', doc: 'Cut for the next output.' },
  pushEth: { uapi: 'OVS_ACTION_ATTR_PUSH_ETH', id: 14, codec: ethernet, text: 'push_eth', since: '4.10', doc: 'Push an Ethernet header.' },
  popEth: { uapi: 'OVS_ACTION_ATTR_POP_ETH', id: 15, codec: flag, text: 'pop_eth', since: '4.10', doc: 'Remove the Ethernet header.' },
  ctClear: { uapi: 'OVS_ACTION_ATTR_CT_CLEAR', id: 16, codec: flag, text: 'ct_clear', since: '4.15', doc: 'Forget the conntrack state.' },
  pushNsh: { uapi: 'OVS_ACTION_ATTR_PUSH_NSH', id: 17, codec: pushNsh, text: 'push_nsh', since: '4.15', doc: 'Push a network service header.' },
  popNsh: { uapi: 'OVS_ACTION_ATTR_POP_NSH', id: 18, codec: flag, text: 'pop_nsh', since: '4.15', doc: 'Remove the network service header.' },
  meter: { uapi: 'OVS_ACTION_ATTR_METER', id: 19, codec: u32, text: 'meter', since: '4.15', doc: 'Pass through a meter.' },
  clone: { uapi: 'OVS_ACTION_ATTR_CLONE', id: 20, codec: list, text: 'clone', since: '4.15', doc: 'Carry out actions on a copy.' },
  checkPktLen: { uapi: 'OVS_ACTION_ATTR_CHECK_PKT_LEN', id: 21, codec: checkPktLen, text: 'check_pkt_len', since: '5.2', doc: 'Go one way or the other by length.' },
  addMpls: { uapi: 'OVS_ACTION_ATTR_ADD_MPLS', id: 22, codec: addMpls, text: 'add_mpls', since: '5.5', doc: 'Push an MPLS label before any header.' },
  decTtl: { uapi: 'OVS_ACTION_ATTR_DEC_TTL', id: 23, codec: decTtl, text: 'dec_ttl', since: '5.12', doc: 'Decrement the TTL.' },
  drop: { uapi: 'OVS_ACTION_ATTR_DROP', id: 24, codec: u32, text: 'drop', since: '6.6', doc: 'Drop, with a reason code.' },
  psample: { uapi: 'OVS_ACTION_ATTR_PSAMPLE', id: 25, codec: psample, text: 'psample', since: '6.11', doc: 'Send a sample to a group of listeners.' },
})

/** The actions of a flow, carried out in order. The empty list drops. */
export const actionList = new AttributeList<ActionSet, Action>(actionRows)

/** The sets of attributes within actions. */
export const nestedSets = [userspace, sample, ct, nat, checkPktLen, decTtl, psample] as const

/** Whether two lists of actions are the same outputs; false when there is anything else in them. */
export function sameOutputs(a: readonly Action[], b: readonly Action[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) {
    const output = a[index]?.output
    if (output === undefined || output !== b[index]?.output) return false
  }
  return true
}
