import type { Listener, ListenPage } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'

/** What a message costs a receive buffer beside its bytes: about what an skb does. */
const OVERHEAD = 768
/** A page goes on while less than this is in it. */
const PAGE = 256 * 1024

/** The receive queue of one socket: as large as it was made, and no larger. */
class Mailbox {
  readonly pid: number
  readonly #limit: number
  readonly #messages: Uint8Array[] = []
  #size = 0
  /** Something did not fit in; said once, until all has been read (NETLINK_S_CONGESTED). */
  #congested = false
  #overrun = false

  constructor(pid: number, buffer: number) {
    this.pid = pid
    // The kernel doubles what is asked for.
    this.#limit = buffer * 2
  }

  get hasNews(): boolean {
    return this.#overrun || this.#messages.length > 0
  }

  /** False when it is full: the message is lost (netlink_attachskb()). */
  deliver(message: Uint8Array): boolean {
    if (this.#size > this.#limit) {
      this.#overrun ||= !this.#congested
      this.#congested = true
      return false
    }
    this.#messages.push(message)
    this.#size += message.length + OVERHEAD
    return true
  }

  takeOverrun(): boolean {
    const overrun = this.#overrun
    this.#overrun = false
    return overrun
  }

  take(): Uint8Array | undefined {
    const message = this.#messages.shift()
    if (message !== undefined) this.#size -= message.length + OVERHEAD
    if (this.#messages.length === 0) this.#congested = false
    return message
  }
}

/** The sockets somebody listens on, by port id. */
export class Mailboxes {
  readonly #listeners = new Set<SimulatedListener>()
  readonly #boxes = new Map<number, { readonly box: Mailbox; readonly owner: SimulatedListener }>()
  #next = 4242

  listen(sockets: number, buffer: number): SimulatedListener {
    const boxes = Array.from({ length: sockets }, () => new Mailbox(this.#next++, buffer))
    const listener = new SimulatedListener(boxes, () => {
      for (const { pid } of boxes) this.#boxes.delete(pid)
      this.#listeners.delete(listener)
    })
    this.#listeners.add(listener)
    for (const box of boxes) this.#boxes.set(box.pid, { box, owner: listener })
    return listener
  }

  /** Sends to a socket; false when there is none or it is full. */
  deliver(pid: number, message: Uint8Array): boolean {
    const found = this.#boxes.get(pid)
    if (found === undefined) return false
    const delivered = found.box.deliver(message)
    found.owner.wake()
    return delivered
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) await listener.close()
  }
}

/** Sockets that are read together, as the addon does it. */
export class SimulatedListener implements Listener {
  readonly #boxes: readonly Mailbox[]
  readonly #forget: () => void
  #closed = false
  #waiting: (() => void) | undefined

  constructor(boxes: readonly Mailbox[], forget: () => void) {
    this.#boxes = boxes
    this.#forget = forget
  }

  get pids(): readonly number[] {
    return this.#boxes.map(({ pid }) => pid)
  }

  async next(): Promise<IteratorResult<ListenPage>> {
    if (this.#waiting !== undefined)
      throw new DpifError('BUSY', 'cannot listen: somebody waits for the next page already')
    while (!this.#closed && !this.#boxes.some(({ hasNews }) => hasNews)) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
      this.#waiting = undefined
    }
    return this.#closed ? { done: true, value: undefined } : { done: false, value: this.#read() }
  }

  #read(): ListenPage {
    const overruns = this.#boxes.filter((box) => box.takeOverrun()).length
    const messages: Uint8Array[] = []
    let size = 0
    for (let found = true; found && size < PAGE; ) {
      found = false
      for (const box of this.#boxes) {
        const message = size < PAGE ? box.take() : undefined
        if (message === undefined) continue
        messages.push(message)
        size += message.length
        found = true
      }
    }
    const bytes = new Uint8Array(size)
    let at = 0
    for (const message of messages) {
      bytes.set(message, at)
      at += message.length
    }
    return { bytes, overruns, drained: !this.#boxes.some(({ hasNews }) => hasNews) }
  }

  wake(): void {
    this.#waiting?.()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#forget()
    this.wake()
  }

  async return(): Promise<IteratorResult<ListenPage>> {
    await this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
