import type { Action } from '../../../types/action.js'
import type { FlowKey, FlowStats, Ufid } from '../../../types/flow.js'
import type { Flow } from '../../../types/op.js'
import type { Message } from '../../netlink/reader.js'
import { readMessage } from '../../netlink/message.js'
import { ufidFromBytes } from '../../ovs/ufid.js'
import { type FlowerBody, filterFlags, flower } from '../../tc/flower.js'
import { readMatch } from '../../tc/match.js'
import { prioAndProtocol, type TcBody, tcMessage } from '../../tc/message.js'
import type { FilterId } from './identity.js'
import { type PortTable, readActions } from './translate.js'

/** A filter the kernel reports, as the flow it carries. What it says is decoded when asked for. */
export class FilterFlow implements Flow {
  readonly backend = 'tc'
  readonly ufidPresent = true
  readonly kind: string
  readonly id: FilterId
  readonly #body: TcBody
  readonly #ports: PortTable
  readonly #terse: boolean
  readonly #now = monotonicMs()
  #flower: FlowerBody | undefined
  #match: { readonly key: FlowKey; readonly mask: FlowKey } | undefined
  #read: ReturnType<typeof readActions> | undefined

  constructor(message: Message, ports: PortTable, terse = false) {
    const { header, body } = readMessage(tcMessage, message)
    this.#body = body
    this.#ports = ports
    this.#terse = terse
    this.kind = body.kind ?? ''
    this.id = { ifindex: header.ifindex, handle: header.handle ?? 0, ...prioAndProtocol(header.info ?? 0) }
  }

  /** The 16 bytes that name the flow; undefined for a filter that carries none. */
  get cookie(): Uint8Array | undefined {
    if (this.kind !== 'flower' || this.id.handle === 0 || (this.#body.chain ?? 0) !== 0) return undefined
    this.#read ??= readActions(this.#filter.actions ?? [], this.#ports)
    return this.#read.cookie?.length === 16 ? this.#read.cookie : undefined
  }

  get ufid(): Ufid {
    return ufidFromBytes(this.cookie ?? new Uint8Array(16))
  }

  get key(): FlowKey {
    return this.#matched.key
  }

  get mask(): FlowKey {
    return this.#matched.mask
  }

  get actions(): readonly Action[] {
    if (this.#terse) return []
    this.#read ??= readActions(this.#filter.actions ?? [], this.#ports)
    return this.#read.actions
  }

  /** Devices report IN_HW; a kernel that says neither is too old to know. */
  get offloaded(): boolean {
    return ((this.#filter.flags ?? 0) & filterFlags.IN_HW) !== 0
  }

  /**
   * Every action counts the packets that reach it, so the largest count is the flow's, in software and in hardware apart
   * (nl_parse_action_stats() in OVS's lib/tc.c).
   */
  get stats(): FlowStats {
    const software = { packets: 0n, bytes: 0n }
    const hardware = { packets: 0n, bytes: 0n }
    let idle = -1n
    for (const { stats, ...action } of this.#filter.actions ?? []) {
      const total = stats?.basic ?? { packets: 0, bytes: 0n }
      const hw = stats?.basicHw ?? { packets: 0, bytes: 0n }
      keepLarger(hardware, BigInt(hw.packets), hw.bytes)
      keepLarger(software, BigInt(total.packets - hw.packets), total.bytes - hw.bytes)
      const times = 'options' in action ? action.options.times : undefined
      // Equal times mean never used; they count ticks backwards from now (tcf_tm_dump(), include/net/act_api.h).
      if (times === undefined || times.lastuse === times.install) continue
      if (idle < 0n || times.lastuse < idle) idle = times.lastuse
    }
    return {
      packets: software.packets + hardware.packets,
      bytes: software.bytes + hardware.bytes,
      used: idle < 0n ? 0 : Math.round(this.#now - Number(idle) * MS_PER_TICK),
      tcpFlags: 0,
    }
  }

  get #filter(): FlowerBody {
    const { options = none } = this.#body
    this.#flower ??= flower.read(options, 0, options.length)
    return this.#flower
  }

  get #matched(): { readonly key: FlowKey; readonly mask: FlowKey } {
    if (this.#terse) return empty
    this.#match ??= this.#readMatch()
    return this.#match
  }

  #readMatch(): { readonly key: FlowKey; readonly mask: FlowKey } {
    const { key, mask } = readMatch(this.id.protocol, this.#filter.unknown ?? [])
    const inPort = this.#ports.byIfindex(this.id.ifindex)?.number
    const place = inPort === undefined ? {} : { inPort }
    return {
      key: { recircId: 0, ...place, ...key },
      mask: { recircId: 0xffffffff, ...(inPort === undefined ? {} : { inPort: 0xffffffff }), ...mask },
    }
  }
}

function keepLarger(sum: { packets: bigint; bytes: bigint }, packets: bigint, bytes: bigint): void {
  if (packets > sum.packets) Object.assign(sum, { packets, bytes })
}

/** CLOCK_MONOTONIC in ms: what process.hrtime reads, and what openvswitch counts in. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** USER_HZ is 100 on every Linux. */
const MS_PER_TICK = 10
const none = new Uint8Array(0)
const empty = { key: {}, mask: {} }
