import type { PortControl } from '../../../types/dpif.js'
import type { AddPortOptions, Port, SetPortOptions } from '../../../types/port.js'
import type { Exchange, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { eswitchPortOf, placeOf } from '../../device/eswitch-port.js'
import { linkLayers } from '../../device/link.js'
import { completeSettings, tunnelOf, tunnelTypes } from '../../device/tunnel.js'
import { commands } from '../../ovs/family.js'
import { portTypes, type VportBody } from '../../ovs/vport.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'
import { isOurs, type Link, Links } from './links.js'
import { Vports } from './vports.js'

/** The ports of one datapath. */
export class Ports implements PortControl {
  readonly #transport: Transport
  readonly #vports: Vports
  readonly #dpIfindex: number
  readonly #links: Links
  readonly #upcallPids: () => readonly number[]

  /** `upcallPids` tells where upcalls of a new port go. */
  constructor(transport: Transport, id: FamilyId, dpIfindex: number, upcallPids: () => readonly number[]) {
    this.#transport = transport
    this.#vports = new Vports(transport, id, dpIfindex)
    this.#dpIfindex = dpIfindex
    this.#links = new Links(transport)
    this.#upcallPids = upcallPids
  }

  /** Ascending by number. */
  async list(): Promise<Port[]> {
    return (await this.#listWithLinks()).map(({ port }) => port)
  }

  async #listWithLinks(): Promise<PortWithLink[]> {
    const vports = await this.#vports.list()
    for (let turn = 1; ; turn++) {
      const { links, whole } = await this.#links.under(this.#dpIfindex)
      const found = vports.map((vport) => withLink(vport, links.get(vport.ifindex ?? 0)))
      // A device can be missed while others come and go; one that is missed over and over is gone.
      const missed = found.some(({ port, link }) => port.type !== 'internal' && link === undefined)
      if (whole || !missed || turn === MAX_TURNS) return found
    }
  }

  async add(name: string, options: AddPortOptions): Promise<Port> {
    const { type = 'netdev', tunnel, number, up = false } = options
    if (!types.includes(type)) throw new TypeError(`'${type}' is no port type; there are ${types.join(', ')}`)
    const kind = tunnelTypes.find((known) => known === type)
    if (kind === undefined && tunnel !== undefined)
      throw new TypeError(`'${name}': a port of type ${type} is no tunnel, but has settings of one`)
    const made =
      kind !== undefined && (await this.#links.makeTunnel(name, kind, completeSettings(kind, tunnel)))
    const port = await this.#attach(name, type === 'internal' ? INTERNAL : NETDEV, number).catch(
      async (error: unknown) => {
        if (made) await this.#links.removeNamed(name)
        throw error
      },
    )
    if (up && !made) await this.#links.bringUp(name, port.ifindex)
    return port
  }

  /** The kernel makes no tunnels for datapaths any more but for old users: to it they are devices like any other. */
  async #attach(name: string, type: number, number: number | undefined): Promise<Port> {
    const body = {
      name,
      type,
      upcallPids: this.#upcallPids(),
      ...(number === undefined ? {} : { portNo: number }),
    }
    await this.#ask(`add port '${name}'`, commands.NEW, body)
    const port = (await this.list()).find((known) => known.name === name)
    if (port === undefined) throw new DpifError('NO_PORT', `port '${name}' vanished while it was added`)
    return port
  }

  async del(port: string | number): Promise<void> {
    const all = await this.#listWithLinks()
    const found = all.find(({ port: { number, name } }) => port === number || port === name)
    if (found === undefined) return this.#missing(`delete port '${port}'`)
    const { number, name, ifindex } = found.port
    await this.#ask(`delete port '${port}'`, commands.DEL, { portNo: number })
    if (found.link !== undefined && isOurs(found.link)) await this.#links.remove(name, ifindex)
  }

  async set(port: string | number, options: SetPortOptions): Promise<Port> {
    const attempt = `change port '${port}'`
    const { type, number, tunnel, upcallPids } = options
    if (upcallPids !== undefined) checkPids(upcallPids)
    const find = async () =>
      (await this.list()).find(({ number, name }) => port === number || port === name) ??
      this.#missing(attempt)
    const found = await find()
    keep(attempt, 'type', found.type, type)
    keep(attempt, 'number', found.number, number)
    for (const name of ['dstPort', 'gbp'] as const)
      keep(attempt, `tunnel.${name}`, found.tunnel?.[name] ?? none[name], tunnel?.[name])
    if (upcallPids === undefined) return found
    await this.#ask(attempt, commands.SET, { portNo: found.number, upcallPids })
    return find()
  }

  #missing(attempt: string): never {
    const problem = `cannot ${attempt}: there is no such port on this datapath`
    throw new DpifError('NO_PORT', problem, { errno: ENODEV })
  }

  async #ask(attempt: string, cmd: number, body: VportBody): Promise<Exchange> {
    const exchange = await this.#transport.exchange('generic', await this.#vports.request([{ cmd, body }]))
    const [failure] = exchange.failures
    // The kernel says the same of a device and of a datapath that is not there; only the latter has no ports to list.
    if (failure?.errno === ENODEV) await this.list()
    if (failure !== undefined) throw DpifError.from(kernelFailure(attempt, failure, hintOf(failure.errno)))
    return exchange
  }
}

interface PortWithLink {
  readonly port: Port
  readonly link: Link | undefined
}

/** What kind of port a netdev is, its device says. */
function withLink(
  { portNo = 0, name = '', type = NETDEV, ifindex = 0, upcallPids, stats }: VportBody,
  link?: Link,
): PortWithLink {
  const known = link?.body.info && tunnelOf(link.body.info)
  const kind = type === NETDEV ? known?.type : undefined
  const port = {
    number: portNo,
    name,
    type: kind ?? portTypes[type - 1] ?? 'netdev',
    ...(known === undefined ? {} : { tunnel: known.tunnel }),
    ...(link?.header.type === linkLayers.NONE ? { layer3: true as const } : {}),
    ifindex,
    ...(link === undefined ? {} : placeOnSwitch(link)),
    ...(upcallPids === undefined ? {} : { upcallPids }),
    ...(stats === undefined ? {} : { stats }),
  }
  return { port, link }
}

function placeOnSwitch({ body }: Link): Pick<Port, 'switchId' | 'portName' | 'kind'> {
  const place = eswitchPortOf(body)
  if (place.switchId === undefined) return place
  const { kind = 'unknown' } = placeOf(place.portName ?? '') ?? {}
  return { ...place, kind }
}

/** A port as openvswitch tells of it, whose device nobody has looked at. */
export const portOf = (body: VportBody): Port => withLink(body).port

/** Throws UNSUPPORTED when something is to be different that a port keeps. */
function keep(attempt: string, path: string, is: unknown, wanted: unknown): void {
  if (wanted === undefined || wanted === is) return
  const problem = `its ${path} is ${is ?? 'not there'} and cannot become ${wanted}; delete it and add it anew`
  throw new DpifError('UNSUPPORTED', `cannot ${attempt}: ${problem}`, { path, backend: 'ovs' })
}

/** What a port says of a tunnel that it does not have. */
const none = { dstPort: undefined, gbp: false } as const

function checkPids(pids: readonly number[]): void {
  if (pids.length === 0) throw new TypeError('upcallPids: at least one; 0 is nowhere')
  for (const pid of pids)
    if (!Number.isInteger(pid) || pid < 0 || pid > 0xffffffff)
      throw new RangeError(`upcallPids: ${pid}; port ids are from 0 to 4294967295`)
}

const types: readonly string[] = ['netdev', 'internal', ...tunnelTypes]
const NETDEV = 1
const INTERNAL = 2
const MAX_TURNS = 3
const ENODEV = 19

const hints: Readonly<Record<number, string>> = {
  16: 'the device is a port of another datapath or has another master, or the number is taken',
  17: 'it is a port of this datapath already',
  19: 'there is no such device',
}

const hintOf = (errno: number) => (hints[errno] === undefined ? {} : { hint: hints[errno] })
