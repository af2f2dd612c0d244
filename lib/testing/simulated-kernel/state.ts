import type { ConnectionTable } from './conntrack.js'
import type { Device, Devices } from './devices.js'
import type { Eswitch } from './eswitch.js'
import type { FlowTable } from './flow-table.js'
import type { Mailboxes } from './mailbox.js'

/** The number of family ovs_packet. Like the others, what a kernel might have given. */
export const PACKET_FAMILY = 0x1d

/** A port of a datapath. */
export interface Vport {
  readonly number: number
  /** enum ovs_vport_type: netdev 1, internal 2. */
  readonly type: number
  readonly device: Device
  readonly datapath: Datapath
  upcallPids: readonly number[]
  rx: { packets: bigint; bytes: bigint }
  tx: { packets: bigint; bytes: bigint }
}

/** A datapath; its number is the ifindex of its local device. */
export interface Datapath {
  readonly device: Device
  readonly ports: Map<number, Vport>
  readonly flows: FlowTable
  userFeatures: number
  masksCacheSize: number
  hit: bigint
  missed: bigint
  /** Upcalls nobody could be given. */
  lost: bigint
  /** Where upcalls of each processor go, once somebody has said. */
  perCpuPids: readonly number[] | undefined
}

/** What the families share: the devices, the datapaths, and the time. */
export interface State {
  readonly devices: Devices
  readonly datapaths: Map<number, Datapath>
  /** By the names devlink has for them. */
  readonly eswitches: Map<string, Eswitch>
  /** Whether a module can be loaded, or is there. */
  has(module: string): boolean
  readonly mailboxes: Mailboxes
  readonly connections: ConnectionTable
  /** CLOCK_MONOTONIC in milliseconds. */
  now(): number
}

/** The port a device is, if it is one. */
export function vportOf({ datapaths }: State, ifindex: number): Vport | undefined {
  for (const { ports } of datapaths.values()) {
    for (const port of ports.values()) if (port.device.ifindex === ifindex) return port
  }
  return undefined
}
