import type { BackendResult, FlowView } from '../../types/backend.js'
import type { Failure } from '../../types/errors.js'
import type { FlowId } from '../../types/flow.js'
import type { BackendName, Flow, FlowSpec, Refusal } from '../../types/op.js'
import type { Choice, Outcome } from '../../types/policy.js'
import { decide, locate, missing, type Plan, type PlanContext, settle, type Step } from './plan.js'

/** Asks for a flow that lives to be moved to another place, with what it is and has counted. An op like others, of our own making. */
export class Move {
  readonly op = 'move'
  readonly id: FlowId
  /** Where it is to go, in order; left out for "where the policy wants it". */
  readonly choices: readonly Choice[] | undefined
  /** Whether software of TC is not enough, on a port of an e-switch. */
  readonly intoHardware: boolean
  /** What became of it, once it was read. */
  outcome: Outcome | undefined
  moved = false
  /** The flow, once it was read. */
  flow: FlowView | undefined

  constructor(id: FlowId, choices?: readonly Choice[], intoHardware = false) {
    this.id = id
    this.choices = choices
    this.intoHardware = intoHardware
  }
}

/**
 * Whether a flow is where a choice would put it. A filter that may be in hardware is not there as long as it is not, on a port of
 * an e-switch; elsewhere there is nothing to be in. One that must be in hardware is not there in software.
 */
export function isAt(
  { backend, offloaded }: Flow,
  { backend: wanted, skip }: Choice,
  isOnDevice: boolean,
): boolean {
  if (backend !== wanted) return false
  if (backend !== 'tc' || (skip === undefined && !isOnDevice)) return true
  return offloaded === (skip !== 'hw')
}

/**
 * Makes the new copy before the old one goes, and adds up what both counted; in the same backend the flow is replaced where it is. The
 * flow is read first: what somebody changed since it was chosen goes along. One that finds no place stays as it was.
 */
export function* planMove(context: PlanContext, viewOf: (flow: FlowSpec) => FlowView, move: Move): Plan {
  const { placement, devices, backOff, events, news } = context
  const { id } = move
  const { ufid } = id
  const [from] = placement.of(id)
  if (from === undefined) return { ufid, error: missing(ufid, 'move') }
  // From now on, since whoever looks between the steps must not see less than before.
  placement.watch(id)
  const { error, flow } = yield { backend: from, op: { verb: 'get', id } }
  if (flow === undefined) {
    placement.settle(id)
    if (error?.code === 'NOT_FOUND') {
      placement.remove(id, from)
      news.left(id, from, 'lost')
    }
    return { ufid, error: error ?? missing(ufid, 'move') }
  }
  const refusals: Refusal[] = []
  const stay = (problem: Failure) => {
    placement.settle(id)
    move.outcome = { ufid, cause: 'move', backend: from, from, declined: refusals }
    const { [refusals.length - 1]: last } = refusals
    const declined = last === problem ? refusals.slice(0, -1) : refusals
    return { ufid, error: problem, ...(declined.length > 0 ? { declined } : {}) }
  }
  const { key, mask, actions, stats } = flow
  const view = viewOf({ ufid, key, mask, actions })
  move.flow = view
  const order = move.choices === undefined ? decide(context, view) : { choices: move.choices }
  if ('error' in order) return stay(order.error)

  const device = devices.of(view.inPort)
  for (const choice of order.choices) {
    const { backend } = choice
    if (isAt(flow, choice, device !== 0)) break
    const objection = backOff.objection(view, choice)
    if (objection !== undefined) {
      refusals.push(objection)
      continue
    }
    if (backend !== from) placement.expect(id, backend, stats)
    const result = yield* make(context, view, choice)
    if (result.error !== undefined) {
      backOff.refused(view, choice, result.error)
      const refusal = { ...result.error, backend }
      refusals.push(refusal)
      events.refused(ufid, refusal)
      // It may be there; the next op on the flow finds out.
      if (result.error.code === 'OUTCOME_UNKNOWN') placement.add(id, backend, device)
      if (result.error.code === 'OUTCOME_UNKNOWN' || result.error.code === 'EXISTS') break
      continue
    }
    backOff.worked(view)
    const old = placement.of(id).filter((home) => home !== backend)
    placement.add(id, backend, device)
    // The device has one rule less, though TC has as many filters.
    if (choice.skip === 'hw') backOff.left(device)
    const { stats: before } = result
    yield* settle(
      context,
      view,
      { before, restarted: result.restarted === true, to: backend, old, zeroStats: false },
      refusals,
    )
    if (move.intoHardware && backend === 'tc' && device !== 0) {
      const missed = yield* notInHardware(context, view, choice)
      if (missed !== undefined) refusals.push(missed)
      if (missed !== undefined && backend === from) return stay(missed)
    }
    if (backend !== from && placement.of(id).length === 1) events.moved(view, from, backend)
    move.moved = true
    move.outcome = { ufid, cause: 'move', backend, from, declined: refusals }
    return { ufid, backend, ...(refusals.length > 0 ? { declined: refusals } : {}) }
  }
  const last = refusals.at(-1)
  if (last?.code === 'OUTCOME_UNKNOWN') return { ufid, error: last }
  return last === undefined ? stayed(move, from, context) : stay(last)
}

/** It is where it should be. */
function stayed(move: Move, backend: BackendName, { placement }: PlanContext) {
  const { ufid } = move.id
  placement.settle(move.id)
  move.outcome = { ufid, cause: 'move', backend, from: backend, declined: [] }
  return { ufid, backend }
}

/** Puts the copy, over one that a crash or a deletion that failed has left there. */
function* make(
  context: PlanContext,
  flow: FlowView,
  choice: Choice,
): Generator<Step, BackendResult, BackendResult> {
  const { backend } = choice
  const replace = {
    backend,
    op: { verb: 'replace', flow, choice, zeroStats: false, wantStats: true },
  } as const
  if (context.placement.of(flow).includes(backend)) {
    const result = yield replace
    if (result.error?.code !== 'NOT_FOUND') return result
    if (context.placement.of(flow).length > 1) context.placement.remove(flow, backend)
  }
  const result = yield { backend, op: { verb: 'create', flow, choice } }
  if (result.error?.code !== 'EXISTS') return result
  const homes = yield* locate(context, flow, {})
  return homes.includes(backend) ? yield replace : result
}

/** A kernel does not say that a device had no room for a filter that may be in software, too; the filter does. */
function* notInHardware(
  { backOff }: PlanContext,
  flow: FlowView,
  choice: Choice,
): Generator<Step, Refusal | undefined, BackendResult> {
  const { backend } = choice
  const { flow: put } = yield { backend, op: { verb: 'get', id: flow } }
  if (put === undefined || put.offloaded) return undefined
  const message = `flow ${flow.ufid} is in tc, but no device has taken it; that of its port may be full`
  const refusal: Refusal = { code: 'NO_SPACE', message, backend }
  backOff.stayedInSoftware(flow, choice, refusal)
  return refusal
}
