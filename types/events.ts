import type { Ufid } from './flow.js'
import type { BackendName, PutMode, Refusal } from './op.js'
import type { Placement, RemovalCause } from './policy.js'

/**
 * What is published on `node:diagnostics_channel`, by channel. Nothing is made of it where nobody listens.
 *
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel'
 * subscribe('dpif-hw-acc:refusal', ({ datapath, ufid, refusal }) => console.log(datapath, ufid, refusal.message))
 * ```
 */
export interface OperatorEvents {
  'dpif-hw-acc:placement': PlacementEvent
  'dpif-hw-acc:refusal': RefusalEvent
  'dpif-hw-acc:move': MoveEvent
  'dpif-hw-acc:removal': RemovalEvent
}

/** A put that a backend took. */
export interface PlacementEvent {
  /** Name of the datapath. */
  readonly datapath: string
  readonly ufid: Ufid
  readonly mode: PutMode
  /** Where the flow lives now. */
  readonly backend: BackendName
  /** Name of the policy that was asked, and what it said. */
  readonly policy: string
  readonly placement: Placement
}

/** A backend did not take a flow: the policy's next one is asked, or the put has failed. */
export interface RefusalEvent {
  readonly datapath: string
  readonly ufid: Ufid
  readonly refusal: Refusal
}

/** A flow that lived has come to another backend, where it is alone now. */
export interface MoveEvent {
  readonly datapath: string
  readonly ufid: Ufid
  readonly from: BackendName
  readonly to: BackendName
}

/** A flow is gone. */
export interface RemovalEvent {
  readonly datapath: string
  readonly ufid: Ufid
  readonly from: BackendName
  readonly cause: RemovalCause
}
