import type { TimeoutPolicy } from '../../../types/conntrack.js'
import type { MessageFailure } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { timeoutCommands, typeOf } from '../../netfilter/message.js'
import {
  type TimeoutBody,
  timeoutBody,
  timeoutMessage,
  timeoutName,
  timeoutObjects,
  timeoutOf,
} from '../../netfilter/timeout.js'
import { flags, readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { collect } from '../collect.js'
import { kernelFailure } from '../failure.js'
import { checkNumber } from './match.js'
import type { Netfilter } from './netfilter.js'

/** The timeout policies of a network namespace, each of which is several objects (net/netfilter/nfnetlink_cttimeout.c). */
export class Timeouts {
  readonly #netfilter: Netfilter

  constructor(netfilter: Netfilter) {
    this.#netfilter = netfilter
  }

  async set(policy: TimeoutPolicy): Promise<void> {
    check(policy)
    const bodies = timeoutObjects.map((object) => timeoutBody(policy, object))
    const made = await this.#ask(timeoutCommands.NEW, flags.CREATE | flags.REPLACE, bodies)
    const [failure] = made.failures
    if (failure === undefined) return
    throw refusal(`set ${bodies[failure.index]?.name}`, failure)
  }

  async get(id: number): Promise<TimeoutPolicy> {
    checkNumber('timeout policy', id, MAX_ID)
    const { failures, replies } = await this.#ask(timeoutCommands.GET, 0, named(id))
    const failure = failures.find(({ errno }) => errno !== ENOENT)
    if (failure !== undefined) throw refusal(`get timeout policy ${id}`, failure)
    const bodies = [...messagesOf(replies)].map((message) => readMessage(timeoutMessage, message).body)
    return merge(bodies)[0] ?? missing('get', id)
  }

  async del(id: number): Promise<void> {
    checkNumber('timeout policy', id, MAX_ID)
    const { count, failures } = await this.#ask(timeoutCommands.DELETE, 0, named(id))
    const failure = failures.find(({ errno }) => errno !== ENOENT)
    if (failure !== undefined) throw refusal(`delete timeout policy ${id}`, failure)
    if (failures.length === count) missing('delete', id)
  }

  async dump(): Promise<TimeoutPolicy[]> {
    const writer = new Writer(64)
    write(writer, timeoutCommands.GET, 0, {})
    const dump = writer.take()
    const bodies = await collect(
      () => this.#netfilter.dump(dump, 'nfnetlink_cttimeout'),
      (message) => readMessage(timeoutMessage, message).body,
    )
    return merge(bodies).sort((a, b) => a.id - b.id)
  }

  async #ask(command: number, messageFlags: number, bodies: readonly TimeoutBody[]) {
    const writer = new Writer(512)
    for (const body of bodies) write(writer, command, messageFlags, body)
    return this.#netfilter.exchange(writer.take())
  }
}

const named = (id: number): TimeoutBody[] =>
  timeoutObjects.map((object) => ({ name: timeoutName(id, object) }))

function write(writer: Writer, command: number, messageFlags: number, body: TimeoutBody): void {
  const type = typeOf('CTNETLINK_TIMEOUT', command)
  writeMessage(writer, timeoutMessage, { type, flags: messageFlags, header: {}, body })
}

/** Those of one number as one policy; where the two versions of IP differ, what was told of last counts. */
function merge(bodies: readonly TimeoutBody[]): TimeoutPolicy[] {
  const policies = new Map<number, TimeoutPolicy>()
  for (const body of bodies) {
    const policy = timeoutOf(body)
    if (policy !== undefined) policies.set(policy.id, { ...policies.get(policy.id), ...policy })
  }
  return [...policies.values()]
}

function check({ id, ...protocols }: TimeoutPolicy): void {
  checkNumber('timeout policy', id, MAX_ID)
  for (const [protocol, timeouts] of Object.entries<object>(protocols)) {
    const object = timeoutObjects.find((known) => known.protocol === protocol)
    const known = object?.timeouts.rows.map(({ name }) => name) ?? []
    for (const [name, seconds] of Object.entries<number>({ ...timeouts })) {
      if (!known.includes(name))
        throw new TypeError(`${protocol}.${name} is no timeout; there are ${known.join(', ') || 'none'}`)
      checkNumber(`${protocol}.${name}`, seconds, MAX_ID)
    }
  }
}

function missing(verb: string, id: number): never {
  const problem = `cannot ${verb} timeout policy ${id}: there is none of that number`
  throw new DpifError('NOT_FOUND', problem, { errno: ENOENT })
}

function refusal(attempt: string, failure: MessageFailure): DpifError {
  return DpifError.from(kernelFailure(attempt, failure, hints[failure.errno]))
}

const hints: Readonly<Record<number, Parameters<typeof kernelFailure>[2]>> = {
  16: { hint: 'a flow or a rule of netfilter names it' },
  22: { hint: 'it takes nfnetlink_cttimeout (CONFIG_NF_CT_NETLINK_TIMEOUT)' },
}

const ENOENT = 2
const MAX_ID = 0xffffffff
