import type { Action } from './action.js'
import type { Failure } from './errors.js'
import type { FlowId, FlowKey, FlowStats, FlowWords } from './flow.js'
import type { BackendName, CounterPage, Flow, PutMode } from './op.js'
import type { Choice } from './policy.js'
import type { Port } from './port.js'

/**
 * A flow on its way down, in whatever spelling it came; each side asks for what it needs and the conversion happens once. It is the
 * one object a put costs, so it is also what a policy gets to see.
 */
export interface FlowView extends FlowId {
  readonly mode: PutMode
  /** The key's port, without decoding a raw key. */
  readonly inPort: number | undefined
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly actions: readonly Action[]
  /** Whether the put named a ufid (true) or one was computed from the key. */
  readonly ufidGiven: boolean
  /** The raw attributes, when the flow was given as such. */
  readonly raw?: RawFlow | undefined
}

/** The payloads of OVS_FLOW_ATTR_KEY, _MASK and _ACTIONS. */
export interface RawFlow {
  readonly key: Uint8Array
  readonly mask?: Uint8Array
  readonly actions: Uint8Array
}

/** What `dpif/` asks of one backend, after it has decided where things go. */
export type BackendOp =
  | { readonly verb: 'create'; readonly flow: FlowView; readonly choice: Choice }
  | {
      readonly verb: 'replace'
      readonly flow: FlowView
      readonly choice: Choice
      readonly zeroStats: boolean
      readonly wantStats: boolean
    }
  | { readonly verb: 'del'; readonly id: FlowId; readonly key?: FlowKey; readonly wantStats: boolean }
  | { readonly verb: 'get'; readonly id: FlowId; readonly key?: FlowKey }

/** A new flow that was not put. */
export interface Unmade {
  /** Its position among them. */
  readonly index: number
  readonly error: Failure
}

/** New flows on their way into a backend, all with one choice. */
export interface NewFlows {
  /** What was added, in order. */
  readonly flows: readonly FlowView[]
  /** Some of these may be added next: whatever memory that takes is asked for at once. Changes nothing. */
  fetch?(flows: readonly FlowView[], from: number, to: number): void
  /**
   * Encodes a flow, as it is now. What cannot be encoded is told by {@link send}. Throws only what is no mistake in the flow, which is
   * not among them then.
   */
  add(flow: FlowView): void
  /** Sends them, to be called once, with no more added after. Answers those that were not put, ascending. Rejects when the transport fails. */
  send(): Promise<readonly Unmade[]>
}

/** Counters as a backend reads them. */
export interface SweptPage extends CounterPage {
  /** The words of a flow's ufid, in an object that the next call uses again. */
  words(index: number): FlowWords
  /** Takes a flow off the page; the last one moves to its place. */
  drop(index: number): void
}

/**
 * A flow as a backend dumps it. What was not looked at yet lies on a page that is used again for the next list: from then on only what
 * was read before is good, unless the flow was detached. An `id` that was read stands by itself and may be kept.
 */
export type DumpedFlow = Flow & {
  readonly id: FlowId
  /** The port it comes in by, without decoding anything and in terse dumps too, where the backend has it at hand. */
  readonly inPort?: number | undefined
  /** Copies what is still on the page, so that the flow may be kept. */
  detach(): void
}

/** A stage on the way to the kernel, done for show. */
export interface Rehearsed {
  readonly name: string
  readonly nanoseconds: number
}

/** What one backend says of one op. */
export interface BackendResult {
  readonly error?: Failure
  /** The counters before a replace or a del. */
  readonly stats?: FlowStats
  /** True when the counters were set back by a replace although nobody asked: the caller carries them on. */
  readonly restarted?: boolean
  readonly flow?: Flow
}

/** A place where flows can live: openvswitch's table, or TC flower on the ports. */
export interface Backend {
  readonly name: BackendName
  /**
   * For how many new flows of openvswitch's table the kernel takes as long as for one of these, 1 at least: the fewer are sent at a time, and
   * whoever waits for the processor waits no longer.
   */
  readonly weight: number
  /**
   * Carries out `ops` and answers one result for each, in order. What is done to different flows may be done side by side; whoever
   * asks sees to it that no two ops under way are on one flow. A refusal is a result; rejects only when the transport fails.
   * `create` on a ufid the backend holds is EXISTS, `replace`, `del` and `get` on one it does not hold are NOT_FOUND.
   */
  operate(ops: readonly BackendOp[]): Promise<BackendResult[]>
  /**
   * Begins a list of new flows, with room for `room` of them: as many `create` ops of {@link operate} as are added, at a fraction of
   * their cost, since nothing is made for a flow that is put without trouble. Several lists may be begun, and ops go past them until
   * they are sent.
   */
  newFlows(choice: Choice, room: number): NewFlows
  /**
   * Pulls every flow the backend holds on this datapath, in lists of as many as come together. Whoever keeps a flow longer than its
   * list detaches it: {@link DumpedFlow}.
   */
  dump(options: { readonly terse: boolean }): AsyncIterable<readonly DumpedFlow[]>
  /** The counters of every flow the backend holds on this datapath, page by page; a page is used again for the next one. */
  sweep(): AsyncIterable<SweptPage>
  /** What stands against the backend carrying this flow, as far as can be said without asking a kernel. */
  objections(flow: FlowView, choice: Choice): Failure[]
  /** Why a flow nothing stands against will not be in hardware, as {@link Verdict.softwareOnly} has it. */
  softwareOnly?(flow: FlowView, choice: Choice): Failure | undefined
  /** Makes what would be sent for a new flow, and sends nothing: how long that takes, for a trace. Of a flow nothing stands against. */
  rehearse?(flow: FlowView, choice: Choice): readonly Rehearsed[]
  /** Learns what {@link objections} depends on and nobody has asked a kernel for yet. */
  learn?(flow: FlowView): Promise<void>
  /** The flow in the words of the backend's own tool, as {@link Verdict.filter} has it. Only of a flow nothing stands against. */
  filter?(flow: FlowView, choice: Choice): string
  /** Deletes every flow of ours on this datapath. `gone` hears of each. */
  flush(gone?: (id: FlowId) => void): Promise<void>
  /** The port is about to be detached: takes away what of ours would live on with the device. `gone` hears of each flow. */
  portLeaving(port: Port, gone?: (id: FlowId) => void): Promise<void>
  /** The ports of the datapath have changed. */
  portsChanged(ports: readonly Port[]): void
}
