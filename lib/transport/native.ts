import { channel } from 'node:diagnostics_channel'
import type {
  Dump,
  Exchange,
  Listener,
  ListenOptions,
  MessageFailure,
  Protocol,
  Transport,
} from '../../types/transport.js'
import { codeOf, DpifError } from '../errors.js'
import type { Addon, DumpPage, ExchangeAnswer, NetlinkDump, NetlinkListener, NetlinkSocket } from './addon.js'
import { call, closed, named, toDpifError } from './call.js'
import { checkListenOptions, NativeListener } from './listener.js'
import { loadAddon } from './load.js'

// The kernel of this machine, through the addon. Two ideas:
//
// - One socket per protocol and lane carries all its exchanges, so their order is the order of the calls. A dump takes a
//   socket of its own: it may last, and nothing waits behind it. So does a listener (`listener.ts`).
// - The addon says what happened in plain data (`addon.ts`); in `call.ts` it becomes a `DpifError` with a sentence.
//
// `load.ts` next door finds the addon, `call.ts` makes promises of calls to it. What the messages say is nobody's business in this room.

const protocolNumbers: Readonly<Record<Protocol, number>> = { route: 0, netfilter: 12, generic: 16 }

/** What is published on the diagnostics channel `dpif-hw-acc:exchange` after each exchange. */
export interface ExchangeEvent {
  readonly protocol: Protocol
  readonly lane: number
  readonly batch: Uint8Array
  readonly result: Exchange
}

const exchanges = channel('dpif-hw-acc:exchange')

/** A transport to the kernel of this machine. Nothing is opened, not even the addon, before the first call. */
export function nativeTransport(): Transport {
  return new NativeTransport()
}

export class NativeTransport implements Transport {
  readonly name = 'native'
  // By lane.
  readonly #sockets: Readonly<Record<Protocol, Map<number, NetlinkSocket>>> = {
    route: new Map(),
    generic: new Map(),
    netfilter: new Map(),
  }
  // Weak, so that a dump or a listener that was dropped without being ended is still collected, sockets and all.
  readonly #open = new Set<WeakRef<NetlinkDump | NetlinkListener>>()
  readonly #collected = new FinalizationRegistry<WeakRef<NetlinkDump | NetlinkListener>>((ref) =>
    this.#open.delete(ref),
  )
  /** Of dumps that have ended: fresh memory costs a page fault for every 4 KiB. */
  readonly #pages: Uint8Array[] = []
  #addon: Addon | undefined
  #closed: Promise<void> | undefined

  async exchange(protocol: Protocol, batch: Uint8Array, lane = 0): Promise<Exchange> {
    const socket = this.#socket(protocol, lane)
    // The caller may write the next batch over this one as soon as we return.
    const published = exchanges.hasSubscribers ? batch.slice() : undefined
    const { count, failures, replies } = await call<ExchangeAnswer>(
      `cannot exchange ${protocol} netlink messages`,
      (done) => socket.exchange(batch, done),
    )
    const result: Exchange = { count, failures: unpack(failures), replies }
    if (published !== undefined) {
      exchanges.publish({ protocol, lane, batch: published, result } satisfies ExchangeEvent)
    }
    return result
  }

  async *dump(protocol: Protocol, request: Uint8Array): Dump {
    const attempt = `cannot dump from ${protocol} netlink`
    const dump = new (this.#load().NetlinkDump)(protocolNumbers[protocol], request)
    const forget = this.#remember(dump)
    const page = this.#takePage()
    try {
      for (;;) {
        const read = await call<DumpPage>(attempt, (done) => dump.next(page, done))
        // What arrived is handed over first, whatever came after it.
        if (read.size > 0) yield page.subarray(0, read.size)
        if (read.last) return end(attempt, read)
      }
    } finally {
      forget()
      if (this.#pages.length < SPARE_PAGES) this.#pages.push(page)
      await closed(dump)
    }
  }

  async listen(protocol: Protocol, options: ListenOptions = {}): Promise<Listener> {
    const { sockets, buffer, groups } = checkListenOptions(options)
    const listener = new (this.#load().NetlinkListener)(protocolNumbers[protocol], sockets, buffer, groups)
    const forget = this.#remember(listener)
    try {
      const attempt = `cannot listen on ${sockets} ${protocol} netlink sockets`
      const pids = await call<readonly number[]>(attempt, (done) => listener.open(done))
      return new NativeListener(listener, protocol, pids, forget)
    } catch (error) {
      forget()
      await closed(listener)
      throw error
    }
  }

  /** Sees to it that what has a socket of its own is closed with the transport. Returns what ends that. */
  #remember(open: NetlinkDump | NetlinkListener): () => void {
    const ref = new WeakRef(open)
    this.#open.add(ref)
    this.#collected.register(open, ref, ref)
    return () => {
      this.#open.delete(ref)
      this.#collected.unregister(ref)
    }
  }

  #takePage(): Uint8Array {
    const page = this.#pages.pop()
    // Whoever was shown a page may have given its memory away.
    return page === undefined || page.length === 0 ? new Uint8Array(PAGE) : page
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  async #closeAll(): Promise<void> {
    const others = [...this.#open].map((ref) => ref.deref()).filter((other) => other !== undefined)
    const byLane = Object.values(this.#sockets)
    await Promise.all([...byLane.flatMap((sockets) => [...sockets.values()]), ...others].map(closed))
    for (const sockets of byLane) sockets.clear()
    this.#open.clear()
  }

  #socket(protocol: Protocol, lane: number): NetlinkSocket {
    const addon = this.#load()
    if (!Number.isInteger(lane) || lane < 0)
      throw new RangeError(`lane ${lane}: a whole number from 0 is needed`)
    const sockets = this.#sockets[protocol]
    let socket = sockets.get(lane)
    if (socket === undefined) {
      socket = new addon.NetlinkSocket(protocolNumbers[protocol])
      sockets.set(lane, socket)
    }
    return socket
  }

  #load(): Addon {
    if (this.#closed)
      throw new DpifError('CLOSED', 'cannot use a transport that was closed; open another one')
    this.#addon ??= loadAddon()
    return this.#addon
  }
}

/** Many reads of what the kernel gives at a time: each page is a way to the thread and back, a dozen system calls. */
const PAGE = 256 * 1024
const SPARE_PAGES = 2

function unpack(flat: ExchangeAnswer['failures']): MessageFailure[] {
  const failures: MessageFailure[] = []
  for (let at = 0; at < flat.length; at += 4) {
    const [index, errno, text, offset] = flat.slice(at, at + 4)
    failures.push({
      index: index as number,
      errno: errno as number,
      ...(text === undefined ? {} : { text: text as string }),
      ...(offset === undefined ? {} : { offset: offset as number }),
    })
  }
  return failures
}

/** How a dump ended: returns after a complete one, throws after any other. */
function end(attempt: string, { error, errno, text, interrupted }: DumpPage): void {
  if (error) throw toDpifError(attempt, error)
  if (errno) {
    const words = text === undefined ? '' : `: ${text}`
    throw new DpifError(codeOf(errno), `${attempt}: the kernel answered ${named(errno)}${words}`, {
      errno,
      ...(text === undefined ? {} : { kernel: text }),
    })
  }
  if (interrupted) {
    throw new DpifError(
      'DUMP_INTERRUPTED',
      'the table changed while it was dumped; entries may be missing or doubled, dump again for a consistent view',
    )
  }
}
