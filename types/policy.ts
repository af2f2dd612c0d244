import type { Action } from './action.js'
import type { FlowKey, Ufid } from './flow.js'
import type { BackendName, PutMode } from './op.js'
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
}

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
  /** A throw fails the one op with code POLICY and the thrown error as the cause. */
  place(put: PolicyPut, facts: Facts): Placement
}
