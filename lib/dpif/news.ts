import type { ErrorCode } from '../../types/errors.js'
import type { FlowId } from '../../types/flow.js'
import type { BackendName, OpResult, Refusal } from '../../types/op.js'
import type { Facts, Outcome, Policy, PolicyPut, RemovalCause } from '../../types/policy.js'
import type { Events } from './events.js'
import type { Move } from './move.js'
import type { PlacementMap } from './placement.js'

/** Tells a policy what became of its decisions, if it wants to know, and operators with it of every flow that is gone. */
export class News {
  readonly #policy: () => Policy
  readonly #facts: Facts
  readonly #placement: PlacementMap
  readonly #events: Events

  constructor(policy: () => Policy, facts: Facts, placement: PlacementMap, events: Events) {
    this.#events = events
    this.#policy = policy
    this.#facts = facts
    this.#placement = placement
  }

  /** Whether anybody listens; to be asked once for many flows, before anything is made to tell of. */
  get isWanted(): boolean {
    const { placed, removed } = this.#policy()
    return placed !== undefined || removed !== undefined
  }

  placed(put: PolicyPut, outcome: Outcome): void {
    const policy = this.#policy()
    warned(policy, () => policy.placed?.(put, outcome, this.#facts))
  }

  /** A copy of a flow has gone from a backend. With the last one the flow is gone. */
  left(id: FlowId, from: BackendName, cause: RemovalCause): void {
    if (this.#placement.of(id).length === 0) this.gone(id, from, cause)
  }

  /** A flow lives nowhere any more. */
  gone(id: FlowId, from: BackendName, cause: RemovalCause): void {
    this.#events.removed(id, from, cause)
    const policy = this.#policy()
    // Before anything is made to tell of: `id.ufid` may be text that nobody has asked for yet.
    if (policy.removed !== undefined) warned(policy, () => policy.removed?.(id.ufid, from, cause))
  }

  /** `from` is where the flow was before. */
  ofPut(put: PolicyPut & FlowId, from: BackendName | undefined, { error, declined = [] }: OpResult): void {
    if (error !== undefined && refusedAsSuch.has(error.code)) return
    const { ufid } = put
    const [backend] = this.#placement.of(put)
    const last = error?.backend === undefined ? [] : [error as Refusal]
    this.placed(put, {
      ufid,
      cause: 'put',
      ...(backend === undefined ? {} : { backend }),
      ...(from === undefined ? {} : { from }),
      declined: [...declined, ...last],
    })
  }

  ofMove({ flow, outcome }: Move): void {
    if (flow !== undefined && outcome !== undefined) this.placed(flow, outcome)
  }
}

/** What is refused whatever a policy decides. */
const refusedAsSuch: ReadonlySet<ErrorCode> = new Set([
  'BAD_MESSAGE',
  'EXISTS',
  'NOT_FOUND',
  'POLICY',
  'SYNTAX',
])

/** What a listener throws has nothing to do with what it is told. */
function warned({ name }: Policy, tell: () => void): void {
  try {
    tell()
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.emitWarning(`policy '${name}' threw when it was told: ${words}`, 'DpifWarning')
  }
}
