import { type Channel, channel } from 'node:diagnostics_channel'
import type { FlowView } from '../../types/backend.js'
import type { Metrics } from '../../types/dpif.js'
import type {
  MoveEvent,
  OperatorEvents,
  PlacementEvent,
  RefusalEvent,
  RemovalEvent,
} from '../../types/events.js'
import type { Ufid } from '../../types/flow.js'
import type { BackendName, Refusal } from '../../types/op.js'
import type { Placement, RemovalCause } from '../../types/policy.js'
import { formatMetrics } from './prometheus.js'

/**
 * Counts what happens to flows, and tells those who listen. Counting is an addition for a whole list of puts; nothing else is made, not
 * even a ufid's text, for a channel that nobody listens to.
 */
export class Events {
  readonly #datapath: string
  readonly #placed: Record<BackendName, number> = { ovs: 0, tc: 0 }
  /** By code and then by reason, so that counting makes no text. */
  readonly #refused = new Map<string, Map<string | undefined, number>>()
  readonly #moved: Record<BackendName, number> = { ovs: 0, tc: 0 }
  readonly #removed: Record<RemovalCause, number> = { del: 0, flush: 0, idle: 0, lost: 0 }
  /** What was refused last; {@link lastRefusals} looks through it. */
  readonly #recent: RefusalEvent[] = []
  #next = 0

  /** `datapath` is its name. */
  constructor(datapath: string) {
    this.#datapath = datapath
  }

  /** So many puts were taken by a backend. {@link tellPlacement} says which, if {@link tellsPlacements}. */
  placed(backend: BackendName, count = 1): void {
    this.#placed[backend] += count
  }

  get tellsPlacements(): boolean {
    return channels.placement.hasSubscribers
  }

  tellPlacement({ ufid, mode }: FlowView, backend: BackendName, policy: string, placement: Placement): void {
    const event: PlacementEvent = { datapath: this.#datapath, ufid, mode, backend, policy, placement }
    channels.placement.publish(event)
  }

  /** A backend did not take a flow. */
  refused(ufid: Ufid, refusal: Refusal): void {
    const { code, reason } = refusal
    let reasons = this.#refused.get(code)
    if (reasons === undefined) this.#refused.set(code, (reasons = new Map()))
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    const event: RefusalEvent = { datapath: this.#datapath, ufid, refusal }
    this.#recent[this.#next] = event
    this.#next = (this.#next + 1) % RECENT
    if (channels.refusal.hasSubscribers) channels.refusal.publish(event)
  }

  /** What each backend said of a flow when it last refused it, as far as that is among the last {@link RECENT} refusals. */
  lastRefusals(ufid: Ufid): ReadonlyMap<BackendName, Refusal> {
    const found = new Map<BackendName, Refusal>()
    for (let age = this.#recent.length; age > 0; age--) {
      // The oldest first, so that a later one takes its place.
      const event = this.#recent[(this.#next + this.#recent.length - age) % this.#recent.length]
      if (event?.ufid === ufid) found.set(event.refusal.backend, event.refusal)
    }
    return found
  }

  /** A flow that lived has come to another backend. */
  moved(flow: { readonly ufid: Ufid }, from: BackendName, to: BackendName): void {
    this.#moved[to]++
    if (!channels.move.hasSubscribers) return
    const event: MoveEvent = { datapath: this.#datapath, ufid: flow.ufid, from, to }
    channels.move.publish(event)
  }

  /** A flow is gone. */
  removed(flow: { readonly ufid: Ufid }, from: BackendName, cause: RemovalCause): void {
    this.#removed[cause]++
    if (!channels.removal.hasSubscribers) return
    const event: RemovalEvent = { datapath: this.#datapath, ufid: flow.ufid, from, cause }
    channels.removal.publish(event)
  }

  metrics(): Metrics {
    const refused: Record<string, number> = {}
    for (const [code, reasons] of this.#refused) {
      for (const [reason, count] of reasons)
        refused[reason === undefined ? code : `${code}/${reason}`] = count
    }
    const counts = {
      placed: { ...this.#placed },
      refused,
      moved: { ...this.#moved },
      removed: { ...this.#removed },
    }
    const datapath = this.#datapath
    return { ...counts, toPrometheus: () => formatMetrics(counts, datapath) }
  }
}

/** How many refusals are remembered: some 100 KB. */
export const RECENT = 1024

const named = <K extends keyof OperatorEvents>(name: K): Channel => channel(name)

const channels = {
  placement: named('dpif-hw-acc:placement'),
  refusal: named('dpif-hw-acc:refusal'),
  move: named('dpif-hw-acc:move'),
  removal: named('dpif-hw-acc:removal'),
}
