import type { Datapath, DatapathFeature, DatapathStats } from '../../../types/port.js'
import type { Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { writeMessage, readMessage } from '../../netlink/message.js'
import { type Message, messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { type DatapathBody, datapath as family, datapathFeatures } from '../../ovs/datapath.js'
import { commands } from '../../ovs/family.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'
import { isOurs, Links } from './links.js'

/** The datapaths of the openvswitch module. Reading writes nothing: no feature is set that somebody else may rely on. */
export class Datapaths {
  readonly #transport: Transport
  readonly #id: FamilyId

  constructor(transport: Transport, id: FamilyId) {
    this.#transport = transport
    this.#id = id
  }

  /** Rejects with NO_MODULE when openvswitch is not loaded. */
  async list(): Promise<Datapath[]> {
    const request = await this.#request(commands.GET, 0, {})
    const found: Datapath[] = []
    for await (const page of this.#transport.dump('generic', request)) {
      for (const message of messagesOf(page)) found.push(datapathOf(message))
    }
    return found
  }

  /** Rejects with NO_DATAPATH when there is none of that name. */
  async get(name: string): Promise<Datapath> {
    const reply = await this.#ask('open', name, commands.GET, {})
    if (reply === undefined)
      throw new DpifError('BAD_MESSAGE', `the kernel answered a request for datapath '${name}' with nothing`)
    return reply
  }

  /** The counters of a datapath. Rejects as `get` does. */
  async stats(name: string): Promise<DatapathStats> {
    const { stats } = await this.get(name)
    if (stats === undefined)
      throw new DpifError('BAD_MESSAGE', `the kernel told of datapath '${name}' without its counters`)
    return stats
  }

  /**
   * Rejects with EXISTS, NO_PRIVILEGE or NO_MODULE. Misses go nowhere until somebody asks for upcalls. Recirculation is shared with TC
   * where the kernel can (CONFIG_NET_TC_SKB_EXT).
   */
  async create(name: string): Promise<Datapath> {
    if (name === '' || name.length > 15)
      throw new TypeError(`'${name}' is no datapath name; 1 to 15 bytes are`)
    try {
      const userFeatures = datapathFeatures.tcRecircSharing.bit
      await this.#ask('create', name, commands.NEW, { upcallPid: 0, userFeatures })
    } catch (error) {
      if (!(error instanceof DpifError) || error.code !== 'UNSUPPORTED') throw error
      await this.#ask('create', name, commands.NEW, { upcallPid: 0 })
    }
    return this.get(name)
  }

  /**
   * Deletes the datapath with its ports and flows in openvswitch, and the tunnel devices that were made for it. Rejects with NO_DATAPATH
   * or NO_PRIVILEGE.
   */
  async delete(name: string): Promise<void> {
    const links = new Links(this.#transport)
    const datapath = await this.#ask('delete', name, commands.GET, {})
    const known = datapath === undefined ? [] : (await links.under(datapath.ifindex)).links.values()
    const ours = [...known].filter((link) => link.body.master === datapath?.ifindex && isOurs(link))
    await this.#ask('delete', name, commands.DEL, {})
    for (const { header, body } of ours) await links.remove(body.name ?? '', header.ifindex)
  }

  async #ask(verb: string, name: string, cmd: number, body: DatapathBody): Promise<Datapath | undefined> {
    const request = await this.#request(cmd, 0, { name, ...body })
    const { failures, replies } = await this.#transport.exchange('generic', request)
    const [failure] = failures
    if (failure !== undefined) {
      throw DpifError.from(kernelFailure(`${verb} datapath '${name}'`, failure, more[failure.errno]))
    }
    for (const message of messagesOf(replies)) return datapathOf(message)
    return undefined
  }

  async #request(cmd: number, messageFlags: number, body: DatapathBody): Promise<Uint8Array> {
    const writer = new Writer(128)
    const header = { cmd, version: family.version, dpIfindex: 0 }
    writeMessage(writer, family, { type: await this.#id(family), flags: messageFlags, header, body })
    return writer.take()
  }
}

const more: Readonly<Record<number, Parameters<typeof kernelFailure>[2]>> = {
  17: { hint: 'there is a datapath or a device of that name already' },
  19: { code: 'NO_DATAPATH' },
}
/** What the kernel never counts up to: the mask cache's way to say it knows no hits. */
const UNKNOWN = 0xffffffffffffffffn

const featureNames = Object.keys(datapathFeatures) as DatapathFeature[]

function datapathOf(message: Message): Datapath {
  const { header, body } = readMessage(family, message)
  const { stats, megaflowStats: megaflow, userFeatures = 0 } = body
  return {
    name: body.name ?? '',
    ifindex: header.dpIfindex,
    features: featureNames.filter((feature) => (userFeatures & datapathFeatures[feature].bit) !== 0),
    ...(body.masksCacheSize === undefined ? {} : { masksCacheSize: body.masksCacheSize }),
    ...(stats === undefined
      ? {}
      : {
          stats: {
            ...stats,
            ...(megaflow === undefined ? {} : { maskHit: megaflow.maskHit, masks: megaflow.masks }),
            ...(megaflow?.cacheHit && megaflow.cacheHit !== UNKNOWN ? { cacheHit: megaflow.cacheHit } : {}),
          },
        }),
  }
}
