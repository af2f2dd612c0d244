import type { Listener, ListenPage, Protocol } from '../../../types/transport.js'
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
  /** Port ids of those that have joined a multicast group, by what {@link groupName} makes of it. */
  readonly #members = new Map<string, Set<number>>()
  #next = 4242

  listen(
    sockets: number,
    buffer: number,
    protocol: Protocol = 'generic',
    groups: readonly number[] = [],
  ): SimulatedListener {
    const boxes = Array.from({ length: sockets }, () => new Mailbox(this.#next++, buffer))
    const members = groups.map((group) => this.#membersOf(protocol, group))
    const listener = new SimulatedListener(boxes, () => {
      for (const { pid } of boxes) {
        this.#boxes.delete(pid)
        for (const pids of members) pids.delete(pid)
      }
      this.#listeners.delete(listener)
    })
    for (const pids of members) pids.add(boxes[0]?.pid ?? 0)
    this.#listeners.add(listener)
    for (const box of boxes) this.#boxes.set(box.pid, { box, owner: listener })
    return listener
  }

  #membersOf(protocol: Protocol, group: number): Set<number> {
    const name = groupName(protocol, group)
    const members = this.#members.get(name) ?? new Set()
    this.#members.set(name, members)
    return members
  }

  /** Whether anybody has joined a group. */
  hasMembers(protocol: Protocol, group: number): boolean {
    return (this.#members.get(groupName(protocol, group))?.size ?? 0) > 0
  }

  /** Sends to all that have joined a group, as far as it fits. */
  multicast(protocol: Protocol, group: number, message: Uint8Array): void {
    for (const pid of this.#members.get(groupName(protocol, group)) ?? []) this.deliver(pid, message)
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

const groupName = (protocol: Protocol, group: number): string => `${protocol} ${group}`

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
