import type { Backend, DumpedFlow, FlowView } from '../../types/backend.js'
import type { Action } from '../../types/action.js'
import type { Language } from '../../types/dpif.js'
import type { FlowId, FlowKey, Ufid } from '../../types/flow.js'
import type { BackendName, OpResult, PutMode } from '../../types/op.js'
import type { Choice, FlowHistory, Placement, PolicyPut } from '../../types/policy.js'
import { DpifError } from '../errors.js'
import type { History } from './history.js'
import type { Clock, Turn } from './loop.js'
import type { Merge } from './merge.js'
import type { Move } from './move.js'
import { decide, type PlanContext } from './plan.js'

/** What loops that look at all flows and move some of them work with. */
export interface Surroundings {
  readonly context: PlanContext
  readonly backends: ReadonlyMap<BackendName, Backend>
  readonly language: Pick<Language, 'view'>
  readonly merge: Merge
  readonly history: History
  readonly clock: Clock
  move(moves: readonly Move[]): Promise<OpResult[]>
}

/** A flow that lives, as a policy is asked about it. Good as long as the page it lies on. */
export class LivingFlow implements PolicyPut {
  readonly mode: PutMode = 'upsert'
  readonly flow: DumpedFlow

  constructor(flow: DumpedFlow) {
    this.flow = flow
  }

  get ufid(): Ufid {
    return this.flow.ufid
  }

  get key(): FlowKey {
    return this.flow.key
  }

  get mask(): FlowKey {
    return this.flow.mask
  }

  get actions(): readonly Action[] {
    return this.flow.actions
  }
}

/** One flow of a look, and what the policy says of it now. */
export interface Seen {
  /** Good as long as its page; its id may be kept. */
  readonly put: LivingFlow
  readonly id: FlowId
  readonly placement: Placement
  /** 0 for none. */
  readonly device: number
  readonly inPort: number | undefined
}

/**
 * Measures every flow, and asks the policy about each as if it were put again. Flows without a ufid in the kernel are left out: nothing
 * names them. Tables that change meanwhile are no problem here, the next look comes. Answers how many flows there are.
 *
 * Throws POLICY when the policy does, and ends early when the turn is over.
 */
export async function look(
  { context, merge, history, clock }: Surroundings,
  leastMs: number,
  turn: Turn,
  visit: (seen: Seen) => void,
): Promise<number> {
  const { placement: map, devices } = context
  let count = 0
  history.begin()
  try {
    for await (const flows of merge.flows()) {
      if (turn.isOver) return count
      const now = clock.now()
      count += flows.length
      for (const flow of flows) {
        const { id, backend } = flow
        if (!flow.ufidPresent) continue
        history.note(id, backend, map.total(id, flow.stats, backend), now, leastMs)
        const put = new LivingFlow(flow)
        const placement = decide(context, put)
        if ('error' in placement) throw DpifError.from(placement.error)
        const inPort = flow.inPort ?? flow.key.inPort
        visit({ put, id, placement, device: devices.of(inPort), inPort })
      }
    }
  } catch (error) {
    if (!isInterruption(error)) throw error
  }
  history.end()
  return count
}

export const isInterruption = (error: unknown): boolean =>
  error instanceof DpifError && error.code === 'DUMP_INTERRUPTED'

/** What a flow is worth to those who compete for room. */
export function worthOf(
  { policy, facts }: PlanContext,
  put: PolicyPut,
  history: FlowHistory | undefined,
): number | undefined {
  if (history === undefined) return undefined
  const worth = policy.worth?.(put, history, facts) ?? history.packetsPerSecond
  return Number.isNaN(worth) ? 0 : worth
}

/** Whether a backend could carry a flow there, as far as is known without asking a kernel. */
export function isPossible(
  { backends, language, context }: Surroundings,
  { ufid, key, mask, actions }: PolicyPut,
  choice: Choice,
): boolean {
  const view: FlowView = language.view({ ufid, key, mask, actions }, 'upsert')
  const backend = backends.get(choice.backend) as Backend
  return backend.objections(view, choice).length === 0 && !context.backOff.hasRefused(view, choice)
}
