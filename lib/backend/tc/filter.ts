import type { Action } from '../../../types/action.js'
import type { DumpedFlow } from '../../../types/backend.js'
import type { FlowId, FlowKey, FlowStats, Ufid } from '../../../types/flow.js'
import { DpifError } from '../../errors.js'
import { u32 } from '../../netlink/integers.js'
import { HEADER_SIZE } from '../../netlink/message.js'
import { AttributeCursor, AttributeIndex, type Message } from '../../netlink/reader.js'
import { UfidInBytes } from '../../ovs/ufid.js'
import { actionEnvelope, jumpsOf, type TcAction, tcActions } from '../../tc/action/index.js'
import { type FlowerBody, filterFlags, flower } from '../../tc/flower.js'
import { readMatch } from '../../tc/match.js'
import { filterInfo, HEADERS, prioAndProtocol, tcMessage } from '../../tc/message.js'
import { type Counted, countedBy } from '../../tc/stats.js'
import type { FilterId } from './identity.js'
import { type PortTable, readActions } from './action/index.js'
import { checkOf, type Moves } from './moves.js'

/** The ports filters are on, and what sweeps have seen of their counters. */
export interface FilterPorts extends PortTable {
  readonly moves?: Moves
}

/**
 * A filter the kernel reports, as the flow it carries. Where things lie is found out at once; what they say is decoded when asked
 * for, so a sweep that wants identity and counters touches nothing else.
 */
export class FilterFlow implements DumpedFlow {
  readonly backend = 'tc'
  readonly ufidPresent = true
  readonly place: FilterId
  /** False for filters of other classifiers. */
  readonly isFlower: boolean
  #bytes: Uint8Array
  /** Where the message begins; the other places are counted from there. */
  #message: number
  readonly #size: number
  readonly #ports: FilterPorts
  readonly #terse: boolean
  readonly #now: number
  /** Where TCA_OPTIONS lies. */
  readonly #start: number
  readonly #end: number
  /** Where the 16 bytes that name the flow lie; -1 for a filter that carries none. */
  readonly #cookie: number
  /** Where its actions lie; both 0 when it has none. */
  #actionsStart = 0
  #actionsEnd = 0
  /** TCA_FLOWER_FLAGS. */
  #flags = 0
  #id: FlowId | undefined
  #body: FlowerBody | undefined
  #tcActions: readonly TcAction[] | undefined
  #match: { readonly key: FlowKey; readonly mask: FlowKey } | undefined
  #actions: readonly Action[] | undefined

  /** `now` is CLOCK_MONOTONIC in ms when the message came: the kernel tells times backwards from then. */
  constructor(message: Message, ports: FilterPorts, now: number, terse = false) {
    this.#bytes = message.bytes
    this.#message = message.start
    this.#size = message.end - message.start
    this.#ports = ports
    this.#terse = terse
    this.#now = now
    const start = message.start + HEADER_SIZE
    if (message.end - start < tcMessage.header.size) {
      throw new DpifError('BAD_MESSAGE', `a filter of ${message.end - start} bytes`)
    }
    const header = tcMessage.header.take(message.bytes, start)
    const info = prioAndProtocol(header.info ?? 0)

    const { ids } = tcMessage.body
    const attributes = new AttributeCursor(message.bytes, message.start + HEADERS, message.end)
    let isFlower = false
    let chain = 0
    this.#start = 0
    this.#end = 0
    while (attributes.next()) {
      const { id, start, end } = attributes
      if (id === ids.kind) isFlower = isText(message.bytes, start, end, 'flower')
      else if (id === ids.chain) chain = u32.read(message.bytes, start, end)
      else if (id === ids.options) {
        this.#start = start - message.start
        this.#end = end - message.start
      }
    }
    this.isFlower = isFlower
    this.place = { ifindex: header.ifindex, handle: header.handle ?? 0, ...info, chain }
    this.#cookie = isFlower && this.place.handle !== 0 ? this.#findCookie() : -1
  }

  /** Whether the filter names a flow. */
  get isFlow(): boolean {
    return this.#cookie >= 0
  }

  get ufid(): Ufid {
    return this.isFlow ? this.id.ufid : ''
  }

  get inPort(): number | undefined {
    return this.#ports.byIfindex(this.place.ifindex)?.number
  }

  /** Of a filter that is a flow. */
  get id(): FlowId {
    this.#id ??= new UfidInBytes(this.#bytes, this.#message + this.#cookie)
    return this.#id
  }

  /** Finds out where its actions lie, and its name: the last cookie counts, as in OVS; each action may have one. */
  #findCookie(): number {
    const { ids } = flower
    const options = this.#at(this.#start, this.#end)
    while (options.next()) {
      const { id, start, end } = options
      if (id === ids.flags) this.#flags = u32.read(this.#bytes, start, end)
      else if (id === ids.actions) {
        this.#actionsStart = start - this.#message
        this.#actionsEnd = end - this.#message
      }
    }
    const actions = this.#at(this.#actionsStart, this.#actionsEnd)
    let found = -1
    while (actions.next()) {
      const action = actions.nested()
      if (action.seek(actionEnvelope.ids.cookie))
        found = action.end - action.start === 16 ? action.start - this.#message : -1
    }
    return found
  }

  get key(): FlowKey {
    return this.#matched.key
  }

  get mask(): FlowKey {
    return this.#matched.mask
  }

  get actions(): readonly Action[] {
    if (this.#terse) return []
    this.#actions ??= readActions(this.#filterActions, this.#ports)
    return this.#actions
  }

  /** Ifindexes of the devices it sends packets to; 0 for one that is gone. */
  get outputs(): readonly number[] {
    return this.#filterActions.flatMap((action) =>
      action.kind === 'mirred' && 'options' in action ? [action.options.parms?.ifindex ?? 0] : [],
    )
  }

  /** The chains it sends packets to. */
  get targets(): readonly number[] {
    return jumpsOf(this.#filterActions)
  }

  /** Devices report IN_HW; a kernel that says neither is too old to know. */
  get offloaded(): boolean {
    return (this.#flags & filterFlags.IN_HW) !== 0
  }

  /**
   * Every action counts the packets that reach it, so the largest count is the flow's, in software and in hardware apart
   * (nl_parse_action_stats() in OVS's lib/tc.c). A police that carries out a meter counts for all flows that name it, and is none
   * of them: such a flow counts what has passed.
   */
  get stats(): FlowStats {
    const { software, hardware, idle } = this.#tally()
    const packets = software.packets + hardware.packets
    return {
      packets,
      bytes: software.bytes + hardware.bytes,
      used: idle < 0n ? this.#lastMove(packets) : this.#now - Number(idle) * MS_PER_TICK,
      tcpFlags: 0,
      ...(this.offloaded ? { hardware } : {}),
    }
  }

  /** Where the kernel tells no time: no packet came later than this, as far as anybody has looked. */
  #lastMove(packets: bigint): number {
    if (packets === 0n) return 0
    const { moves } = this.#ports
    if (moves === undefined || !this.isFlow) return this.#now
    const { ifindex, chain, prio, protocol, handle } = this.place
    const { w0, w1, w2, w3 } = this.id
    const info = filterInfo(prio, protocol) | 0
    const named = { ifindex, chain, info, handle, check: checkOf(w0, w1, w2, w3) }
    return moves.find(named, Number(packets), this.#now) ?? this.#now
  }

  get suspect(): boolean {
    return this.offloaded && this.#tally().software.packets > 0n
  }

  #tally(): { readonly software: Counted; readonly hardware: Counted; readonly idle: bigint } {
    let software: Counted = nothing
    let hardware: Counted = nothing
    let idle = -1n
    let age = -1n
    for (const action of this.#filterActions) {
      if (action.kind === 'police' && action.cookie?.length !== 16) continue
      if (action.stats !== undefined) {
        const counted = countedBy(action.stats)
        if (counted.software.packets > software.packets) software = counted.software
        if (counted.hardware.packets > hardware.packets) hardware = counted.hardware
      }
      const times = 'options' in action ? action.options.times : undefined
      // They count ticks backwards from now (tcf_tm_dump(), include/net/act_api.h). Equal ones mean that no packet came, that it came at
      // once, or that the device that has counted it does not say when.
      if (times === undefined) continue
      if (times.lastuse === times.install) age = times.install
      else if (idle < 0n || times.lastuse < idle) idle = times.lastuse
    }
    if (idle < 0n && software.packets > 0n && hardware.packets === 0n) idle = age
    return { software, hardware, idle }
  }

  /** Copies what was not decoded yet: the bytes of a page are used again for the next one. */
  detach(): void {
    if (this.isFlow) this.#id ??= this.id
    if (this.#tcActions !== undefined && (this.#terse || this.#match !== undefined)) return
    this.#bytes = this.#bytes.slice(this.#message, this.#message + this.#size)
    this.#message = 0
  }

  /** What the filter says, decoded. */
  get body(): FlowerBody {
    this.#body ??= flower.read(this.#bytes, this.#message + this.#start, this.#message + this.#end)
    return this.#body
  }

  get #filterActions(): readonly TcAction[] {
    this.#tcActions ??= tcActions.read(
      this.#bytes,
      this.#message + this.#actionsStart,
      this.#message + this.#actionsEnd,
    )
    return this.#tcActions
  }

  /** The attributes between two places of the message. */
  #at(start: number, end: number): AttributeCursor {
    return new AttributeCursor(this.#bytes, this.#message + start, this.#message + end)
  }

  get #matched(): { readonly key: FlowKey; readonly mask: FlowKey } {
    if (this.#terse) return empty
    this.#match ??= this.#readMatch()
    return this.#match
  }

  #readMatch(): { readonly key: FlowKey; readonly mask: FlowKey } {
    const { key, mask } = readMatch(
      this.place.protocol,
      new AttributeIndex(this.#bytes, this.#message + this.#start, this.#message + this.#end),
    )
    const { inPort } = this
    const where = inPort === undefined ? {} : { inPort }
    return {
      key: { recircId: this.place.chain, ...where, ...key },
      mask: { recircId: 0xffffffff, ...(inPort === undefined ? {} : { inPort: 0xffffffff }), ...mask },
    }
  }
}

const nothing: Counted = { packets: 0n, bytes: 0n }

/** CLOCK_MONOTONIC in ms: what process.hrtime reads, and what openvswitch counts in. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

function isText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start < text.length || end - start > text.length + 1) return false
  for (let index = 0; index < text.length; index++)
    if (bytes[start + index] !== text.charCodeAt(index)) return false
  return true
}

/** USER_HZ is 100 on every Linux. */
const MS_PER_TICK = 10
const empty = { key: {}, mask: {} }
