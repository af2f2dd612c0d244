import { closeSync, openSync, writeSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import type { Dump, Exchange, Listener, ListenOptions, Protocol, Transport } from '../lib/index.js'
import { GENL_ID_CTRL, messagesOf } from '../lib/netlink/index.js'

/** RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER: what flows in TC are put, deleted and read with. */
const filterTypes = new Set([44, 45, 46])

/**
 * A transport that looks on. It can write the very bytes that went to the kernel into a file, so that a C program can send
 * them again, and it can tell how long the kernel was busy.
 */
export class WatchedTransport implements Transport {
  readonly name: string
  readonly #inner: Transport
  #file: number | undefined
  #dumps: { readonly protocol: Protocol; readonly request: Uint8Array }[] = []
  #timed = false
  #underWay = 0
  #since = 0
  #busyMs = 0
  #exchanges = 0

  constructor(inner: Transport) {
    this.#inner = inner
    this.name = inner.name
  }

  exchange(protocol: Protocol, batch: Uint8Array, lane?: number): Promise<Exchange> {
    if (this.#file !== undefined) this.#record(protocol, batch)
    if (!this.#timed) return this.#inner.exchange(protocol, batch, lane)
    if (this.#underWay++ === 0) this.#since = performance.now()
    this.#exchanges++
    const exchange = this.#inner.exchange(protocol, batch, lane)
    const done = () => {
      if (--this.#underWay === 0) this.#busyMs += performance.now() - this.#since
    }
    exchange.then(done, done)
    return exchange
  }

  dump(protocol: Protocol, request: Uint8Array): Dump {
    this.#dumps.push({ protocol, request: request.slice() })
    return this.#inner.dump(protocol, request)
  }

  listen(protocol: Protocol, options?: ListenOptions): Promise<Listener> {
    return this.#inner.listen(protocol, options)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  /** Writes the requests about flows that go out while `work` runs into `file`. */
  async recording(file: string, work: () => Promise<void>): Promise<void> {
    this.#file = openSync(file, 'w')
    try {
      await work()
    } finally {
      closeSync(this.#file)
      this.#file = undefined
    }
  }

  /** The time during which at least one exchange was under way while `work` ran. */
  async timing(work: () => Promise<void>): Promise<{ readonly busyNs: number; readonly exchanges: number }> {
    this.#timed = true
    this.#busyMs = 0
    this.#exchanges = 0
    try {
      await work()
    } finally {
      this.#timed = false
    }
    return { busyNs: this.#busyMs * 1e6, exchanges: this.#exchanges }
  }

  /** The dumps that were asked for while `work` ran. */
  async dumpsDuring(
    work: () => Promise<void>,
  ): Promise<readonly { readonly protocol: Protocol; readonly request: Uint8Array }[]> {
    this.#dumps = []
    await work()
    return this.#dumps
  }

  #record(protocol: Protocol, batch: Uint8Array): void {
    for (const { type, start, end, bytes } of messagesOf(batch)) {
      const wanted = protocol === 'generic' ? type !== GENL_ID_CTRL : filterTypes.has(type)
      if (wanted) writeSync(this.#file as number, bytes, start, ((end + 3) & ~3) - start)
    }
  }
}
