import type { ErrorCode } from '../../types/errors.js'
import type { FlowId, Ufid } from '../../types/flow.js'
import type { BackendName, OpResult, Refusal } from '../../types/op.js'
import type { Facts, Outcome, Policy, PolicyPut, RemovalCause } from '../../types/policy.js'
import type { Move } from './move.js'
import type { PlacementMap } from './placement.js'

/** Tells a policy what became of its decisions, if it wants to know. */
export class News {
  readonly #policy: () => Policy
  readonly #facts: Facts
  readonly #placement: PlacementMap

  constructor(policy: () => Policy, facts: Facts, placement: PlacementMap) {
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

  removed(ufid: Ufid, from: BackendName, cause: RemovalCause): void {
    const policy = this.#policy()
    warned(policy, () => policy.removed?.(ufid, from, cause))
  }

  /** `from` is where the flow was before, here and below. */
  ofPut(put: PolicyPut & FlowId, from: BackendName | undefined, { error, declined = [] }: OpResult): void {
    if (error !== undefined && refusedAsSuch.has(error.code)) {
      this.ifLost(put, from)
      return
    }
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

  ofMove({ id, flow, outcome }: Move, from: BackendName | undefined): void {
    if (flow !== undefined && outcome !== undefined) this.placed(flow, outcome)
    else this.ifLost(id, from)
  }

  ofDel(id: FlowId, from: BackendName | undefined, result: OpResult, cause: RemovalCause): void {
    const { backend = from, error } = result
    if (error === undefined && backend !== undefined) this.removed(id.ufid, backend, cause)
    else this.ifLost(id, from)
  }

  /** A flow that was there and is not any more has been taken away by others. */
  ifLost(id: FlowId, from: BackendName | undefined): void {
    if (from !== undefined && this.#placement.of(id).length === 0) this.removed(id.ufid, from, 'lost')
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
