import { u32 } from '../../netlink/integers.js'
import { list } from '../../netlink/table.js'
import { datapathFeatures } from '../../ovs/datapath.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { vport as family } from '../../ovs/vport.js'
import type { parse, Policy, Span } from './attributes.js'
import { datapathOf, textOf } from './datapath.js'
import { notSimulated, refuse } from './errors.js'
import type { Device } from './devices.js'
import type { Command } from './generic.js'
import { frame } from './request.js'
import { type Datapath, type State, type Vport, vportOf } from './state.js'

// OVS_VPORT_ATTR_*, and what the kernel's vport_policy asks of them.
const attr = { PORT_NO: 1, TYPE: 2, NAME: 3, OPTIONS: 4, UPCALL_PID: 5, IFINDEX: 8 } as const
export const vportPolicy: Policy = {
  [attr.NAME]: { string: 15 },
  [attr.PORT_NO]: { min: 4 },
  [attr.TYPE]: { min: 4 },
  [attr.UPCALL_PID]: { min: 4 },
  [attr.IFINDEX]: { min: 4 },
}

const types = { NETDEV: 1, INTERNAL: 2 } as const
const MAX_PORTS = 0xffff

/** Family ovs_vport (net/openvswitch/datapath.c, vport-netdev.c, vport-internal_dev.c). */
export const vportCommands: Readonly<Record<number, Command>> = {
  [commands.NEW]: ({ state, attributes, dpIfindex, echo }) => {
    const [name, type, pid] = [attr.NAME, attr.TYPE, attr.UPCALL_PID].map((id) => attributes.get(id))
    if (name === undefined || type === undefined || pid === undefined) refuse('EINVAL')
    const wanted = numberAt(attributes.get(attr.PORT_NO)) ?? 0
    if (wanted >= MAX_PORTS) refuse('EFBIG')
    const datapath = datapathOf(state, dpIfindex)
    if (wanted !== 0 && datapath.ports.has(wanted)) refuse('EBUSY')
    const number = wanted === 0 ? lowestFree(datapath) : wanted
    const upcallPids = pidsAt(pid)
    const kind = numberAt(type) ?? 0
    const device = attach(state, datapath, kind, textOf(name))
    const none = () => ({ packets: 0n, bytes: 0n })
    const port: Vport = { number, type: kind, device, datapath, upcallPids, rx: none(), tx: none() }
    datapath.ports.set(number, port)
    echo((family) => writeVport(family, 0, commands.NEW, port))
  },
  [commands.DEL]: ({ state, attributes, dpIfindex, echo }) => {
    const port = find(state, attributes, dpIfindex)
    if (port.number === 0) refuse('EINVAL')
    echo((family) => writeVport(family, 0, commands.DEL, port))
    port.datapath.ports.delete(port.number)
    if (port.type === types.INTERNAL) state.devices.remove(port.device)
  },
  [commands.GET]: ({ state, attributes, dpIfindex, reply }) => {
    const port = find(state, attributes, dpIfindex)
    reply((family) => writeVport(family, 0, commands.GET, port))
  },
  [commands.SET]: ({ state, attributes, dpIfindex, echo }) => {
    const port = find(state, attributes, dpIfindex)
    const type = numberAt(attributes.get(attr.TYPE))
    if (type !== undefined && type !== port.type) refuse('EINVAL')
    // Neither kind of port that exists here has options.
    if (attributes.has(attr.OPTIONS)) refuse('EOPNOTSUPP')
    const pids = attributes.get(attr.UPCALL_PID)
    if (pids !== undefined) port.upcallPids = pidsAt(pids)
    echo((family) => writeVport(family, 0, commands.SET, port))
  },
}

/** The ports of a datapath by number. */
export function* dumpVports(state: State, type: number, dpIfindex: number): Generator<Uint8Array> {
  const { ports } = datapathOf(state, dpIfindex)
  for (const number of [...ports.keys()].sort((a, b) => a - b)) {
    const port = ports.get(number)
    if (port !== undefined) yield writeVport(type, 2, commands.GET, port)
  }
}

function numberAt(span: Span | undefined): number | undefined {
  return span === undefined ? undefined : u32.take(span.bytes, span.start)
}

/** ovs_vport_set_upcall_portids(). */
function pidsAt({ bytes, start, end }: Span): readonly number[] {
  if (end === start || (end - start) % 4 !== 0) refuse('EINVAL')
  return list(u32).read(bytes, start, end)
}

function lowestFree({ ports }: Datapath): number {
  let number = 1
  while (ports.has(number)) number++
  return number < MAX_PORTS ? number : refuse('EFBIG')
}

function attach(state: State, datapath: Datapath, type: number, name: string): Device {
  const device = state.devices.byName(name)
  if (type === types.INTERNAL) {
    if (device !== undefined) refuse('EEXIST')
    return state.devices.add(name, { kind: 'openvswitch' })
  }
  if (type >= 3 && type <= 5) notSimulated(`a vport of type ${type}`)
  if (type !== types.NETDEV) refuse('EAFNOSUPPORT')
  if (device === undefined) refuse('ENODEV')
  if (device.kind === 'loopback' || device.kind === 'openvswitch') refuse('EINVAL')
  // The datapath becomes the device's master first, and one master is all it can have (netdev_master_upper_dev_link()).
  const taken = vportOf(state, device.ifindex)
  if (taken !== undefined) refuse(taken.datapath === datapath ? 'EEXIST' : 'EBUSY')
  return device
}

function find(state: State, attributes: ReturnType<typeof parse>, dpIfindex: number): Vport {
  if (attributes.has(attr.IFINDEX)) refuse('EOPNOTSUPP')
  const name = attributes.get(attr.NAME)
  if (name !== undefined) {
    const device = state.devices.byName(textOf(name))
    const port = device && vportOf(state, device.ifindex)
    if (port === undefined) refuse('ENODEV')
    if (dpIfindex !== 0 && dpIfindex !== port.datapath.device.ifindex) refuse('ENODEV')
    return port
  }
  const number = numberAt(attributes.get(attr.PORT_NO)) ?? refuse('EINVAL')
  if (number >= MAX_PORTS) refuse('EFBIG')
  return datapathOf(state, dpIfindex).ports.get(number) ?? refuse('ENODEV')
}

/** A port as the kernel tells of it. */
export function writeVport(type: number, flags: number, cmd: number, port: Vport): Uint8Array {
  const { number, device, datapath, upcallPids, rx, tx } = port
  // Whoever does not know of several is told of one (ovs_vport_get_upcall_portids()).
  const told = datapath.userFeatures & datapathFeatures.vportPids.bit ? upcallPids : upcallPids.slice(0, 1)
  return frame(type, flags, (writer) => {
    ovsHeader.write(writer, { cmd, version: family.version, dpIfindex: datapath.device.ifindex })
    family.body.write(writer, { portNo: number, type: port.type, name: device.name })
    family.body.write(writer, { ifindex: device.ifindex })
    const stats = {
      rxPackets: rx.packets,
      txPackets: tx.packets,
      rxBytes: rx.bytes,
      txBytes: tx.bytes,
      rxErrors: 0n,
      txErrors: 0n,
      rxDropped: 0n,
      txDropped: 0n,
    }
    family.body.write(writer, { stats })
    family.body.write(writer, { upcallPids: told })
  })
}
