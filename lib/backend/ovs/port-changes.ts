import type {
  Port,
  PortChange,
  PortChangeControl,
  PortChanges,
  PortChangesOptions,
  PortEvent,
} from '../../../types/port.js'
import type { Listener, ListenPage, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { HEADER_SIZE, readMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { datapath as datapathFamily } from '../../ovs/datapath.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { vport as vportFamily, type VportBody } from '../../ovs/vport.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId, GroupId } from './family.js'
import { portOf } from './ports.js'

// What the kernel tells of ports by itself. It tells of vports, without their devices, so the ports are listed whenever something has
// happened: the list has what a message lacks, and the one before it has what is gone.

type List = () => Promise<readonly Port[]>

/** The changes of the ports of one datapath, for as many listeners as like. */
export class KernelPortChanges implements PortChangeControl {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #group: GroupId
  readonly #dpIfindex: number
  readonly #open = new Set<PortChangeStream>()
  #closed = false

  constructor(transport: Transport, id: FamilyId, group: GroupId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#group = group
    this.#dpIfindex = dpIfindex
  }

  open({ buffer = DEFAULT_BUFFER }: PortChangesOptions, list: List): PortChanges {
    if (!Number.isInteger(buffer) || buffer < LEAST_BUFFER || buffer > LARGEST_BUFFER)
      throw new RangeError(
        `buffer ${buffer}: a whole number of bytes from ${LEAST_BUFFER} to ${LARGEST_BUFFER} is needed`,
      )
    const stream: PortChangeStream = new PortChangeStream({
      begin: async () => {
        if (this.#closed) throw new DpifError('CLOSED', 'this dpif was closed; open the datapath again')
        this.#open.add(stream)
        const [vports, datapaths] = await Promise.all([this.#id(vportFamily), this.#id(datapathFamily)])
        const groups = [
          await this.#group(vportFamily, vportFamily.name),
          await this.#group(datapathFamily, datapathFamily.name),
        ]
        return { listener: await this.#transport.listen('generic', { buffer, groups }), vports, datapaths }
      },
      dpIfindex: this.#dpIfindex,
      list,
      ended: () => this.#open.delete(stream),
    })
    return stream
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#open].map((stream) => stream.return()))
  }
}

interface StreamParts {
  readonly begin: () => Promise<Begun>
  readonly dpIfindex: number
  readonly list: List
  readonly ended: () => void
}

/** The socket, and the numbers of the families that are told of. */
interface Begun {
  readonly listener: Listener
  readonly vports: number
  readonly datapaths: number
}

class PortChangeStream implements PortChanges {
  readonly #parts: StreamParts
  #begun: Promise<Begun> | undefined
  #ended: Promise<void> | undefined
  /** Of the page that was read last. */
  #waiting: PortChange[] = []
  /** What ends it, once all before it has been told. */
  #failure: DpifError | undefined
  /** By number, as they were last listed. */
  #known: ReadonlyMap<number, Port> = new Map()

  constructor(parts: StreamParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    try {
      await this.#begin()
    } catch (error) {
      await this.return()
      throw error
    }
  }

  #begin(): Promise<Begun> {
    if (this.#ended !== undefined)
      return Promise.reject(
        new DpifError('CLOSED', 'cannot listen for changes of ports: this loop has ended'),
      )
    this.#begun ??= this.#listen()
    return this.#begun
  }

  async #listen(): Promise<Begun> {
    const begun = await this.#parts.begin()
    try {
      await this.#list()
      return begun
    } catch (error) {
      await begun.listener.close()
      throw error
    }
  }

  async #list(): Promise<void> {
    this.#known = new Map((await this.#parts.list()).map((port) => [port.number, port]))
  }

  async next(): Promise<IteratorResult<PortChange>> {
    try {
      while (this.#ended === undefined) {
        const change = this.#waiting.shift()
        if (change !== undefined) return { done: false, value: change }
        if (this.#failure !== undefined) throw this.#failure
        const begun = await this.#begin()
        const { done, value: page } = await begun.listener.next()
        if (done) break
        await this.#read(page, begun)
      }
    } catch (error) {
      // Whoever ends it meanwhile is not told of what that broke.
      if (this.#ended === undefined) {
        await this.return()
        throw error
      }
    }
    return this.return()
  }

  async #read({ bytes, overruns }: ListenPage, { vports, datapaths }: Begun): Promise<void> {
    const told: { readonly cmd: number; readonly body: VportBody }[] = []
    for (const message of messagesOf(bytes)) {
      const { type, start, end } = message
      if (end - start < HEADER_SIZE + ovsHeader.size) continue
      const { cmd, dpIfindex } = ovsHeader.take(bytes, start + HEADER_SIZE)
      if (dpIfindex !== this.#parts.dpIfindex) continue
      if (type === datapaths && cmd === commands.DEL) this.#failure = gone()
      if (type === vports && changes[cmd] !== undefined)
        told.push({ cmd, body: readMessage(vportFamily, message).body })
    }
    if (told.length === 0 && overruns === 0) return
    const before = this.#known
    // A datapath that is gone has no ports to list, and its ports have not been told of one by one.
    if (this.#failure === undefined) await this.#list()
    this.#waiting = told.map(({ cmd, body }) => this.#event(cmd, body, before))
    // Last, so that whoever then looks at all ports has heard of nothing that is older.
    if (overruns > 0) this.#waiting.push({ change: 'unknown' })
  }

  #event(cmd: number, body: VportBody, before: ReadonlyMap<number, Port>): PortEvent {
    const change = changes[cmd] ?? 'changed'
    const said = portOf(body)
    // The number may be another device's by now.
    const found = (change === 'removed' ? before : this.#known).get(said.number)
    return { change, port: found?.ifindex === said.ifindex ? found : said }
  }

  async return(): Promise<IteratorResult<PortChange>> {
    this.#ended ??= this.#end()
    await this.#ended
    return { done: true, value: undefined }
  }

  async #end(): Promise<void> {
    this.#waiting = []
    try {
      // Nobody is to be told of a beginning that failed but those who asked for it.
      const begun = await this.#begun?.catch(() => undefined)
      await begun?.listener.close()
    } finally {
      this.#parts.ended()
    }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

const changes: Readonly<Record<number, PortEvent['change']>> = {
  [commands.NEW]: 'added',
  [commands.DEL]: 'removed',
  [commands.SET]: 'changed',
}

function gone(): DpifError {
  const more = { code: 'NO_DATAPATH', hint: 'the datapath was deleted' } as const
  return DpifError.from(kernelFailure('listen for changes of ports', { errno: ENODEV }, more))
}

const ENODEV = 19
const DEFAULT_BUFFER = 1 << 20
const LEAST_BUFFER = 4096
const LARGEST_BUFFER = 1 << 30
