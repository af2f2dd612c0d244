import type { FlowKey } from '../../../types/flow.js'
import type {
  Dump,
  Exchange,
  Listener,
  ListenOptions,
  MessageFailure,
  Protocol,
  Transport,
} from '../../../types/transport.js'
import { codeOf, DpifError, errnoName } from '../../errors.js'
import { u32 } from '../../netlink/integers.js'
import { flags, HEADER_SIZE } from '../../netlink/message.js'
import { type Message, messagesOf } from '../../netlink/reader.js'
import { commands } from '../../ovs/family.js'
import { ConnectionTable } from './conntrack.js'
import { removeDatapath } from './datapath.js'
import { type Device, type DeviceOptions, Devices } from './devices.js'
import { dissect } from './dissect.js'
import { Refusal } from './errors.js'
import { addEswitch, type EswitchOptions } from './eswitch.js'
import { Generic } from './generic.js'
import { Mailboxes } from './mailbox.js'
import { Netfilter } from './netfilter.js'
import { type Receipt, receive } from './receive.js'
import type { Request } from './request.js'
import { Route } from './route.js'
import { type State, vportOf } from './state.js'
import { writeVport } from './vport.js'

// A kernel in TypeScript, as far as flows go: generic netlink with the families of openvswitch, rtnetlink with ingress qdiscs and flower
// filters, and netfilter with tracked connections. It answers bytes with bytes, says what Linux 6.1 says, and refuses what Linux refuses; what it does not
// imitate it refuses with a text that begins with `not simulated`.
//
// Two ideas: a Refusal is thrown wherever the kernel would return an errno, and caught in one place, here; and keys are byte
// vectors, as in the kernel, so that masks, look-ups and duplicates come out as they do there.

/** How a simulated kernel is equipped. */
export interface SimulatedKernelOptions {
  /** False for modules that cannot be loaded, for example `openvswitch`, `cls_flower` or `act_vlan`. */
  readonly modules?: Readonly<Record<string, boolean>>
  /** Numbers of flower's attributes (TCA_FLOWER_*) that this kernel does not know yet and passes over, as older ones do. */
  readonly unknownToFlower?: readonly number[]
  /** False stands for a process without CAP_NET_ADMIN. */
  readonly privileged?: boolean
  /** CLOCK_MONOTONIC in milliseconds; the machine's own by default. */
  readonly now?: () => number
}

/** A message on its way to the simulated kernel, as a {@link FaultRule} sees it. */
export interface FaultyMessage {
  readonly protocol: Protocol
  readonly type: number
  readonly flags: number
  /** First byte behind the header: the command of a generic netlink message. */
  readonly command: number
  /** The whole message, header included. */
  readonly bytes: Uint8Array
}

/** What goes wrong with a message. */
export interface Fault {
  readonly errno: number
  readonly text?: string
  /** The kernel carries the message out all the same: its answer was lost (errno 105). */
  readonly carriedOut?: boolean
}

/** Says what goes wrong with a message: an errno, a {@link Fault}, or nothing. */
export type FaultRule = (message: FaultyMessage) => number | Fault | undefined

/**
 * A kernel for tests and for machines without one.
 *
 * @example
 * const kernel = new SimulatedKernel()
 * kernel.addDevice('eth0')
 * const dpif = await open({ transport: kernel, … })
 */
export class SimulatedKernel implements Transport {
  readonly name = 'simulated'
  /** Set, every dump ends as if its table had changed meanwhile. */
  interruptDumps = false
  readonly #state: State
  readonly #generic: Generic
  readonly #route: Route
  readonly #subsystems: Readonly<Record<Protocol, Subsystem>>
  readonly #faults = new Set<FaultRule>()
  #closed = false

  constructor({
    modules = {},
    unknownToFlower = [],
    privileged = true,
    now = monotonic,
  }: SimulatedKernelOptions = {}) {
    const has = (module: string) => modules[module] ?? true
    this.#state = {
      devices: new Devices(),
      datapaths: new Map(),
      eswitches: new Map(),
      mailboxes: new Mailboxes(),
      connections: new ConnectionTable(),
      has,
      now,
    }
    this.#generic = new Generic(this.#state, privileged)
    this.#route = new Route(this.#state, privileged, new Set(unknownToFlower))
    const netfilter = new Netfilter(this.#state, privileged)
    this.#subsystems = { generic: this.#generic, route: this.#route, netfilter }
    // A device takes its port along, and a datapath's own device the whole datapath.
    this.#state.devices.leaving.push((device) => this.#detach(device))
  }

  /** Makes a device, of kind `dummy` unless told otherwise, and returns its ifindex. */
  addDevice(name: string, options: DeviceOptions = {}): number {
    if (this.#state.devices.byName(name) !== undefined)
      throw new TypeError(`there is a device ${name} already`)
    return this.#state.devices.add(name, options).ifindex
  }

  /** Makes a NIC with an e-switch, which devlink calls `name`, for example `pci/0000:08:00.0`. */
  addEswitch(name: string, options: EswitchOptions = {}): void {
    if (this.#state.eswitches.has(name)) throw new TypeError(`there is an e-switch ${name} already`)
    addEswitch(this.#state, name, options)
  }

  /** Takes a device away, with everything that hung on it: its port, its qdisc and its filters. */
  removeDevice(name: string): void {
    this.#state.devices.remove(this.#device(name))
  }

  /**
   * Lets a packet in on a device: the bytes of a frame, or what it looks like, of `size` bytes that are all zero. Counters of what it met
   * go up, and what met nothing goes to whoever listens for upcalls.
   */
  receive(deviceName: string, frame: FlowKey | Uint8Array, size = 60): Receipt {
    const arrival =
      frame instanceof Uint8Array
        ? { frame: dissect(frame), packet: frame.slice(), size: frame.length }
        : { frame, packet: new Uint8Array(size), size }
    return receive(this.#state, this.#route.qdiscs, this.#device(deviceName), arrival)
  }

  /** The device forgets its rules and tells nobody: filters still say that they are in hardware, and software sees the packets. */
  loseRules(deviceName: string): void {
    const { offload } = this.#device(deviceName)
    if (offload !== undefined) offload.lost = true
  }

  /** Makes messages fail. Returns a function that ends it. */
  fault(rule: FaultRule): () => void {
    this.#faults.add(rule)
    return () => {
      this.#faults.delete(rule)
    }
  }

  /** A batch is carried out before the call returns, whatever its lane. */
  async exchange(protocol: Protocol, batch: Uint8Array, _lane?: number): Promise<Exchange> {
    this.#checkOpen()
    checkFraming(batch)
    const failures: MessageFailure[] = []
    const replies: Uint8Array[] = []
    let index = 0
    for (const message of messagesOf(batch)) {
      const failure = this.#carryOut(protocol, message, (reply) => {
        u32.put(reply, SEQUENCE, index)
        replies.push(reply)
      })
      if (failure !== undefined) failures.push({ index, ...failure })
      index++
    }
    return { count: index, failures, replies: concat(replies) }
  }

  async *dump(protocol: Protocol, request: Uint8Array): Dump {
    this.#checkOpen()
    checkFraming(request)
    const [message, second] = [...messagesOf(request)]
    if (message === undefined || second !== undefined)
      throw new DpifError('BAD_MESSAGE', 'cannot dump: the request is not one message')
    let page: Uint8Array[] = []
    let size = 0
    try {
      const fault = this.#faultOf(protocol, message)
      if (fault !== undefined) throw new Refusal(fault.errno, fault.text)
      for (const entry of this.#subsystems[protocol].dump(message)) {
        if (size + entry.length > PAGE_SIZE && size > 0) {
          yield* lent(concat(page))
          this.#checkOpen()
          page = []
          size = 0
        }
        page.push(entry)
        size += entry.length
      }
      if (size > 0) yield* lent(concat(page))
    } catch (error) {
      throw error instanceof Refusal ? dumpError(protocol, error) : error
    }
    if (this.interruptDumps)
      throw new DpifError(
        'DUMP_INTERRUPTED',
        'the table changed while it was dumped; dump again for a consistent view',
      )
  }

  async listen(
    protocol: Protocol,
    { sockets = 1, buffer = 4 << 20, groups = [] }: ListenOptions = {},
  ): Promise<Listener> {
    this.#checkOpen()
    return this.#state.mailboxes.listen(sockets, buffer, protocol, groups)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#state.mailboxes.close()
  }

  #carryOut(
    protocol: Protocol,
    message: Message,
    reply: (message: Uint8Array) => void,
  ): Omit<MessageFailure, 'index'> | undefined {
    const fault = this.#faultOf(protocol, message)
    const lost = fault && { errno: fault.errno, ...(fault.text === undefined ? {} : { text: fault.text }) }
    if (lost !== undefined && !fault?.carriedOut) return lost
    const { bytes, start, end, type, flags: messageFlags } = message
    // What is not a request, and control messages, are acknowledged unread (netlink_rcv_skb()).
    if (!(messageFlags & flags.REQUEST) || type < FIRST_TYPE) return lost
    const request = {
      message,
      attributes: { bytes, start: start + HEADER_SIZE, end },
      reply: lost === undefined ? reply : () => {},
    }
    try {
      this.#subsystems[protocol].handle(request)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const { errno, text, offset } = error
      return { errno, ...(text === undefined ? {} : { text }), ...(offset === undefined ? {} : { offset }) }
    }
    return lost
  }

  #faultOf(protocol: Protocol, { bytes, start, end, type, flags }: Message): Fault | undefined {
    const whole = bytes.subarray(start, end)
    for (const rule of this.#faults) {
      const fault = rule({ protocol, type, flags, command: whole[HEADER_SIZE] ?? 0, bytes: whole })
      if (fault !== undefined) return typeof fault === 'number' ? { errno: fault } : fault
    }
    return undefined
  }

  #detach(device: Device): void {
    const port = vportOf(this.#state, device.ifindex)
    if (port === undefined) return
    if (port.number === 0) return removeDatapath(this.#state, port.datapath)
    // dp_detach_port_notify(), net/openvswitch/dp_notify.c
    this.#generic.tell('ovs_vport', (family) => writeVport(family, 0, commands.DEL, port))
    port.datapath.ports.delete(port.number)
  }

  #device(name: string): Device {
    const device = this.#state.devices.byName(name)
    if (device === undefined) throw new TypeError(`there is no device ${name}; make one with addDevice()`)
    return device
  }

  #checkOpen(): void {
    if (this.#closed)
      throw new DpifError('CLOSED', 'cannot use a transport that was closed; open another one')
  }
}

/** What answers the messages of a protocol. */
interface Subsystem {
  handle(request: Request): void
  dump(message: Message): Iterable<Uint8Array>
}

/** Types below are control messages (NLMSG_MIN_TYPE). */
const FIRST_TYPE = 0x10
const SEQUENCE = 8
const PAGE_SIZE = 32 * 1024

function monotonic(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** Whole messages, padded to 4 bytes, and nothing else. */
function checkFraming(bytes: Uint8Array): void {
  let at = 0
  while (at < bytes.length) {
    const size = bytes.length - at < HEADER_SIZE ? 0 : u32.take(bytes, at)
    if (size < HEADER_SIZE || ((size + 3) & ~3) > bytes.length - at)
      throw new DpifError('BAD_MESSAGE', 'the bytes are not whole, padded netlink messages; nothing was sent')
    at += (size + 3) & ~3
  }
}

/** A page is the caller's until the next one is asked for. Whoever looks at it later finds rubbish. */
function* lent(page: Uint8Array): Generator<Uint8Array> {
  yield page
  page.fill(0xff)
}

function dumpError(protocol: Protocol, { errno, text }: Refusal): DpifError {
  const words = text === undefined ? '' : `: ${text}`
  return new DpifError(
    codeOf(errno),
    `cannot dump from ${protocol} netlink: the kernel answered ${errnoName(errno)}${words}`,
    { errno, ...(text === undefined ? {} : { kernel: text }) },
  )
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
