import type { Listener, ListenPage, Transport } from '../../../types/transport.js'
import type {
  Upcall,
  UpcallBatch,
  UpcallControl,
  UpcallDispatch,
  UpcallOptions,
  UpcallRoute,
  Upcalls,
} from '../../../types/upcall.js'
import { DpifError } from '../../errors.js'
import { messagesOf } from '../../netlink/reader.js'
import { HEADER_SIZE } from '../../netlink/message.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { packet as packetFamily } from '../../ovs/packet.js'
import { vport as vportFamily } from '../../ovs/vport.js'
import { Dispatch } from './dispatch.js'
import type { FamilyId, GroupId } from './family.js'
import { KernelUpcall, kindOf } from './kernel-upcall.js'
import { possibleProcessors } from './processors.js'

// What the datapath has no flow for. Three ideas: nothing is read that nobody asked for, so the kernel's buffers are the only queue there is;
// the dispatch is taken over by those who ask for upcalls, and by nobody else (`dispatch.ts`); and with dispatch by port the same sockets
// hear of ports that come, so that those of others are heard, too.

/** The upcalls of one datapath, for one listener at a time. */
export class KernelUpcalls implements UpcallControl {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #group: GroupId
  readonly #dpIfindex: number
  #stream: UpcallStream | undefined

  constructor(transport: Transport, id: FamilyId, group: GroupId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#group = group
    this.#dpIfindex = dpIfindex
  }

  /** Where upcalls of a new port go: with dispatch by processor, and while nobody listens, a port has no say. */
  get pidsOfPorts(): readonly number[] {
    return this.#stream?.pidsOfPorts ?? [0]
  }

  open({ dispatch, handlers = DEFAULT_HANDLERS, buffer = 4 << 20 }: UpcallOptions): Upcalls {
    if (dispatch !== undefined && !dispatches.includes(dispatch))
      throw new RangeError(`dispatch '${dispatch}' is none; there are ${dispatches.join(', ')}`)
    if (!Number.isInteger(handlers) || handlers < 1 || handlers > MAX_HANDLERS)
      throw new RangeError(`handlers ${handlers}: a whole number from 1 to ${MAX_HANDLERS} is needed`)
    if (!Number.isInteger(buffer) || buffer < LEAST_BUFFER || buffer > LARGEST_BUFFER)
      throw new RangeError(
        `buffer ${buffer}: a whole number of bytes from ${LEAST_BUFFER} to ${LARGEST_BUFFER} is needed`,
      )
    if (this.#stream !== undefined)
      throw new DpifError(
        'BUSY',
        'cannot listen for upcalls: this dpif does already; end the other loop first',
      )
    const stream = new UpcallStream({
      // Linux 6.1.192 refuses a port more port ids than there are processors; one beyond them would never be picked per CPU either.
      listen: async () => {
        const sockets = Math.min(handlers, possibleProcessors())
        const groups = dispatch === 'per-cpu' ? [] : [await this.#group(vportFamily, vportFamily.name)]
        return this.#transport.listen('generic', { sockets, buffer, groups })
      },
      dispatch: new Dispatch(this.#transport, this.#id, this.#dpIfindex),
      wanted: dispatch,
      families: async () => {
        const [packets, vports] = await Promise.all([this.#id(packetFamily), this.#id(vportFamily)])
        return { packets, vports }
      },
      dpIfindex: this.#dpIfindex,
      ended: () => {
        this.#stream = undefined
      },
    })
    this.#stream = stream
    return stream
  }

  async close(): Promise<void> {
    await this.#stream?.return()
  }
}

interface StreamParts {
  readonly listen: () => Promise<Listener>
  readonly dispatch: Dispatch
  readonly wanted: UpcallDispatch | undefined
  readonly families: () => Promise<FamilyNumbers>
  readonly dpIfindex: number
  readonly ended: () => void
}

interface FamilyNumbers {
  readonly packets: number
  readonly vports: number
}

/** What there is from the first moment to the last. */
interface Begun extends UpcallRoute, FamilyNumbers {
  readonly listener: Listener
}

class UpcallStream implements Upcalls {
  readonly #parts: StreamParts
  #begun: Promise<Begun> | undefined
  #ended: Promise<void> | undefined
  /** With dispatch by port: where those go that are added from now on. */
  pidsOfPorts: readonly number[] | undefined
  /** What was read and is not handed over yet. */
  #left: readonly Upcall[] = []
  /** A socket has overflowed and has not been read empty since. */
  #flooded = false
  #lostBefore = 0n

  constructor(parts: StreamParts) {
    this.#parts = parts
  }

  async start(): Promise<UpcallRoute> {
    try {
      const { dispatch, handlers, pid } = await this.#begin()
      return { dispatch, handlers, pid }
    } catch (error) {
      await this.return()
      throw error
    }
  }

  #begin(): Promise<Begun> {
    if (this.#ended !== undefined)
      return Promise.reject(new DpifError('CLOSED', 'cannot listen for upcalls: this loop has ended'))
    this.#begun ??= this.#takeOver()
    return this.#begun
  }

  async #takeOver(): Promise<Begun> {
    const { dispatch, wanted } = this.#parts
    const families = await this.#parts.families()
    const listener = await this.#parts.listen()
    const { pids } = listener
    try {
      const taken = await dispatch.take(pids, wanted)
      this.#lostBefore = await dispatch.lost()
      if (taken === 'per-vport') this.pidsOfPorts = pids
      return { listener, ...families, dispatch: taken, handlers: pids.length, pid: pids[0] as number }
    } catch (error) {
      await listener.close()
      throw error
    }
  }

  async next(): Promise<IteratorResult<UpcallBatch>> {
    try {
      while (this.#ended === undefined) {
        if (this.#left.length > 0) return { done: false, value: { upcalls: this.#some(), lost: 0n } }
        const begun = await this.#begin()
        const { done, value: page } = await begun.listener.next()
        if (done) break
        this.#left = await this.#read(page, begun)
        const lost = await this.#countLost(page)
        if (this.#left.length > 0 || lost > 0n) return { done: false, value: { upcalls: this.#some(), lost } }
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

  /** As many as can be answered without holding up everybody else: a page may hold thousands. */
  #some(): readonly Upcall[] {
    const some = this.#left.slice(0, BATCH)
    this.#left = this.#left.slice(BATCH)
    return some
  }

  async #read({ bytes, overruns }: ListenPage, { packets, vports }: Begun): Promise<Upcall[]> {
    const upcalls: Upcall[] = []
    // A port that came may be among what did not fit.
    let ports = overruns > 0
    for (const { type, start, end } of messagesOf(bytes)) {
      if ((type !== packets && type !== vports) || end - start < HEADER_SIZE + ovsHeader.size) continue
      const { cmd, dpIfindex } = ovsHeader.take(bytes, start + HEADER_SIZE)
      // A flow of another datapath may name our socket.
      if (dpIfindex !== this.#parts.dpIfindex) continue
      const kind = type === packets ? kindOf(cmd) : undefined
      if (kind !== undefined) upcalls.push(new KernelUpcall(kind, bytes, start, end))
      ports ||= type === vports && cmd === commands.NEW
    }
    if (ports && this.pidsOfPorts !== undefined) await this.#parts.dispatch.adopt(this.pidsOfPorts)
    return upcalls
  }

  /** A socket tells that it overflowed, once, and not how often; the datapath knows. */
  async #countLost({ overruns, drained }: ListenPage): Promise<bigint> {
    if (overruns > 0) this.#flooded = true
    if (!this.#flooded) return 0n
    if (drained) this.#flooded = false
    const lost = await this.#parts.dispatch.lost()
    const more = lost - this.#lostBefore
    this.#lostBefore = lost
    return more
  }

  async return(): Promise<IteratorResult<UpcallBatch>> {
    this.#ended ??= this.#end()
    this.#left = []
    await this.#ended
    return { done: true, value: undefined }
  }

  async #end(): Promise<void> {
    try {
      // Nobody is to be told of a beginning that failed but those who asked for it.
      const begun = await this.#begun?.catch(() => undefined)
      if (begun === undefined) return
      this.pidsOfPorts = undefined
      try {
        await this.#parts.dispatch.release(begun.listener.pids, begun.dispatch)
      } finally {
        await begun.listener.close()
      }
    } finally {
      this.#parts.ended()
    }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

const dispatches: readonly UpcallDispatch[] = ['per-cpu', 'per-vport']
const MAX_HANDLERS = 64
/** A batch is handled in one go, key by key and flow by flow. */
const BATCH = 256
const LEAST_BUFFER = 4096
const LARGEST_BUFFER = 1 << 30

/** More sockets would hold more than one thread reads in any useful time. */
const DEFAULT_HANDLERS = 8
