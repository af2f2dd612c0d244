import type { FlowKey } from '../../../types/flow.js'
import { datapathFeatures } from '../../ovs/datapath.js'
import { jumpOf, verdicts } from '../../tc/action/kind.js'
import { filterFlags } from '../../tc/flower.js'
import type { Device } from './devices.js'
import { packetOf } from './flower-key.js'
import { throughFlows } from './forward.js'
import type { Qdiscs } from './qdisc.js'
import { type State, vportOf } from './state.js'
import { count, effectOf } from './tc-actions.js'

/** What became of a packet. */
export interface Receipt {
  /** Who decided: a filter, a flow of openvswitch, or nobody, in which case openvswitch makes an upcall of it. */
  readonly by: 'tc' | 'ovs' | 'miss'
  /** The filter was in hardware, so software has not seen the packet. */
  readonly offloaded: boolean
  /** Names of the devices the packet went to, in order; none when it was dropped. */
  readonly outputs: readonly string[]
}

/** A packet that comes in. */
export interface Arrival {
  readonly frame: FlowKey
  readonly packet: Uint8Array
  /** In bytes, of the frame. */
  readonly size: number
}

/**
 * Lets a packet in on a device: past the filters on its ingress, then, if none took it, to the datapath. Counts what was met. What
 * actions write into the packet is not carried out.
 */
export function receive(state: State, qdiscs: Qdiscs, device: Device, arrival: Arrival): Receipt {
  const { frame, size } = arrival
  // Where a packet that TC leaves goes on: in the last chain it was sent to, if the datapath shares recirculation.
  let left = 0
  for (let chain: number | undefined = 0; chain !== undefined; ) {
    left = chain
    const passed: Receipt | number | undefined = throughChain(state, qdiscs, device, frame, size, chain)
    if (typeof passed === 'object') return passed
    chain = passed
  }
  return throughOvs(state, device, arrival, left)
}

/** Who took the packet, or the next chain. */
function throughChain(
  state: State,
  qdiscs: Qdiscs,
  device: Device,
  frame: FlowKey,
  size: number,
  chain: number,
): Receipt | number | undefined {
  const packet = packetOf(frame)
  for (const classifier of qdiscs.on(device.ifindex)?.ingress.chain(chain) ?? []) {
    if (classifier.protocol !== frame.etherType && classifier.protocol !== ETH_P_ALL) continue
    const filter = classifier.lookup(packet)
    if (filter === undefined) continue
    const offloaded = (filter.flags & filterFlags.IN_HW) !== 0 && !device.offload?.lost
    const outputs: string[] = []
    const isTimed = !offloaded || device.offload?.lastUsed !== false
    let last: number = verdicts.PIPE
    for (const action of filter.actions) {
      // Software sees the packet behind its Ethernet header.
      count(action, offloaded ? size : Math.max(0, size - 14), isTimed ? state.now() : undefined, offloaded)
      const { ifindex, verdict } = effectOf(action)
      const target = ifindex === undefined ? undefined : state.devices.byIndex(ifindex)
      if (target !== undefined) outputs.push(target.name)
      last = verdict
      if (verdict !== verdicts.PIPE) break
    }
    // Anything but these lets the packet go on to the device's own handler.
    if (last === verdicts.SHOT || last === verdicts.STOLEN) return { by: 'tc', offloaded, outputs }
    return jumpOf(last, 'GOTO_CHAIN')
  }
  return undefined
}

function throughOvs(state: State, device: Device, { frame, packet, size }: Arrival, chain: number): Receipt {
  const port = vportOf(state, device.ifindex)
  const outputs: string[] = []
  if (port === undefined) return { by: 'miss', offloaded: false, outputs }
  const { datapath } = port
  port.rx.packets++
  port.rx.bytes += BigInt(size)
  const recircId = datapath.userFeatures & datapathFeatures.tcRecircSharing.bit ? chain : 0
  const met = throughFlows({ state, datapath, port, frame, packet, size, outputs }, recircId)
  return { by: met ? 'ovs' : 'miss', offloaded: false, outputs }
}

const ETH_P_ALL = 3
