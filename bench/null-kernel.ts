import { performance } from 'node:perf_hooks'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { Dump, Exchange, Listener, Protocol, Transport } from '../lib/index.js'
import {
  AttributeSet,
  controller,
  eachAttribute,
  GENL_ID_CTRL,
  HEADER_SIZE,
  type Message,
  messagesOf,
  readMessage,
  s32,
  string,
  struct,
  u32,
  u8,
  u16,
  Writer,
  writeMessage,
} from '../lib/netlink/index.js'

/** What a {@link NullKernel} is like. */
export interface NullKernelOptions {
  /** What a message costs, in microseconds. */
  readonly costUs?: number
  readonly keep?: boolean
  readonly clock?: Clock
}

/** Where a {@link NullKernel} has the time from. */
export interface Clock {
  /** Milliseconds. */
  now(): number
  /** Resolves once `now()` is `time` at least. */
  until(time: number): Promise<void>
}

/** Timers are late by a millisecond or more, which many small batches would add up; so the last of the time is waited for in turns. */
const wallClock: Clock = {
  now: () => performance.now(),
  until: async (time) => {
    const long = Math.floor(time - performance.now()) - TIMER_LATE_MS
    if (long > 0) await sleep(long)
    while (performance.now() < time) await turn()
  },
}
const TIMER_LATE_MS = 2

/** What one socket asks of the kernel, one thing after another. */
class Lane {
  readonly #clock: Clock
  #busyUntil = 0
  #last: Promise<void> = Promise.resolve()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when `ms` of work are done, which begin when the work before them ends. */
  work(ms: number): Promise<void> {
    // By the clock of the work, not by when we woke: what waits in line has not lost the time we slept too long.
    const end = Math.max(this.#clock.now(), this.#busyUntil) + ms
    this.#busyUntil = end
    this.#last = this.#last.then(() => this.#clock.until(end))
    return this.#last
  }
}

/**
 * A kernel that says yes to everything, at once. On it a put costs what the library costs. With `keep` it remembers the
 * flows it was given and answers dumps with them; with `costUs` it takes its time over every message, and lets other work
 * go on meanwhile: the messages of one lane one after another, lanes beside one another, as sockets do.
 */
export class NullKernel implements Transport {
  readonly name = 'null'
  readonly #families = new Map<string, number>()
  readonly #costUs: number
  readonly #clock: Clock
  readonly #lanes = new Map<string, Lane>()
  #keeps: boolean
  #kept: Record<Protocol, Uint8Array[]> = { generic: [], route: [], netfilter: [] }

  constructor({ costUs = 0, keep = false, clock = wallClock }: NullKernelOptions = {}) {
    this.#costUs = costUs
    this.#clock = clock
    this.#keeps = keep
  }

  async exchange(protocol: Protocol, batch: Uint8Array, lane = 0): Promise<Exchange> {
    const type = u16.take(batch, 4)
    const family = [...this.#families].find(([, id]) => id === type)?.[0]
    if (protocol === 'generic' && (type === GENL_ID_CTRL || family !== 'ovs_flow')) {
      return { count: 1, failures: [], replies: this.#answer(family, batch) }
    }
    if (this.#keeps) this.#kept[protocol].push(batch.slice())
    let count = 0
    for (let at = 0; at < batch.length; at += (u32.take(batch, at) + 3) & ~3) count++
    if (this.#costUs > 0) await this.#laneOf(protocol, lane).work((count * this.#costUs) / 1000)
    return { count, failures: [], replies: none }
  }

  async *dump(protocol: Protocol, request: Uint8Array): Dump {
    const family = [...this.#families].find(([, id]) => id === u16.take(request, 4))?.[0]
    if (family === 'ovs_vport') yield this.#ports()
    else if (!this.#keeps) yield* this.#pages(protocol, request)
  }

  /** From here on the flows are what a dump finds. */
  freeze(): void {
    this.#keeps = false
  }

  /** Every flow message that was kept, in one piece for each exchange. */
  kept(protocol: Protocol): readonly Uint8Array[] {
    return this.#kept[protocol]
  }

  /** Nothing ever comes by itself. */
  async listen(): Promise<Listener> {
    throw new Error('the kernel that does nothing sends nothing by itself')
  }

  async close(): Promise<void> {}

  #laneOf(protocol: Protocol, number: number): Lane {
    const name = `${protocol} ${number}`
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = new Lane(this.#clock)
      this.#lanes.set(name, lane)
    }
    return lane
  }

  *#pages(protocol: Protocol, request: Uint8Array): Generator<Uint8Array> {
    // A TC dump is about one device: its ifindex is the first word behind family and padding.
    const ifindex = protocol === 'route' ? s32.take(request, 20) : undefined
    for (const page of this.#kept[protocol]) {
      if (ifindex === undefined || s32.take(page, 20) === ifindex) yield page
    }
  }

  #answer(family: string | undefined, batch: Uint8Array): Uint8Array {
    const writer = new Writer(128)
    for (const message of messagesOf(batch)) {
      if (family === undefined) this.#answerFamily(writer, message)
      else if (family === 'ovs_datapath') writeDatapath(writer, message)
    }
    return writer.take()
  }

  #answerFamily(writer: Writer, message: Message): void {
    const { familyName = '' } = readMessage(controller, message).body
    const known = this.#families.get(familyName)
    const familyId = known ?? FIRST_FAMILY + this.#families.size
    this.#families.set(familyName, familyId)
    const header = { cmd: 1, version: 1 }
    writeMessage(writer, controller, { type: GENL_ID_CTRL, flags: 0, header, body: { familyId, familyName } })
  }

  #ports(): Uint8Array {
    const writer = new Writer(256)
    const header = { ...genl, dpIfindex: DATAPATH }
    nullPorts.forEach((name, number) => {
      const body = { portNo: number, type: number === 0 ? 2 : 1, name, ifindex: DATAPATH + number }
      writeMessage(writer, { header: ovsHeader, body: vport }, { type: FIRST_FAMILY, flags: 0, header, body })
    })
    return writer.take()
  }
}

/** The ports of the null kernel's datapath, by number. */
export const nullPorts = ['null', 'in', 'out'] as const

const FIRST_FAMILY = 32
const DATAPATH = 7
const none = new Uint8Array(0)
const genl = { cmd: 1, version: 1 }

interface Header {
  readonly cmd: number
  readonly version: number
  readonly reserved?: number
  readonly dpIfindex: number
}

const ovsHeader = struct<Header>({ cmd: u8, version: u8, reserved: u16, dpIfindex: s32 })
const row = <T>(id: number, codec: T) => ({ uapi: '', id, codec, doc: '' })
const datapath = new AttributeSet<{ readonly name?: string }>('datapath', { name: row(1, string) })
const vport = new AttributeSet<{
  readonly portNo?: number
  readonly type?: number
  readonly name?: string
  readonly ifindex?: number
}>('vport', { portNo: row(1, u32), type: row(2, u32), name: row(3, string), ifindex: row(8, u32) })

function writeDatapath(writer: Writer, { type }: Message): void {
  const header = { ...genl, dpIfindex: DATAPATH }
  const body = { name: nullPorts[0] }
  writeMessage(writer, { header: ovsHeader, body: datapath }, { type, flags: 0, header, body })
}

/** OVS_FLOW_ATTR_*. */
const flowIds = { KEY: 1, ACTIONS: 2, MASK: 7 } as const

/**
 * The raw key, mask and actions of every flow in messages that were put, as views of them: upcalls hand them over like that, many
 * in one buffer.
 */
export function rawFlows(messages: Uint8Array): {
  readonly key: Uint8Array
  readonly mask: Uint8Array
  readonly actions: Uint8Array
}[] {
  return [...messagesOf(messages)].map(({ start, end }) => {
    const found = new Map<number, Uint8Array>()
    eachAttribute(messages, start + HEADER_SIZE + ovsHeader.size, end, (id, from, to) =>
      found.set(id, messages.subarray(from, to)),
    )
    const at = (id: number) => found.get(id) ?? none
    return { key: at(flowIds.KEY), mask: at(flowIds.MASK), actions: at(flowIds.ACTIONS) }
  })
}
