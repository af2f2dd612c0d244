import { u32 } from '../../netlink/integers.js'
import { ovsHeader } from '../../ovs/family.js'
import { datapathFeatures } from '../../ovs/datapath.js'
import { packet as family } from '../../ovs/packet.js'
import { putKey } from './flow-key.js'
import { frame, nest, put } from './request.js'
import { type Datapath, PACKET_FAMILY, type State, type Vport } from './state.js'

/** A packet on its way out of the datapath. */
export interface Leaving {
  /** MISS or ACTION (enum ovs_packet_cmd). */
  readonly cmd: number
  /** The packet's key, as the datapath extracted it. */
  readonly key: Uint8Array
  readonly packet: Uint8Array
  /** Of an action: where it wants it, and what it says. */
  readonly pid?: number
  readonly userdata?: Uint8Array
  readonly actions?: Uint8Array
  /** Bytes that are handed over, when the packet was cut off. */
  readonly cut?: number
}

/** ovs_dp_upcall(): finds the socket and sends. What cannot be sent is counted as lost. */
export function handOver(state: State, datapath: Datapath, port: Vport | undefined, leaving: Leaving): void {
  const pid = pidFor(datapath, port, leaving)
  if (pid === 0 || !state.mailboxes.deliver(pid, write(datapath, leaving))) datapath.lost++
}

function pidFor(datapath: Datapath, port: Vport | undefined, { pid, packet }: Leaving): number {
  // All is done on processor 0 here.
  if (datapath.userFeatures & datapathFeatures.dispatchUpcallPerCpu.bit) return datapath.perCpuPids?.[0] ?? 0
  if (pid !== undefined) return pid
  const pids = port?.upcallPids ?? []
  return pids[hashOf(packet) % pids.length] ?? 0
}

/** Any will do, as long as packets of a connection have the same. */
function hashOf(packet: Uint8Array): number {
  return packet.subarray(0, 42).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 0)
}

function write({ device }: Datapath, leaving: Leaving): Uint8Array {
  const { cmd, key, packet, userdata, actions, cut = packet.length } = leaving
  const { ids } = family.body
  return frame(PACKET_FAMILY, 0, (writer) => {
    ovsHeader.write(writer, { cmd, version: family.version, dpIfindex: device.ifindex })
    nest(writer, ids.key, () => putKey(writer, key, key, false))
    if (userdata !== undefined) put(writer, ids.userdata, userdata)
    if (actions !== undefined) put(writer, ids.actions, actions)
    if (cut < packet.length) {
      const length = new Uint8Array(4)
      u32.put(length, 0, packet.length)
      put(writer, ids.len, length)
    }
    put(writer, ids.hash, new Uint8Array(8))
    put(writer, ids.packet, packet.subarray(0, cut))
  })
}
