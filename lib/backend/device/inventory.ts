import type { Eswitch, EswitchMode, NetDevice } from '../../../types/device.js'
import type { Transport } from '../../../types/transport.js'
import { extMask, linkMessage, linkTypes } from '../../device/link.js'
import { DpifError } from '../../errors.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import { Writer } from '../../netlink/writer.js'
import { collect } from '../collect.js'
import type { FamilyId } from '../ovs/family.js'
import { describe } from './describe.js'
import { Devlink, type DevlinkDevice } from './devlink.js'
import { OffloadFeature } from './features.js'

/**
 * The devices of the host, and which of them are ports of an e-switch.
 *
 * Three sources tell: devlink what a port is, the link which switch it is on, ethtool whether the driver takes filters. A kernel or a
 * driver that lacks one leaves out what it would say. Reading takes no privileges, but for the mode of an e-switch; nothing is kept.
 */
export class Inventory {
  readonly #transport: Transport
  readonly #devlink: Devlink
  readonly #feature: OffloadFeature

  constructor(transport: Transport, id: FamilyId) {
    this.#transport = transport
    this.#devlink = new Devlink(transport, id)
    this.#feature = new OffloadFeature(transport, id)
  }

  /** Ascending by ifindex. */
  async devices(): Promise<NetDevice[]> {
    const [links, ports, features] = await Promise.all([
      this.#links(),
      this.#devlink.ports(),
      this.#feature.all(),
    ])
    const byIfindex = new Map(ports.map((port) => [port.portIfindex ?? 0, port]))
    return links
      .map((link) =>
        describe({
          ...link,
          port: byIfindex.get(link.header.ifindex),
          hwTcOffload: features.get(link.header.ifindex),
        }),
      )
      .sort((a, b) => a.ifindex - b.ifindex)
  }

  /** Both at once, so that one fits the other. */
  async all(): Promise<{ readonly devices: NetDevice[]; readonly eswitches: Eswitch[] }> {
    const [devices, known] = await Promise.all([this.devices(), this.#devlink.devices()])
    const eswitches = known.flatMap((device) => eswitchOf(device, devices) ?? [])
    return { devices, eswitches: eswitches.sort((a, b) => (a.name < b.name ? -1 : 1)) }
  }

  /**
   * Sets the mode of an e-switch, named by its device of devlink or by a device that is one of its ports; answers how it is then.
   * Rejects with NO_PORT, UNSUPPORTED, NO_PRIVILEGE, NO_MODULE, and as the driver refuses.
   */
  async setMode(name: string, mode: EswitchMode): Promise<Eswitch> {
    const before = await this.all()
    const eswitch = name.includes('/') ? name : before.devices.find((device) => device.name === name)?.devlink
    if (eswitch === undefined) throw unknown(name, before.eswitches)
    await this.#devlink.setMode(eswitch, mode)
    const found = (await this.all()).eswitches.find((known) => known.name === eswitch)
    return found ?? { name: eswitch, mode, ports: [] }
  }

  /** Rejects with NO_PORT, UNSUPPORTED, BUSY, NO_PRIVILEGE, or NO_MODULE on a kernel before 5.6. */
  setHwTcOffload(name: string, on: boolean): Promise<void> {
    return this.#feature.set(name, on)
  }

  #links() {
    const writer = new Writer(64)
    const body = { extMask: extMask.SKIP_STATS }
    writeMessage(writer, linkMessage, { type: linkTypes.GETLINK, flags: 0, header: { ifindex: 0 }, body })
    const request = writer.take()
    return collect(
      () => this.#transport.dump('route', request),
      (message) => readMessage(linkMessage, message),
    )
  }
}

/** Undefined for a device of devlink that has none: it says no mode, and nothing on it is a port of a switch. */
function eswitchOf(device: DevlinkDevice, devices: readonly NetDevice[]): Eswitch | undefined {
  const ports = devices
    .filter(({ devlink, kind }) => devlink === device.name && kind !== 'other')
    .sort((a, b) => (a.portIndex ?? 0) - (b.portIndex ?? 0))
  const switchId = ports.find((port) => port.switchId !== undefined)?.switchId
  if (device.mode === undefined && switchId === undefined) return undefined
  return {
    ...device,
    ...(switchId === undefined ? {} : { switchId }),
    ports: ports.map(({ name }) => name),
  }
}

function unknown(name: string, eswitches: readonly Eswitch[]): DpifError {
  const known = eswitches.map((eswitch) => eswitch.name).join(', ')
  const hint = known === '' ? 'there are no e-switches here' : `there is ${known}`
  return new DpifError(
    'NO_PORT',
    `cannot set the mode of '${name}': it is no e-switch and no port of one; ${hint}`,
  )
}
