import { connectionMessage, tupleBody, type TupleBody } from '../../netfilter/connection.js'
import { connectionCommands, subsystems, timeoutCommands, typeOf } from '../../netfilter/message.js'
import { type TimeoutBody, timeoutMessage, timeoutObjects } from '../../netfilter/timeout.js'
import { DpifError } from '../../errors.js'
import { flags, HEADER_SIZE, type MessageForm, readMessage } from '../../netlink/message.js'
import type { Message } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import type { Tracked } from './conntrack.js'
import { notSimulated, refuse } from './errors.js'
import { frame, type Request } from './request.js'
import type { State } from './state.js'

/** Netfilter, as far as connections and their timeouts go: nfnetlink, nf_conntrack_netlink and nfnetlink_cttimeout. */
export class Netfilter {
  readonly #state: State
  readonly #privileged: boolean
  /** By name. */
  readonly #timeouts = new Map<string, TimeoutBody>()

  constructor(state: State, privileged: boolean) {
    this.#state = state
    this.#privileged = privileged
  }

  handle({ message, reply }: Request): void {
    const { subsystem, command } = this.#split(message)
    if (subsystem === subsystems.CTNETLINK) {
      if (command !== connectionCommands.DELETE) notSimulated(`IPCTNL_MSG_CT ${command}`)
      return this.#forget(message)
    }
    const { body } = read(timeoutMessage, message)
    const { name = refuse('EINVAL') } = body
    if (command === timeoutCommands.NEW) return this.#setTimeouts(name, body, message.flags)
    const known = this.#timeouts.get(name) ?? refuse('ENOENT')
    if (command === timeoutCommands.GET) reply(writeTimeouts(known, 0))
    else if (command === timeoutCommands.DELETE) this.#timeouts.delete(name)
    else refuse('EINVAL')
  }

  *dump(message: Message): Generator<Uint8Array> {
    const { subsystem, command } = this.#split(message)
    if (subsystem === subsystems.CTNETLINK && command === connectionCommands.GET) {
      // A zone that is asked for is passed over, as before Linux 6.8.
      for (const tracked of this.#state.connections.all()) yield writeConnection(tracked)
    } else if (subsystem === subsystems.CTNETLINK_TIMEOUT && command === timeoutCommands.GET) {
      for (const known of this.#timeouts.values()) yield writeTimeouts(known, flags.MULTI)
    } else refuse('EINVAL')
  }

  /** Also reading takes the privilege (nfnetlink_rcv()). */
  #split({ type }: Message) {
    if (!this.#privileged) refuse('EPERM')
    const [subsystem, command] = [type >> 8, type & 0xff]
    const module = modules[subsystem]
    if (module === undefined || !this.#state.has(module)) refuse('EINVAL')
    return { subsystem, command }
  }

  /** ctnetlink_del_conntrack(). */
  #forget(message: Message): void {
    const { connections } = this.#state
    const { original, reply, zone = 0, id } = read(connectionMessage, message).body
    const tuple = original ?? reply
    // Without a tuple every connection goes, whatever the zone.
    if (tuple === undefined) return connections.clear()
    const found = connections.all().find((tracked) => {
      return tracked.zone === zone && (isOf(tracked.original, tuple) || isOf(tracked.reply, tuple))
    })
    if (found === undefined || (id !== undefined && id !== found.id)) refuse('ENOENT')
    connections.remove(found)
  }

  /** cttimeout_new_timeout(). */
  #setTimeouts(name: string, { l3proto, l4proto, data }: TimeoutBody, messageFlags: number): void {
    const object = timeoutObjects.find((known) => known.l3proto === l3proto && known.l4proto === l4proto)
    if (data === undefined || l3proto === undefined || l4proto === undefined) refuse('EINVAL')
    if (object === undefined) return notSimulated(`timeouts of protocol ${l4proto}`)
    const there = this.#timeouts.get(name)
    if (there !== undefined && !(messageFlags & flags.REPLACE)) refuse('EBUSY')
    if (there !== undefined && (there.l3proto !== l3proto || there.l4proto !== l4proto)) refuse('EINVAL')
    const timeouts = { ...standard[object.protocol], ...object.timeouts.read(data, 0, data.length) }
    const whole = object.timeouts.encode(new Writer(64), timeouts)
    this.#timeouts.set(name, { name, l3proto, l4proto, data: whole })
  }
}

/** What answers for a subsystem. */
const modules: Readonly<Record<number, string>> = {
  [subsystems.CTNETLINK]: 'nf_conntrack_netlink',
  [subsystems.CTNETLINK_TIMEOUT]: 'nfnetlink_cttimeout',
}

/** Seconds (net/netfilter/nf_conntrack_proto_*.c). */
const standard = {
  tcp: {
    synSent: 120,
    synRecv: 60,
    established: 432_000,
    finWait: 120,
    closeWait: 60,
    lastAck: 30,
    timeWait: 120,
    close: 10,
    synSent2: 120,
    retransmit: 300,
    unack: 300,
  },
  udp: { single: 30, multiple: 120 },
  icmp: { first: 30 },
} as const

function read<Header, Body>(form: MessageForm<Header, Body>, message: Message) {
  if (message.end - message.start < HEADER_SIZE + form.header.size) refuse('EINVAL')
  try {
    return readMessage(form, message)
  } catch (error) {
    throw error instanceof DpifError ? refuse('EINVAL') : error
  }
}

function isOf(tuple: Tracked['original'], { ip = {}, proto = {} }: TupleBody): boolean {
  const { body } = tupleBody(tuple)
  const same = <T extends object>(a: T, b: T) =>
    Object.entries(a).every(([name, value]) => b[name as keyof T] === value)
  return same(body.ip ?? {}, ip) && same(body.proto ?? {}, proto)
}

function writeConnection({ id, zone, status, original, reply }: Tracked): Uint8Array {
  const { family, body } = tupleBody(original)
  return frame(typeOf('CTNETLINK', connectionCommands.NEW), flags.MULTI, (writer) => {
    connectionMessage.header.write(writer, { family })
    connectionMessage.body.write(writer, {
      original: body,
      reply: tupleBody(reply).body,
      status,
      timeout: 30,
      mark: 0,
      id,
      ...(zone === 0 ? {} : { zone }),
    })
  })
}

function writeTimeouts(body: TimeoutBody, messageFlags: number): Uint8Array {
  return frame(typeOf('CTNETLINK_TIMEOUT', timeoutCommands.NEW), messageFlags, (writer) => {
    timeoutMessage.header.write(writer, {})
    timeoutMessage.body.write(writer, body)
  })
}
