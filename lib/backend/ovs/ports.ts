import type { PortControl } from '../../../types/dpif.js'
import type { AddPortOptions, Port } from '../../../types/port.js'
import type { Exchange, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { linkFlags, linkMessage, linkTypes } from '../../device/link.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import { type Message, messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { commands } from '../../ovs/family.js'
import { portTypes, vport as family, type VportBody } from '../../ovs/vport.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'

/** The ports of one datapath. */
export class Ports implements PortControl {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #dpIfindex: number

  constructor(transport: Transport, id: FamilyId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#dpIfindex = dpIfindex
  }

  /** Ascending by number. */
  async list(): Promise<Port[]> {
    const found: Port[] = []
    try {
      for await (const page of this.#transport.dump('generic', await this.#request(commands.GET, {}))) {
        for (const message of messagesOf(page)) found.push(portOf(message))
      }
    } catch (error) {
      // No device to a dump of vports is the datapath's own (ovs_vport_cmd_dump(), net/openvswitch/datapath.c).
      if (!(error instanceof DpifError) || error.errno !== ENODEV) throw error
      throw DpifError.from(kernelFailure('list the ports', { errno: ENODEV }, { code: 'NO_DATAPATH' }))
    }
    return found.sort((a, b) => a.number - b.number)
  }

  async add(name: string, { type = 'netdev', number, up = false }: AddPortOptions): Promise<Port> {
    const typeNumber = portTypes.indexOf(type) + 1
    if (typeNumber === 0) throw new TypeError(`'${type}' is no port type; there are ${portTypes.join(', ')}`)
    const body = { name, type: typeNumber, upcallPid: 0, ...(number === undefined ? {} : { portNo: number }) }
    const { replies } = await this.#ask(`add port '${name}'`, commands.NEW, body)
    const [reply] = messagesOf(replies)
    const port =
      reply === undefined ? (await this.list()).find((known) => known.name === name) : portOf(reply)
    if (port === undefined) throw new DpifError('NO_PORT', `port '${name}' vanished while it was added`)
    if (up) await this.#bringUp(port)
    return port
  }

  async #bringUp({ name, ifindex }: Port): Promise<void> {
    const writer = new Writer(64)
    const header = { ifindex, flags: linkFlags.UP, change: linkFlags.UP }
    writeMessage(writer, linkMessage, { type: linkTypes.NEWLINK, flags: 0, header, body: {} })
    const { failures } = await this.#transport.exchange('route', writer.take())
    const [failure] = failures
    if (failure !== undefined) throw DpifError.from(kernelFailure(`bring device '${name}' up`, failure))
  }

  async del(port: string | number): Promise<void> {
    const found = (await this.list()).find(({ number, name }) => port === number || port === name)
    if (found === undefined) {
      throw new DpifError('NO_PORT', `cannot delete port '${port}': there is no such port on this datapath`, {
        errno: 19,
      })
    }
    await this.#ask(`delete port '${port}'`, commands.DEL, { portNo: found.number })
  }

  async #ask(attempt: string, cmd: number, body: VportBody): Promise<Exchange> {
    const exchange = await this.#transport.exchange('generic', await this.#request(cmd, body))
    const [failure] = exchange.failures
    // The kernel says the same of a device and of a datapath that is not there; only the latter has no ports to list.
    if (failure?.errno === ENODEV) await this.list()
    if (failure !== undefined) throw DpifError.from(kernelFailure(attempt, failure, hintOf(failure.errno)))
    return exchange
  }

  async #request(cmd: number, body: VportBody): Promise<Uint8Array> {
    const writer = new Writer(128)
    const header = { cmd, version: family.version, dpIfindex: this.#dpIfindex }
    writeMessage(writer, family, { type: await this.#id(family), flags: 0, header, body })
    return writer.take()
  }
}

const ENODEV = 19

const hints: Readonly<Record<number, string>> = {
  16: 'the device is a port of another datapath or has another master, or the number is taken',
  17: 'it is a port of this datapath already',
  19: 'there is no such device',
}

const hintOf = (errno: number) => (hints[errno] === undefined ? {} : { hint: hints[errno] })

function portOf(message: Message): Port {
  const { portNo = 0, name = '', type = 1, ifindex = 0, stats } = readMessage(family, message).body
  const port = { number: portNo, name, type: portTypes[type - 1] ?? 'netdev', ifindex }
  return stats === undefined ? port : { ...port, stats }
}
