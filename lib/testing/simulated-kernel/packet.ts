import type { FlowKey } from '../../../types/flow.js'
import { flowKey } from '../../ovs/key.js'
import { packet as family, packetCommands } from '../../ovs/packet.js'
import { payload, type Policy, type Span } from './attributes.js'
import { datapathOf } from './datapath.js'
import { dissect } from './dissect.js'
import { refuse } from './errors.js'
import { validateActions } from './flow-actions.js'
import { carryOut, keyOf, throughFlows } from './forward.js'
import type { Command } from './generic.js'

const { ids } = family.body

/** What the kernel's packet_policy asks of OVS_PACKET_ATTR_*: a frame has an Ethernet header. */
export const packetPolicy: Policy = {
  [ids.packet]: { min: 14 },
  [ids.mru]: { min: 2 },
  [ids.hash]: { min: 8 },
}

/** Family ovs_packet (net/openvswitch/datapath.c). */
export const packetCommandsHere: Readonly<Record<number, Command>> = {
  [packetCommands.EXECUTE]: ({ state, attributes, dpIfindex }) => {
    const [data, metadata, actions] = [ids.packet, ids.key, ids.actions].map((id) => attributes.get(id))
    if (data === undefined || metadata === undefined || actions === undefined) refuse('EINVAL')
    const packet = payload(data).slice()
    const frame = { ...metadataOf(metadata), ...dissect(packet) }
    const key = keyOf(frame)
    validateActions(actions, key)
    const datapath = datapathOf(state, dpIfindex)
    // A port that is gone meanwhile is as good as the datapath's own.
    const port = datapath.ports.get(frame.inPort ?? 0) ?? datapath.ports.get(0)
    const passage = { state, datapath, port, frame, packet, size: packet.length, outputs: [] }
    const next = carryOut(passage, key, payload(actions))
    if (next !== undefined) throughFlows(passage, next)
  },
}

/** ovs_nla_get_flow_metadata(): what does not stand in the packet; the rest is passed over. */
function metadataOf({ bytes, start, end }: Span): FlowKey {
  const {
    recircId = 0,
    dpHash,
    skbPriority,
    inPort,
    skbMark,
    ctState,
    ctZone,
    ctMark,
    ctLabels,
  } = flowKey.read(bytes, start, end)
  const all = { recircId, dpHash, skbPriority, inPort, skbMark, ctState, ctZone, ctMark, ctLabels }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}
