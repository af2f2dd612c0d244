import type { Connection, ConnectionMatch, ConnectionTuple } from '../../../types/conntrack.js'
import type { MessageFailure } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import {
  type ConnectionBody,
  connectionMessage,
  connectionOf,
  type DeletionBody,
  deletionMessage,
  tupleBody,
} from '../../netfilter/connection.js'
import { connectionCommands, typeOf } from '../../netfilter/message.js'
import { formatTuple, isWholeTuple } from '../../netfilter/text.js'
import { type MessageForm, readMessage, writeMessage } from '../../netlink/message.js'
import { type Message, messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import type { NetfilterHeader } from '../../netfilter/message.js'
import { kernelFailure } from '../failure.js'
import { checkZone, fits, isEmpty, readMatch, type ReadMatch } from './match.js'
import type { Netfilter } from './netfilter.js'

/** The connections of a network namespace (net/netfilter/nf_conntrack_netlink.c). */
export class Connections {
  readonly #netfilter: Netfilter

  constructor(netfilter: Netfilter) {
    this.#netfilter = netfilter
  }

  async *dump({ zone }: Pick<ConnectionMatch, 'zone'>): AsyncGenerator<Connection> {
    if (zone !== undefined) checkZone(zone)
    const match: ReadMatch = { zone, original: {}, reply: {} }
    for await (const page of this.#pages(zone)) {
      for (const message of messagesOf(page)) {
        const connection = connectionOf(readMessage(connectionMessage, message).body)
        if (fits(match, connection)) yield connection
      }
    }
  }

  // A kernel that can looks at the zone itself (Linux 6.8); others pass it over.
  #pages(zone: number | undefined) {
    const body: ConnectionBody = zone === undefined ? {} : { zone }
    const all = request(connectionMessage, connectionCommands.GET, 0, body)
    return this.#netfilter.dump(all, 'nf_conntrack_netlink')
  }

  async flush(wanted: ConnectionMatch): Promise<void> {
    const match = readMatch(wanted)
    const { zone, original, reply } = match
    if (zone === undefined && isEmpty(original) && isEmpty(reply)) return this.#flushAll()
    if (zone !== undefined && isEmpty(reply) && isWholeTuple(original)) return this.#flushOne(zone, original)
    await this.#flushEach(match)
  }

  async #flushAll(): Promise<void> {
    const all = request(connectionMessage, connectionCommands.DELETE, 0, {})
    const [failure] = (await this.#netfilter.exchange(all)).failures
    if (failure !== undefined) throw refusal('forget all connections', failure)
  }

  async #flushOne(zone: number, tuple: ConnectionTuple): Promise<void> {
    const { family, body: original } = tupleBody(tuple)
    const one = request(connectionMessage, connectionCommands.DELETE, family, { ...inZone(zone), original })
    const [failure] = (await this.#netfilter.exchange(one)).failures
    if (failure === undefined) return
    const attempt = `forget connection ${formatTuple(tuple)} of zone ${zone}`
    throw refusal(attempt, failure)
  }

  /**
   * Not by zone in one request: a kernel before 6.8 passes the zone over and forgets every connection of the host. Each is named as it was
   * told of, with its id, so that no later one is meant.
   */
  async #flushEach(match: ReadMatch): Promise<void> {
    const writer = new Writer()
    let count = 0
    let failed: MessageFailure | undefined
    const send = async () => {
      if (count === 0) return
      const { failures } = await this.#netfilter.exchange(writer.take())
      // One that is gone already was to go.
      failed ??= failures.find(({ errno }) => errno !== ENOENT)
      writer.reset()
      count = 0
    }
    for await (const page of this.#pages(match.zone)) {
      for (const message of messagesOf(page)) {
        if (!fits(match, connectionOf(readMessage(connectionMessage, message).body))) continue
        writeDeletion(writer, message)
        count++
      }
      await send()
    }
    if (failed !== undefined) throw refusal('forget a connection', failed)
  }
}

/** Zone 0 is meant where none is named; a kernel without zones refuses to be told of any (ctnetlink_parse_zone()). */
const inZone = (zone: number) => (zone === 0 ? {} : { zone })

function writeDeletion(writer: Writer, message: Message): void {
  const { header, body } = readMessage(deletionMessage, message)
  const { original, id, zone = 0 } = body
  if (original === undefined || id === undefined)
    throw new DpifError('BAD_MESSAGE', 'the kernel told of a connection without its tuple or its id')
  writeMessage(writer, deletionMessage, {
    type: typeOf('CTNETLINK', connectionCommands.DELETE),
    flags: 0,
    header: { family: header.family ?? 0 },
    body: { original, id, ...inZone(zone) } satisfies DeletionBody,
  })
}

function request<Body>(
  form: MessageForm<NetfilterHeader, Body>,
  command: number,
  family: number,
  body: Body,
) {
  const writer = new Writer(128)
  const type = typeOf('CTNETLINK', command)
  writeMessage(writer, form, { type, flags: 0, header: { family }, body })
  return writer.take()
}

function refusal(attempt: string, failure: MessageFailure): DpifError {
  return DpifError.from(kernelFailure(attempt, failure, hints[failure.errno]))
}

const hints: Readonly<Record<number, Parameters<typeof kernelFailure>[2]>> = {
  2: { hint: 'there is no such connection' },
  16: { hint: 'it is in a flow table of netfilter, which lets it go when it is idle' },
  22: { hint: 'it takes nf_conntrack_netlink, and a protocol it knows' },
}

const ENOENT = 2
