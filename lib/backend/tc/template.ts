import type { Action } from '../../../types/action.js'
import type { FlowView } from '../../../types/backend.js'
import type { FlowKey } from '../../../types/flow.js'
import type { Choice } from '../../../types/policy.js'
import { u32 } from '../../netlink/integers.js'
import { AttributeCursor, eachAttribute } from '../../netlink/reader.js'
import { Stencil } from '../../netlink/stencil.js'
import type { Writer } from '../../netlink/writer.js'
import { sameOutputs } from '../../ovs/action.js'
import { flowKey } from '../../ovs/key.js'
import { putUfid } from '../../ovs/ufid.js'
import { actionEnvelope, tcActions } from '../../tc/action/index.js'
import { flower } from '../../tc/flower.js'
import { matchRows } from '../../tc/match.js'
import { sameTunnelShape } from '../../tc/match-tunnel.js'
import { filterInfo, HANDLE, HEADERS, INFO, tcMessage } from '../../tc/message.js'
import type { Template } from '../templates.js'
import type { FilterId } from './identity.js'

/**
 * The message of one filter, to be sent again for flows that differ only in values.
 *
 * Flows of one kind have the same mask and do the same thing; what is left is values at places that are known once the first
 * was written.
 */
export class FilterTemplate implements Template {
  readonly ifindex: number
  /** Ethernet type. */
  readonly protocol: number
  readonly chain: number
  /** The chains its filters send packets to. */
  readonly targets: readonly number[]
  readonly #flow: FlowView
  readonly #choice: Choice
  readonly #stencil: Stencil<FlowKey>
  readonly #cookies: readonly number[]

  /** A template out of the message of a filter that was just written; undefined when flows like it have no fixed shape. */
  static from(
    message: Uint8Array,
    flow: FlowView,
    choice: Choice,
    id: FilterId,
    targets: readonly number[],
  ): FilterTemplate | undefined {
    const { key, actions } = flow
    if (key.vlan !== undefined || key.encap !== undefined || key.mpls !== undefined) return undefined
    // What an output to the host needs beside itself depends on the destination.
    if (!actions.every(isShapeless) || !isOutward(message)) return undefined
    return new FilterTemplate(message, flow, choice, id, targets)
  }

  private constructor(
    message: Uint8Array,
    flow: FlowView,
    choice: Choice,
    id: FilterId,
    targets: readonly number[],
  ) {
    this.ifindex = id.ifindex
    this.protocol = id.protocol
    this.chain = id.chain
    this.targets = targets
    this.#flow = flow
    this.#choice = choice
    const options = offsetsOf(message, HEADERS, message.length).get(tcMessage.body.ids.options)
    const places = options === undefined ? new Map() : offsetsOf(message, options.start, options.end)
    const { proto } = flow.key.ipv4 ?? flow.key.ipv6 ?? {}
    this.#stencil = new Stencil(
      message,
      matchRows.flatMap((row) => {
        const place = places.get(row.id)
        const fits =
          (row.etherType ?? flow.key.etherType) === flow.key.etherType && (row.proto ?? proto) === proto
        return place !== undefined && fits ? [{ ...row, offset: place.start }] : []
      }),
    )
    const actions = places.get(flower.ids.actions)
    this.#cookies = [...offsetsOf(message, actions?.start ?? 0, actions?.end ?? 0).values()].flatMap(
      ({ start, end }) => {
        return offsetsOf(message, start, end).get(actionEnvelope.ids.cookie)?.start ?? []
      },
    )
  }

  /** Whether the flow's filter differs from the first one in values only; nothing can stand against it then. */
  fits(flow: FlowView, choice?: Choice): boolean {
    const a = this.#flow
    return (
      flowKey.same(flow.mask, a.mask) &&
      flow.mask.tunnel === a.mask.tunnel &&
      choice?.skip === this.#choice.skip &&
      (flow.actions === a.actions || sameOutputs(flow.actions, a.actions)) &&
      sameShape(flow.key, a.key)
    )
  }

  write(writer: Writer, flow: FlowView, { prio, protocol, handle }: FilterId): void {
    const { bytes } = this.#stencil
    this.#stencil.fill(flow.key)
    u32.put(bytes, HANDLE, handle)
    u32.put(bytes, INFO, filterInfo(prio, protocol))
    for (const cookie of this.#cookies) putUfid(bytes, cookie, flow)
    writer.append(bytes)
  }
}

function offsetsOf(
  message: Uint8Array,
  start: number,
  end: number,
): Map<number, { start: number; end: number }> {
  const found = new Map<number, { start: number; end: number }>()
  eachAttribute(message, start, end, (id, from, to) => found.set(id, { start: from, end: to }))
  return found
}

/** Whether no action of a filter says whom the host takes a packet to be for. */
function isOutward(message: Uint8Array): boolean {
  const cursor = new AttributeCursor(message, HEADERS, message.length)
  if (!cursor.seek(tcMessage.body.ids.options)) return true
  const body = cursor.nested()
  if (!body.seek(flower.ids.actions)) return true
  return tcActions.read(message, body.start, body.end).every((action) => {
    return action.kind !== 'skbedit' || action.options.ptype === undefined
  })
}

/**
 * Whether an action becomes the same for every flow of a shape. A whole-header set may have to agree with the key's values, a TTL is
 * decremented by what the key says it is, and lists within actions may hold either; those are looked at every time.
 */
const isShapeless = ({ set, decTtl, clone, sample, checkPktLen }: Action): boolean =>
  (set === undefined || set.tunnel !== undefined) && (decTtl ?? clone ?? sample ?? checkPktLen) === undefined

/** What objections and places depend on beside the mask: ports, types, protocols, fragments, states, and which headers there are. */
function sameShape(a: FlowKey, b: FlowKey): boolean {
  const ipA = a.ipv4 ?? a.ipv6
  const ipB = b.ipv4 ?? b.ipv6
  return (
    a.inPort === b.inPort &&
    a.etherType === b.etherType &&
    a.recircId === b.recircId &&
    ipA?.proto === ipB?.proto &&
    ipA?.frag === ipB?.frag &&
    a.arp?.op === b.arp?.op &&
    (a.ethernet === undefined) === (b.ethernet === undefined) &&
    (a.ipv4 === undefined) === (b.ipv4 === undefined) &&
    (a.ipv6 === undefined) === (b.ipv6 === undefined) &&
    a.vlan === undefined &&
    a.encap === undefined &&
    a.mpls === undefined &&
    a.ctState === b.ctState &&
    sameTunnelShape(b.tunnel, a.tunnel) &&
    a.unknown === b.unknown
  )
}
