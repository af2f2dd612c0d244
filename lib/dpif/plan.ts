import type { BackendOp, BackendResult, FlowView } from '../../types/backend.js'
import type { Failure } from '../../types/errors.js'
import type { FlowId, FlowKey, FlowStats, Ufid } from '../../types/flow.js'
import type { BackendName, Flow, OpResult, PutOp, Refusal } from '../../types/op.js'
import type { Choice, Facts, Placement, Policy, PolicyPut, RemovalCause } from '../../types/policy.js'
import { DpifError } from '../errors.js'
import type { Arrivals } from './arrivals.js'
import type { BackOff } from './back-off.js'
import type { Devices } from './devices.js'
import type { Events } from './events.js'
import { CarriedFlow } from './merge.js'
import type { News } from './news.js'
import type { Counts, PlacementMap } from './placement.js'

/** One thing asked of one backend on the way to an op's result. */
export interface Step {
  readonly backend: BackendName
  readonly op: BackendOp
}

/**
 * An op as a conversation: it asks backends, step by step, and ends with its result. Whoever runs many of them puts the steps that
 * are due for one backend into one batch.
 */
export type Plan = Generator<Step, OpResult, BackendResult>

/** What plans look at and write down. */
export interface PlanContext {
  readonly placement: PlacementMap
  readonly arrivals: Arrivals
  readonly devices: Devices
  readonly backOff: BackOff
  readonly news: News
  readonly policy: Policy
  readonly facts: Facts
  readonly events: Events
  /** In the order in which they are asked when nobody knows where a flow is. */
  readonly backends: readonly BackendName[]
}

export interface PutRequest {
  readonly flow: FlowView
  readonly zeroStats: boolean
  readonly wantStats: boolean
  readonly confirm: boolean
}

export function requestOf(op: PutOp, flow: FlowView): PutRequest {
  const { zeroStats = false, stats: wantStats = false, confirm = false } = op
  return { flow, zeroStats, wantStats, confirm }
}

/**
 * Create, modify or both, as {@link PutMode} promises, in the first backend of the policy's list that takes the flow.
 *
 * Most puts are new flows that the first backend takes. `intake.ts` and `pipeline.ts` ask that one question without a plan; when the answer is a
 * refusal, it comes here as `refused` and the plan goes on from there. `refusals` are those that came before.
 */
export function* planPut(
  context: PlanContext,
  { flow, zeroStats, wantStats, confirm }: PutRequest,
  order: Placement,
  refused?: BackendResult,
  refusals: Refusal[] = [],
): Plan {
  const { placement, devices, backOff, events, news } = context
  const { ufid, mode } = flow
  let first = refused

  // What is remembered is trusted where it lets an op go on, and checked where it would refuse one.
  const known = placement.of(flow)
  const check = first === undefined && (mode === 'create' ? known.length > 0 : known.length === 0)
  let homes = check ? yield* locate(context, flow, keyOf(flow)) : known
  if (homes.length > 0 && mode === 'create') return { ufid, error: exists(ufid, homes[0]) }
  if (homes.length === 0 && mode === 'modify') return { ufid, error: missing(ufid, 'modify') }

  for (const choice of order.choices) {
    const { backend } = choice
    let result = first
    first = undefined
    if (result?.error?.code === 'EXISTS' && mode === 'upsert') {
      // Somebody put it meanwhile: then this is a change.
      homes = yield* locate(context, flow, keyOf(flow))
      if (homes.includes(backend)) result = undefined
    }
    let replaced = false
    if (result === undefined && homes.includes(backend)) {
      placement.watch(flow)
      result = yield { backend, op: { verb: 'replace', flow, choice, zeroStats, wantStats } }
      replaced = true
      if (result.error?.code === 'NOT_FOUND') {
        placement.settle(flow)
        placement.remove(flow, backend)
        homes = homes.filter((home) => home !== backend)
        news.left(flow, backend, 'lost')
        if (homes.length === 0 && mode === 'modify') return { ufid, error: missing(ufid, 'modify') }
        result = undefined
        replaced = false
      }
    }
    if (result === undefined) {
      // Where nobody else would be asked, this one always is.
      const isLast = choice === order.choices[order.choices.length - 1]
      const objection = isLast ? undefined : backOff.objection(flow, choice)
      if (objection !== undefined) {
        refusals.push(objection)
        continue
      }
      if (homes.length > 0 && !zeroStats) {
        homes = yield* look(context, flow, homes, backend)
        if (homes.length === 0 && mode === 'modify') return { ufid, error: missing(ufid, 'modify') }
      }
      result = yield { backend, op: { verb: 'create', flow, choice } }
    }
    if (result.error === undefined) {
      const before = replaced ? (result.stats ?? zeroStatsOf()) : undefined
      backOff.worked(flow)
      placement.add(flow, backend, devices.of(flow.inPort))
      const old = homes.filter((home) => home !== backend)
      const settling = { before, restarted: result.restarted === true, to: backend, old, zeroStats }
      const stats = yield* settle(context, flow, settling, refusals)
      const [from] = old
      if (!replaced && from !== undefined && placement.of(flow).length === 1)
        events.moved(flow, from, backend)
      events.placed(backend)
      if (events.tellsPlacements) events.tellPlacement(flow, backend, context.policy.name, order)
      const held = confirm ? yield { backend, op: { verb: 'get', id: flow, ...keyOf(flow) } } : undefined
      return {
        ufid,
        backend,
        ...(held === undefined ? {} : { offloaded: held.flow?.offloaded === true }),
        ...(wantStats ? { stats } : {}),
        ...(refusals.length > 0 ? { declined: refusals } : {}),
      }
    }
    const refusal = { ...result.error, backend }
    refusals.push(refusal)
    events.refused(ufid, refusal)
    backOff.refused(flow, choice, result.error)
    // It may be there, and must not be anywhere else as well; the next op on the flow finds out.
    if (result.error.code === 'OUTCOME_UNKNOWN') {
      placement.add(flow, backend, devices.of(flow.inPort))
      break
    }
    placement.settle(flow)
    // The kernel found another flow there, with this ufid or this match: that is the answer, not a reason to look elsewhere.
    if (result.error.code === 'EXISTS') break
  }
  const error = refusals.pop() as Refusal
  return { ufid, error, ...(refusals.length > 0 ? { declined: refusals } : {}) }
}

/**
 * Notes what a flow has counted where it is, before there is a copy in `to`, so that nobody who looks meanwhile sees less. Returns the
 * backends that hold it.
 */
function* look(
  { placement, news }: PlanContext,
  flow: FlowView,
  homes: readonly BackendName[],
  to: BackendName,
): Generator<Step, readonly BackendName[], BackendResult> {
  placement.watch(flow)
  const left: BackendName[] = []
  let counted = zeroStatsOf()
  for (const backend of homes) {
    const { error, stats } = yield { backend, op: { verb: 'get', id: flow, ...keyOf(flow) } }
    if (error?.code === 'NOT_FOUND') {
      placement.remove(flow, backend)
      news.left(flow, backend, 'lost')
    } else left.push(backend)
    if (stats !== undefined) counted = later(counted, stats)
  }
  placement.expect(flow, to, counted)
  return left
}

export interface Settling {
  /** Counters of the copy that was replaced, if one was. */
  readonly before: FlowStats | undefined
  readonly restarted: boolean
  readonly to: BackendName
  /** Backends with copies that have to go. */
  readonly old: readonly BackendName[]
  readonly zeroStats: boolean
}

/** The new copy is in place: removes the old ones, and adds up what they counted. Returns the counters before the op. */
export function* settle(
  { placement, arrivals, events }: PlanContext,
  flow: FlowView,
  { before, restarted, to, old, zeroStats }: Settling,
  refusals: Refusal[],
): Generator<Step, FlowStats, BackendResult> {
  if (old.length > 0) arrivals.note(flow, to)
  let counted = placement.sum(flow, before ?? zeroStatsOf())
  const gone: Counts[] = restarted && before !== undefined ? [before] : []
  let isOne = true
  for (const backend of old) {
    const { error, stats } = yield { backend, op: { verb: 'del', id: flow, ...keyOf(flow), wantStats: true } }
    // A copy that is already gone is as good as deleted; one that cannot be is still there and is remembered.
    const isGone = error === undefined || error.code === 'NOT_FOUND'
    // What another hand deleted, or what cannot be, has counted at least what was seen of it.
    const counts = stats ?? placement.seen(flow)
    if (isGone) placement.remove(flow, backend)
    else {
      isOne = false
      const refusal = { ...error, backend }
      refusals.push(refusal)
      events.refused(flow.ufid, refusal)
    }
    if (counts === undefined) continue
    counted = later(counted, counts)
    if (isGone) gone.push(counts)
  }
  if (zeroStats) placement.uncarry(flow)
  else for (const counts of gone) placement.carry(flow, counts)
  if (isOne) placement.settle(flow)
  return counted
}

export interface NamedRequest {
  readonly id: FlowId
  /** Given when the op named no ufid, so that a flow put without one can be found. */
  readonly key?: FlowKey
  readonly wantStats: boolean
}

/** Deletes every copy of a flow. */
export function* planDel(
  context: PlanContext,
  { id, key, wantStats }: NamedRequest,
  cause: RemovalCause = 'del',
): Plan {
  const { placement } = context
  const { ufid } = id
  const named = { id, ...(key === undefined ? {} : { key }) }
  const known = placement.of(id)
  const homes = known.length > 0 ? known : context.backends
  let deleted: BackendName | undefined
  // Begins with what earlier copies counted, which is forgotten with the last one.
  let counted = placement.sum(id, zeroStatsOf())
  let error: Failure | undefined
  for (const backend of homes) {
    const result = yield { backend, op: { verb: 'del', ...named, wantStats } }
    if (result.error === undefined) {
      deleted ??= backend
      placement.remove(id, backend)
      if (result.stats !== undefined) counted = later(counted, result.stats)
    } else if (result.error.code === 'NOT_FOUND') placement.remove(id, backend)
    else error ??= result.error
  }
  if (error !== undefined) return { ufid, error }
  placement.delete(id)
  if (deleted !== undefined) {
    context.news.gone(id, deleted, cause)
    return { ufid, backend: deleted, ...(wantStats ? { stats: counted } : {}) }
  }
  const [last] = known
  if (last !== undefined) {
    // What was remembered is no longer there, so it may be where nobody looked.
    const result = yield* planDel(context, { id, wantStats, ...(key === undefined ? {} : { key }) }, cause)
    if (result.error?.code === 'NOT_FOUND') context.news.left(id, last, 'lost')
    return result
  }
  return { ufid, error: missing(ufid, 'delete') }
}

/** Finds a flow. */
export function* planGet(context: PlanContext, { id, key }: Omit<NamedRequest, 'wantStats'>): Plan {
  const { ufid } = id
  const { placement } = context
  let problem: Failure | undefined
  const known = placement.of(id)
  for (const backend of inOrder(known, context.backends)) {
    const { error, flow } = yield {
      backend,
      op: { verb: 'get', id, ...(key === undefined ? {} : { key }) },
    }
    if (flow !== undefined) {
      placement.add(id, backend, deviceOf(context, flow))
      const stats = placement.total(id, flow.stats, backend)
      return { ufid, backend, flow: placement.isCarried(id) ? new CarriedFlow(flow, stats) : flow, stats }
    }
    if (error?.code === 'NOT_FOUND') placement.remove(id, backend)
    else problem ??= error
  }
  lose(context, id, known)
  return { ufid, error: problem ?? missing(ufid, 'get') }
}

/** Asks every backend, and writes down what they say. */
export function* locate(
  context: PlanContext,
  id: FlowId,
  named: { readonly key?: FlowKey },
): Generator<Step, readonly BackendName[], BackendResult> {
  const { placement, backends } = context
  const known = placement.of(id)
  for (const backend of backends) {
    const { error, flow } = yield { backend, op: { verb: 'get', id, ...named } }
    if (flow !== undefined) placement.add(id, backend, deviceOf(context, flow))
    else if (error?.code === 'NOT_FOUND') placement.remove(id, backend)
  }
  lose(context, id, known)
  return placement.of(id)
}

/** The device a flow that was read comes in by. */
function deviceOf({ devices }: PlanContext, flow: Flow): number {
  return flow.backend === 'tc' && devices.any ? devices.of(flow.key.inPort) : 0
}

/** Tells that a flow that was somewhere is nowhere, if it is. */
function lose({ news }: PlanContext, id: FlowId, [home]: readonly BackendName[]): void {
  if (home !== undefined) news.left(id, home, 'lost')
}

/** Those that are likely first, then the rest. */
function inOrder(likely: readonly BackendName[], all: readonly BackendName[]): readonly BackendName[] {
  return [...likely, ...all.filter((backend) => !likely.includes(backend))]
}

/** The policy's word, or why it has none. */
export function decide(
  { policy, facts, backends }: PlanContext,
  flow: PolicyPut,
): Placement | { readonly error: Failure } {
  try {
    const placement = policy.place(flow, facts)
    const flaw = flawOf(placement, backends)
    return flaw === undefined ? placement : policyFailure(policy, flow, flaw)
  } catch (cause) {
    // Raw attributes are decoded when a policy first looks at them.
    if (cause instanceof DpifError && cause.code === 'BAD_MESSAGE') {
      return { error: { ...cause, code: cause.code, message: cause.message } }
    }
    const words = cause instanceof Error ? cause.message : String(cause)
    return policyFailure(policy, flow, `threw: ${words}`, cause)
  }
}

function flawOf({ choices }: Placement, backends: readonly BackendName[]): string | undefined {
  if (choices.length === 0) return 'named no backend'
  for (let index = 0; index < choices.length; index++) {
    const { backend } = choices[index] as Choice
    if (!backends.includes(backend)) return `named '${backend}'; there are ${backends.join(' and ')}`
  }
  return undefined
}

function policyFailure(
  { name }: Policy,
  { ufid }: PolicyPut,
  problem: string,
  cause?: unknown,
): { readonly error: Failure } {
  const message = `cannot put flow ${ufid}: policy '${name}' ${problem}`
  return { error: { code: 'POLICY', message, ...(cause === undefined ? {} : { cause }) } }
}

function keyOf({ ufidGiven, key }: FlowView): { readonly key?: FlowKey } {
  return ufidGiven ? {} : { key }
}

function exists(ufid: Ufid, backend: BackendName | undefined): Failure {
  return {
    code: 'EXISTS',
    message: `cannot create flow ${ufid}: it exists in ${backend}; use mode 'upsert' or 'modify' to change it`,
    errno: 17,
    ...(backend === undefined ? {} : { backend }),
  }
}

export function missing(ufid: Ufid, verb: string): Failure {
  return { code: 'NOT_FOUND', message: `cannot ${verb} flow ${ufid}: no backend holds it`, errno: 2 }
}

export const zeroStatsOf = (): FlowStats => ({ packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 })

/** Two copies' counters as one. */
function later(a: FlowStats, b: FlowStats): FlowStats {
  return {
    packets: a.packets + b.packets,
    bytes: a.bytes + b.bytes,
    used: Math.max(a.used, b.used),
    tcpFlags: a.tcpFlags | b.tcpFlags,
  }
}
