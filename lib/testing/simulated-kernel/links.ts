import { linkFlags, linkLayers, linkMessage, linkTypes } from '../../device/link.js'
import { tunnelOf } from '../../device/tunnel.js'
import { DpifError } from '../../errors.js'
import { flags, HEADER_SIZE, readMessage } from '../../netlink/message.js'
import type { Message } from '../../netlink/reader.js'
import type { Device } from './devices.js'
import { notSimulated, refuse } from './errors.js'
import { frame } from './request.js'
import { type State, vportOf } from './state.js'

/** Devices over rtnetlink, as far as ports need them (net/core/rtnetlink.c): made by their kind, named, asked for and removed. */
export class Links {
  readonly #state: State

  constructor(state: State) {
    this.#state = state
  }

  /** RTM_NEWLINK. What is asked of a device that is there is taken for done; every device here is up. */
  set(message: Message): void {
    const { body } = read(message)
    const { name } = body
    if (!(message.flags & flags.CREATE)) {
      const device = this.get(message)
      if (body.alias !== undefined) device.alias = body.alias
      return
    }
    const { devices } = this.#state
    if (name === undefined || body.info?.kind === undefined)
      return notSimulated('a link without name and kind')
    if (name.length > 15) refuse('ERANGE')
    if (devices.byName(name) !== undefined) refuse('EEXIST')
    const { kind, data } = body.info
    const tunnel = tunnelOf(body.info)
    if (tunnel === undefined) return notSimulated(`a link of kind ${kind}`)
    for (const { info } of devices.all()) {
      const other = info && tunnelOf(info)
      if (other?.type !== tunnel.type || other.tunnel.dstPort !== tunnel.tunnel.dstPort) continue
      if (kind === 'geneve') refuse('EBUSY')
      refuse('EEXIST', kind === 'vxlan' ? 'A VXLAN device with the specified VNI already exists' : undefined)
    }
    devices.add(name, { kind }).info = { kind, ...(data === undefined ? {} : { data }) }
  }

  /** RTM_DELLINK. */
  remove(message: Message): void {
    const device = this.get(message)
    // Neither is of a kind that says how to remove it.
    if (device.kind === 'loopback' || device.kind === 'openvswitch') refuse('EOPNOTSUPP')
    this.#state.devices.remove(device)
  }

  /** The device a message is about, by its ifindex or its name. */
  get(message: Message): Device {
    const { header, body } = read(message)
    const { devices } = this.#state
    if (header.ifindex !== 0) return devices.byIndex(header.ifindex) ?? refuse('ENODEV')
    return body.name === undefined ? refuse('EINVAL') : (devices.byName(body.name) ?? refuse('ENODEV'))
  }

  *dump(message: Message): Generator<Uint8Array> {
    const { master } = read(message).body
    for (const device of this.#state.devices.all())
      if (!master || this.#masterOf(device) === master) yield this.write(device, flags.MULTI)
  }

  write(device: Device, messageFlags: number): Uint8Array {
    const { name, ifindex, kind, info, alias, switchId, portName } = device
    const master = this.#masterOf(device)
    return frame(linkTypes.NEWLINK, messageFlags, (writer) => {
      linkMessage.header.write(writer, { type: LAYERS[kind] ?? ETHER, ifindex, flags: RUNNING })
      linkMessage.body.write(writer, {
        name,
        ...(master === undefined ? {} : { master }),
        ...(kind === 'loopback' || kind === '' ? {} : { info: info ?? { kind } }),
        ...(alias === undefined ? {} : { alias }),
        ...(portName === undefined ? {} : { physPortName: portName }),
        ...(switchId === undefined ? {} : { physSwitchId: new Uint8Array(Buffer.from(switchId, 'hex')) }),
      })
    })
  }

  /** Ports that are devices of their own belong to the datapath's device. */
  #masterOf({ ifindex }: Device): number | undefined {
    const port = vportOf(this.#state, ifindex)
    return port?.type === NETDEV ? port.datapath.device.ifindex : undefined
  }
}

const NETDEV = 1
const ETHER = 1
/** ARPHRD_* of what is not Ethernet. */
const LAYERS: Readonly<Record<string, number>> = { loopback: 772, tun: linkLayers.NONE }
const RUNNING = 0x11042 | linkFlags.UP

function read(message: Message) {
  if (message.end - message.start < HEADER_SIZE + linkMessage.header.size)
    refuse('EINVAL', 'Invalid header for get link')
  try {
    return readMessage(linkMessage, message)
  } catch (error) {
    throw error instanceof DpifError ? refuse('ERANGE', 'Attribute failed policy validation') : error
  }
}
