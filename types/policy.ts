import type { Action } from './action.js'
import type { FlowKey, Ufid } from './flow.js'
import type { BackendName, PutMode, Refusal } from './op.js'
import type { Port } from './port.js'

/** Which half of TC may hold a filter: `sw` keeps it out of software (TCA_CLS_FLAGS_SKIP_SW), `hw` out of hardware. */
export type Skip = 'sw' | 'hw'

/** One backend to try, with its flags. */
export interface Choice {
  readonly backend: BackendName
  /** Only looked at by `tc`. Neither when left out: hardware if it will, software always. */
  readonly skip?: Skip
}

/**
 * Backends in the order they are asked. The first that takes the flow keeps it; a refusal moves on to the next, except EXISTS.
 * `['ovs']` is OVS's "never", `['tc']` its "always", `['tc', 'ovs']` its "auto".
 */
export interface Placement {
  readonly choices: readonly Choice[]
  /** Why, in a few words, for `explain`. */
  readonly reason: string
  /**
   * A backend the flow would be in if there were room, for a policy that keeps count of the room itself. `rebalance` may let it
   * change places with a slower flow there.
   */
  readonly waitsFor?: BackendName
}

/** The put a policy is asked about. Key, mask and actions are decoded when first looked at. */
export interface PolicyPut {
  readonly ufid: Ufid
  readonly mode: PutMode
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly actions: readonly Action[]
}

/** What a policy may know beside the put. */
export interface Facts {
  /**
   * The datapath port with that number, if there is one. Ports with one `switchId` are ports of one e-switch: what goes from one to
   * the other can be in hardware.
   */
  port(number: number): Port | undefined
  /** Where the flow lives now, if it lives. */
  location(ufid: Ufid): BackendName | undefined
  /** The e-switch of that id, as far as this object has had to do with it; undefined when no port of the datapath is on it. */
  device(switchId: string): DeviceFacts | undefined
  /** What was measured of the flow by `rebalance` and `replace`; nothing before two looks of theirs have seen it. */
  history(ufid: Ufid): FlowHistory | undefined
  /**
   * What kernels and devices have refused and is remembered, 1,024 at most, the latest last: nothing like it is tried again before its
   * time. Mostly there is none, and then asking costs nothing.
   */
  refusals(): readonly RecentRefusal[]
  /** Milliseconds on CLOCK_MONOTONIC. */
  now(): number
}

/** A refusal that is remembered. */
export interface RecentRefusal extends Refusal {
  /** The port by which the flow comes in. */
  readonly inPort?: number
  /** Until when, in milliseconds on CLOCK_MONOTONIC; sooner when a flow leaves the device, or ports, meters or the policy change. */
  readonly until: number
}

/** How much of an e-switch's table is taken. */
export interface DeviceFacts {
  readonly switchId: string
  /** Flows of this datapath in TC that come in through a port of it, kept out of hardware or not, as far as this object knows. */
  readonly flows: number
  /** How many there were when it last refused one for want of room; left out when it never did. */
  readonly capacity?: number
  /** When it last did, in milliseconds on CLOCK_MONOTONIC. */
  readonly fullSince?: number
}

/** What was measured of one flow. */
export interface FlowHistory {
  readonly backend: BackendName
  /** Between the last two looks. */
  readonly packetsPerSecond: number
  readonly bytesPerSecond: number
  /** When it came to where it is, as far as that was seen: milliseconds on CLOCK_MONOTONIC. */
  readonly since: number
}

/** What became of a put or a move, for policies that keep count. */
export interface Outcome {
  readonly ufid: Ufid
  readonly cause: 'put' | 'move' | 'adopt'
  /** Where the flow lives now; left out when it lives nowhere. */
  readonly backend?: BackendName
  /** Where it lived before. */
  readonly from?: BackendName
  /** The backends that were asked in vain. */
  readonly declined: readonly Refusal[]
}

export type RemovalCause =
  /** Deleted by an op of this object. */
  | 'del'
  /** By `flush`, or with its port. */
  | 'flush'
  /** By `expire`. */
  | 'idle'
  /** By others: it was not there any more. */
  | 'lost'

/**
 * Decides where a flow goes. `place` is pure and synchronous, and is called once for every put: answer with a constant where you can.
 *
 * ```ts
 * const webInKernel: Policy = {
 *   name: 'web-in-kernel',
 *   place: (put) => (put.key.tcp?.dst === 80 ? inKernel : preferTc),
 * }
 * ```
 */
export interface Policy {
  readonly name: string
  /**
   * A throw fails the one op with code POLICY and the thrown error as the cause.
   *
   * `replace` and `rebalance` ask the same question again about flows that live, with mode `upsert`: `facts.location` and
   * `facts.history` then tell where and how busy. They end with POLICY when it throws. What such a put has not been asked for during the
   * call cannot be read later.
   */
  place(put: PolicyPut, facts: Facts): Placement
  /**
   * Hears what became of every put that was not refused as such, and of every move, also of those that were refused. With cause `adopt`,
   * before the first put it is asked about, of every flow there is already; a policy that was set later hears of all of them, too. Must
   * not throw; what it throws is a warning.
   */
  placed?(put: PolicyPut, outcome: Outcome, facts: Facts): void
  /** Hears of every flow that is gone, when this object finds out. Must not throw. */
  removed?(ufid: Ufid, from: BackendName, cause: RemovalCause): void
  /** Takes the place of packets per second when flows compete for room: the larger number stays. 0 never displaces another. Must be fast. */
  worth?(put: PolicyPut, history: FlowHistory, facts: Facts): number
}
