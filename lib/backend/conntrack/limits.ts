import type { ZoneLimit, ZoneLimits } from '../../../types/conntrack.js'
import type { MessageFailure, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { ctLimit as family, ctLimitCommands, DEFAULT_ZONE, type ZoneLimitBody } from '../../ovs/ct-limit.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from '../ovs/family.js'
import { checkNumber, checkZone } from './match.js'

/** How many connections openvswitch lets zones have (ovs_ct_limit_*, net/openvswitch/conntrack.c). */
export class Limits {
  readonly #transport: Transport
  readonly #id: FamilyId

  constructor(transport: Transport, id: FamilyId) {
    this.#transport = transport
    this.#id = id
  }

  async get(zones: readonly number[] | undefined): Promise<ZoneLimits> {
    zones?.forEach(checkZone)
    const asked = zones && slices([DEFAULT_ZONE, ...zones].map((zone) => ({ zone })))
    const found: ZoneLimitBody[] = []
    for (const limits of asked ?? [undefined])
      found.push(...(await this.#ask('read the limits of zones', ctLimitCommands.GET, limits)))
    const standard = found.find(({ zone }) => zone === DEFAULT_ZONE)
    return {
      default: standard?.limit ?? 0,
      zones: found
        .filter(({ zone }) => zone !== DEFAULT_ZONE)
        .map(({ zone, limit = 0, count = 0 }) => ({ zone, limit, count })),
    }
  }

  async set({
    default: standard,
    zones = [],
  }: {
    readonly default?: number
    readonly zones?: readonly ZoneLimit[]
  }): Promise<void> {
    if (standard !== undefined) checkNumber('default', standard, WORD)
    for (const { zone, limit } of zones) {
      checkZone(zone)
      checkNumber(`limit of zone ${zone}`, limit, WORD)
    }
    const all = [...(standard === undefined ? [] : [{ zone: DEFAULT_ZONE, limit: standard }]), ...zones]
    for (const limits of slices(all)) await this.#ask('set limits of zones', ctLimitCommands.SET, limits)
  }

  async del(zones: readonly number[]): Promise<void> {
    zones.forEach(checkZone)
    for (const limits of slices(zones.map((zone) => ({ zone }))))
      await this.#ask('delete limits of zones', ctLimitCommands.DEL, limits)
  }

  async #ask(
    attempt: string,
    cmd: number,
    limits: readonly ZoneLimitBody[] | undefined,
  ): Promise<readonly ZoneLimitBody[]> {
    const writer = new Writer(256)
    writeMessage(writer, family, {
      type: await this.#id(family),
      flags: 0,
      // They are no datapath's.
      header: { cmd, version: family.version, dpIfindex: 0 },
      body: limits === undefined ? {} : { limits },
    })
    const { failures, replies } = await this.#transport.exchange('generic', writer.take())
    const [failure] = failures
    if (failure !== undefined) throw refusal(attempt, failure)
    return [...messagesOf(replies)].flatMap((message) => readMessage(family, message).body.limits ?? [])
  }
}

function refusal(attempt: string, failure: MessageFailure): DpifError {
  const more =
    failure.errno === EMSGSIZE ? { hint: 'there are more than fit in one answer; ask for some zones' } : {}
  return DpifError.from(kernelFailure(attempt, failure, more))
}

/** An answer is a page at most, with room for some 300. */
const SLICE = 200

function slices<T>(list: readonly T[]): (readonly T[])[] {
  const found: (readonly T[])[] = []
  for (let from = 0; from < list.length; from += SLICE) found.push(list.slice(from, from + SLICE))
  return found
}

const EMSGSIZE = 90
const WORD = 0xffffffff
