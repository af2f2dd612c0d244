import type { FlowKey } from '../../../types/flow.js'
import { u32 } from '../../netlink/integers.js'
import { Writer } from '../../netlink/writer.js'
import { flowKey } from '../../ovs/key.js'
import { datapathFeatures } from '../../ovs/datapath.js'
import { jumpOf, verdicts } from '../../tc/action/kind.js'
import { filterFlags } from '../../tc/flower.js'
import { walk } from './attributes.js'
import type { Device } from './devices.js'
import { Refusal } from './errors.js'
import type { KernelFlow } from './flow-table.js'
import { packetOf } from './flower-key.js'
import { readKey } from './flow-validity.js'
import type { Qdiscs } from './qdisc.js'
import { type Datapath, type State, type Vport, vportOf } from './state.js'
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

/**
 * Lets a packet in on a device: past the filters on its ingress, then, if none took it, to the datapath. Counts what was met. What
 * actions write into the packet is not carried out.
 */
export function receive(state: State, qdiscs: Qdiscs, device: Device, frame: FlowKey, size: number): Receipt {
  // Where a packet that TC leaves goes on: in the last chain it was sent to, if the datapath shares recirculation.
  let left = 0
  for (let chain: number | undefined = 0; chain !== undefined; ) {
    left = chain
    const passed: Receipt | number | undefined = throughChain(state, qdiscs, device, frame, size, chain)
    if (typeof passed === 'object') return passed
    chain = passed
  }
  return throughOvs(state, device, frame, size, left)
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
    let last: number = verdicts.PIPE
    for (const action of filter.actions) {
      // Software sees the packet behind its Ethernet header.
      count(action, offloaded ? size : Math.max(0, size - 14), state.now(), offloaded)
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

function throughOvs(state: State, device: Device, frame: FlowKey, size: number, chain: number): Receipt {
  const port = vportOf(state, device.ifindex)
  if (port === undefined) return { by: 'miss', offloaded: false, outputs: [] }
  const { datapath } = port
  tally(port.rx, size)
  const outputs: string[] = []
  let recircId: number | undefined = datapath.userFeatures & datapathFeatures.tcRecircSharing.bit ? chain : 0
  while (recircId !== undefined) {
    const flow = datapath.flows.lookup(keyOf({ ...frame, recircId, inPort: port.number }))
    if (flow === undefined) {
      datapath.missed++
      return { by: 'miss', offloaded: false, outputs }
    }
    datapath.hit++
    recircId = carryOut(state, datapath, flow, frame, size, outputs)
  }
  return { by: 'ovs', offloaded: false, outputs }
}

/** Counts a packet and sends it where the flow says; answers the recirculation id it goes on with. */
function carryOut(
  state: State,
  datapath: Datapath,
  flow: KernelFlow,
  frame: FlowKey,
  size: number,
  outputs: string[],
): number | undefined {
  let next: number | undefined
  flow.packets++
  flow.bytes += BigInt(size)
  flow.used = state.now()
  flow.tcpFlags |= innermost(frame).tcpFlags ?? 0
  flow.tcpFlags &= 0xff
  walk({ bytes: flow.actions, start: 0, end: flow.actions.length }, (id, { bytes, start }) => {
    if (id === RECIRC) next = u32.take(bytes, start)
    const target: Vport | undefined = id === OUTPUT ? datapath.ports.get(u32.take(bytes, start)) : undefined
    if (target === undefined) return
    tally(target.tx, size)
    outputs.push(target.device.name)
  })
  return next
}

const ETH_P_ALL = 3
const OUTPUT = 1
const RECIRC = 7

function tally(counters: { packets: bigint; bytes: bigint }, size: number): void {
  counters.packets++
  counters.bytes += BigInt(size)
}

function innermost(frame: FlowKey): FlowKey {
  return frame.encap === undefined ? frame : innermost(frame.encap)
}

/** The packet's key as the datapath extracts it. */
function keyOf(frame: FlowKey): Uint8Array {
  const writer = new Writer(256)
  flowKey.write(writer, frame)
  const bytes = writer.take()
  try {
    return readKey({ bytes, start: 0, end: bytes.length })
  } catch (error) {
    throw error instanceof Refusal
      ? new TypeError('no packet looks like this frame; say which headers it has, tcpFlags beside tcp')
      : error
  }
}
