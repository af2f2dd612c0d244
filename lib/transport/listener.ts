import type { Listener, ListenOptions, ListenPage, Protocol } from '../../types/transport.js'
import type { HeardPage, NetlinkListener } from './addon.js'
import { call, closed, toDpifError } from './call.js'

/** Sockets of this machine's kernel that are read together. */
export class NativeListener implements Listener {
  readonly pids: readonly number[]
  readonly #listener: NetlinkListener
  readonly #attempt: string
  /** Called once, when it is closed. */
  readonly #forget: () => void
  #over = false
  /** What came with the last page: told after it. */
  #failure: unknown

  constructor(listener: NetlinkListener, protocol: Protocol, pids: readonly number[], forget: () => void) {
    this.#listener = listener
    this.#attempt = `cannot listen on ${protocol} netlink`
    this.pids = pids
    this.#forget = forget
  }

  async next(): Promise<IteratorResult<ListenPage>> {
    if (this.#failure !== undefined) {
      const failure = this.#failure
      await this.close()
      this.#failure = undefined
      throw failure
    }
    if (this.#over) return { done: true, value: undefined }
    const heard = await this.#hear()
    if (heard === undefined) return { done: true, value: undefined }
    const { bytes, overruns, drained, ended, error } = heard
    if (ended) {
      this.#over = true
      return { done: true, value: undefined }
    }
    if (error !== undefined) {
      this.#failure = toDpifError(this.#attempt, error)
      // What arrived is handed over first, whatever came after it.
      if (bytes.length === 0) return this.next()
    }
    return { done: false, value: { bytes, overruns, drained } }
  }

  /** Nothing when it was closed before it was asked. */
  async #hear(): Promise<HeardPage | undefined> {
    try {
      return await call<HeardPage>(this.#attempt, (done) => this.#listener.next(done))
    } catch (error) {
      // The transport may have closed it.
      if ((error as { code?: string }).code === 'CLOSED') return undefined
      throw error
    }
  }

  async close(): Promise<void> {
    this.#over = true
    this.#forget()
    await closed(this.#listener)
  }

  async return(): Promise<IteratorResult<ListenPage>> {
    await this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** The options, whole. Throws a RangeError on those that make no sense. */
export function checkListenOptions({
  sockets = 1,
  buffer = 4 << 20,
  groups = [],
}: ListenOptions): Required<ListenOptions> {
  if (!Number.isInteger(sockets) || sockets < 1 || sockets > MAX_SOCKETS)
    throw new RangeError(`sockets ${sockets}: a whole number from 1 to ${MAX_SOCKETS} is needed`)
  if (!Number.isInteger(buffer) || buffer < LEAST_BUFFER || buffer > LARGEST_BUFFER)
    throw new RangeError(
      `buffer ${buffer}: a whole number of bytes from ${LEAST_BUFFER} to ${LARGEST_BUFFER} is needed`,
    )
  const wrong = groups.find((group) => !Number.isInteger(group) || group < 1 || group > MAX_GROUP)
  if (wrong !== undefined)
    throw new RangeError(`group ${wrong}: a whole number from 1 to ${MAX_GROUP} is needed`)
  return { sockets, buffer, groups }
}

const MAX_SOCKETS = 64
const MAX_GROUP = 0xffffffff
const LEAST_BUFFER = 4096
const LARGEST_BUFFER = 1 << 30
