import type { FlowKey } from '../../../types/flow.js'
import { u32 } from '../../netlink/integers.js'
import { Writer } from '../../netlink/writer.js'
import { flowKey } from '../../ovs/key.js'
import { packetCommands } from '../../ovs/packet.js'
import { payload, type Span, walk } from './attributes.js'
import { readCt } from './conntrack.js'
import { Refusal } from './errors.js'
import { readKey } from './flow-validity.js'
import type { KernelFlow } from './flow-table.js'
import { handOver } from './upcalls.js'
import type { Datapath, State, Vport } from './state.js'

/** A packet on its way through a datapath. */
export interface Passage {
  readonly state: State
  readonly datapath: Datapath
  /** Where it came in. */
  readonly port: Vport | undefined
  /** What it looks like. */
  readonly frame: FlowKey
  readonly packet: Uint8Array
  /** In bytes, of the frame. */
  readonly size: number
  /** Names of the devices it went to, in order. */
  readonly outputs: string[]
}

/**
 * ovs_dp_process_packet(): through the flows from `recircId` on. False when it met none at last, and was handed over. What actions write
 * into the packet is not carried out.
 */
export function throughFlows(passage: Passage, recircId: number): boolean {
  const { state, datapath, port, frame, packet } = passage
  for (let id: number | undefined = recircId; id !== undefined; ) {
    const key = keyOf({ ...frame, recircId: id, ...(port === undefined ? {} : { inPort: port.number }) })
    const flow = datapath.flows.lookup(key)
    if (flow === undefined) {
      datapath.missed++
      handOver(state, datapath, port, { cmd: packetCommands.MISS, key, packet })
      return false
    }
    datapath.hit++
    tally(passage, flow)
    id = carryOut(passage, key, flow.actions)
  }
  return true
}

function tally({ state, frame, size }: Passage, flow: KernelFlow): void {
  flow.packets++
  flow.bytes += BigInt(size)
  flow.used = state.now()
  flow.tcpFlags |= innermost(frame).tcpFlags ?? 0
  flow.tcpFlags &= 0xff
}

/** do_execute_actions(): answers the recirculation id the packet goes on with, if it does. */
export function carryOut(passage: Passage, key: Uint8Array, actions: Uint8Array): number | undefined {
  const { state, datapath, port, packet } = passage
  let next: number | undefined
  // Of the next output or upcall (action trunc).
  let cut: number | undefined
  let dropped = false
  walk({ bytes: actions, start: 0, end: actions.length }, (id, span) => {
    if (dropped) return
    if (id === RECIRC) next = u32.take(span.bytes, span.start)
    else if (id === TRUNC) cut = u32.take(span.bytes, span.start)
    else if (id === OUTPUT) output(passage, u32.take(span.bytes, span.start), cut)
    else if (id === CT) {
      const { commit, zone } = readCt(span)
      if (commit) dropped = !state.connections.commit(passage.frame, zone)
    } else if (id === USERSPACE) {
      const said = { cmd: packetCommands.ACTION, key, packet, ...userspaceOf(span, actions) }
      handOver(state, datapath, port, { ...said, ...(cut === undefined ? {} : { cut }) })
    }
    if (id === OUTPUT || id === USERSPACE) cut = undefined
  })
  return next
}

function output({ datapath, size, outputs }: Passage, number: number, cut = size): void {
  const target = datapath.ports.get(number)
  if (target === undefined) return
  target.tx.packets++
  target.tx.bytes += BigInt(Math.min(cut, size))
  outputs.push(target.device.name)
}

/** OVS_USERSPACE_ATTR_*. */
function userspaceOf(userspace: Span, actions: Uint8Array) {
  const found = new Map<number, Span>()
  walk(userspace, (id, span) => found.set(id, span))
  const [pid, userdata] = [found.get(1), found.get(2)]
  return {
    ...(pid === undefined ? {} : { pid: u32.take(pid.bytes, pid.start) }),
    ...(userdata === undefined ? {} : { userdata: payload(userdata) }),
    ...(found.has(4) ? { actions } : {}),
  }
}

const OUTPUT = 1
const USERSPACE = 2
const RECIRC = 7
const CT = 12
const TRUNC = 13

function innermost(frame: FlowKey): FlowKey {
  return frame.encap === undefined ? frame : innermost(frame.encap)
}

/** The packet's key as the datapath extracts it. */
export function keyOf(frame: FlowKey): Uint8Array {
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
