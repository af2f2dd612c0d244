import type { Datapath, DatapathFeature, DatapathSettings, DatapathStats } from '../../../types/port.js'
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
    return datapathOf(await this.#find(name))
  }

  /** The counters of a datapath. Rejects as `get` does. */
  async stats(name: string): Promise<DatapathStats> {
    const { stats } = await this.get(name)
    if (stats === undefined)
      throw new DpifError('BAD_MESSAGE', `the kernel told of datapath '${name}' without its counters`)
    return stats
  }

  /**
   * Rejects with EXISTS, NO_PRIVILEGE, NO_MODULE, and UNSUPPORTED or INVALID for settings the kernel does not have. Misses go nowhere
   * until somebody asks for upcalls. Unless `features` says otherwise, recirculation is shared with TC where the kernel can
   * (CONFIG_NET_TC_SKB_EXT).
   */
  async create(name: string, { features, masksCacheSize }: DatapathSettings = {}): Promise<Datapath> {
    if (name === '' || name.length > 15)
      throw new TypeError(`'${name}' is no datapath name; 1 to 15 bytes are`)
    const body = { upcallPid: 0, ...cacheOf(masksCacheSize) }
    const userFeatures = features === undefined ? datapathFeatures.tcRecircSharing.bit : bitsOf(features)
    try {
      await this.#ask('create', name, commands.NEW, { ...body, userFeatures })
    } catch (error) {
      if (features !== undefined || !(error instanceof DpifError) || error.code !== 'UNSUPPORTED') throw error
      await this.#ask('create', name, commands.NEW, body)
    }
    const made = await this.get(name)
    if (hasCache(made, masksCacheSize)) return made
    await this.delete(name)
    throw noCache('create', name)
  }

  /**
   * Changes what is said and leaves the rest as it is. Rejects with NO_DATAPATH, NO_PRIVILEGE, and UNSUPPORTED or INVALID for settings the
   * kernel does not have.
   */
  async change(name: string, { features, masksCacheSize }: DatapathSettings): Promise<Datapath> {
    const cache = cacheOf(masksCacheSize)
    const wanted = features === undefined ? undefined : bitsOf(features)
    // Bits without a name here stay as they are; and what a SET does not say is switched off (ovs_dp_change()).
    const { userFeatures: before = 0 } = readMessage(family, await this.#find(name)).body
    const userFeatures = wanted === undefined ? before : (before & ~ALL_FEATURES) | wanted
    if (cache.masksCacheSize !== undefined || userFeatures !== before)
      await this.#ask('change', name, commands.SET, { ...cache, userFeatures })
    const changed = await this.get(name)
    if (!hasCache(changed, masksCacheSize)) throw noCache('change', name)
    return changed
  }

  /**
   * Deletes the datapath with its ports and flows in openvswitch, and the tunnel devices that were made for it. Rejects with NO_DATAPATH
   * or NO_PRIVILEGE.
   */
  async delete(name: string): Promise<void> {
    const links = new Links(this.#transport)
    const { ifindex } = datapathOf(await this.#find(name, 'delete'))
    const known = (await links.under(ifindex)).links.values()
    const ours = [...known].filter((link) => link.body.master === ifindex && isOurs(link))
    await this.#ask('delete', name, commands.DEL, {})
    for (const { header, body } of ours) await links.remove(body.name ?? '', header.ifindex)
  }

  async #find(name: string, verb = 'open'): Promise<Message> {
    const reply = await this.#ask(verb, name, commands.GET, {})
    if (reply === undefined)
      throw new DpifError('BAD_MESSAGE', `the kernel answered a request for datapath '${name}' with nothing`)
    return reply
  }

  async #ask(verb: string, name: string, cmd: number, body: DatapathBody): Promise<Message | undefined> {
    const request = await this.#request(cmd, 0, { name, ...body })
    const { failures, replies } = await this.#transport.exchange('generic', request)
    const [failure] = failures
    if (failure !== undefined) {
      throw DpifError.from(kernelFailure(`${verb} datapath '${name}'`, failure, more[failure.errno]))
    }
    for (const message of messagesOf(replies)) return message
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
  95: { hint: 'it lacks one of the features that were asked for' },
}
/** What the kernel never counts up to: the mask cache's way to say it knows no hits. */
const UNKNOWN = 0xffffffffffffffffn

const featureNames = Object.keys(datapathFeatures) as DatapathFeature[]
const ALL_FEATURES = bitsOf(featureNames)

function bitsOf(features: readonly DatapathFeature[]): number {
  return features.reduce((bits, name) => {
    if (!Object.hasOwn(datapathFeatures, name))
      throw new TypeError(`'${name}' is no feature of datapaths; there are ${featureNames.join(', ')}`)
    return bits | datapathFeatures[name].bit
  }, 0)
}

function cacheOf(masksCacheSize: number | undefined): Pick<DatapathBody, 'masksCacheSize'> {
  if (masksCacheSize === undefined) return {}
  const isPower = masksCacheSize > 0 && Number.isInteger(Math.log2(masksCacheSize))
  if (masksCacheSize !== 0 && !(isPower && masksCacheSize <= 2 ** 31))
    throw new RangeError(`masksCacheSize ${masksCacheSize}: 0 or a power of two is needed`)
  return { masksCacheSize }
}

/** A kernel without the cache passes over its size. */
const hasCache = (datapath: Datapath, asked: number | undefined): boolean =>
  asked === undefined || datapath.masksCacheSize === asked

function noCache(verb: string, name: string): DpifError {
  const message = `cannot ${verb} datapath '${name}': this kernel has no mask cache whose size can be set; Linux 5.10 has`
  return new DpifError('UNSUPPORTED', message)
}

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
