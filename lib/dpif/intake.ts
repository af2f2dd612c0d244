import type { FlowView } from '../../types/backend.js'
import type { BackendName, DelOp, GetOp, OpResult, PutMode, PutOp, Refusal } from '../../types/op.js'
import type { Choice, Placement, RemovalCause } from '../../types/policy.js'
import { Chunk, type Fresh, Success, type Task } from './chunk.js'
import type { Engine } from './engine.js'
import { Expiry } from './expiry.js'
import { Move, planMove } from './move.js'
import { decide, planDel, planGet, planPut, requestOf } from './plan.js'
import type { Run, Work } from './run.js'
import type { Waiting } from './waiting.js'

/** Typed or raw puts of weight 1 in a chunk: some milliseconds of work. Each chunk costs a few system calls and switches between threads. */
const CHUNK = 2048
/** Reading text takes so many times longer. */
const TEXT = 8

/**
 * Reads the ops of calls in their order, and makes chunks of what can begin: each op on a flow of its own, new flows encoded already.
 *
 * Puts are gone through a strip at a time, each from its op to its message, while what belongs to it is at hand: going through all of
 * them once for every thing that is to be done takes as much time for memory as for the work.
 */
export class Intake {
  readonly #engine: Engine
  readonly #waiting: Waiting
  /** Those that were not read to their end, in the order of the calls. */
  readonly #runs: Run[] = []

  constructor(engine: Engine, waiting: Waiting) {
    this.#engine = engine
    this.#waiting = waiting
  }

  add(run: Run): void {
    this.#runs.push(run)
  }

  /** How many ops wait to be read, as far as one chunk could take them. */
  get unread(): number {
    let count = 0
    for (const run of this.#runs) {
      count += run.ops.length - run.read
      if (count >= CHUNK) return CHUNK
    }
    return count
  }

  /** What can begin now. Undefined when all that is left has to wait. */
  take(): Chunk | undefined {
    const chunk = new Chunk(this.unread, CHUNK)
    for (const task of this.#waiting.takeTasks()) this.#add(task, chunk)
    const hasRead = this.#fill(chunk)
    this.#takeStrip(chunk)
    chunk.executions.push(...this.#waiting.takeExecutions(CHUNK))
    return hasRead || chunk.tasks.length > 0 || chunk.executions.length > 0 ? chunk : undefined
  }

  #fill(chunk: Chunk): boolean {
    let hasRead = false
    chunk.room -= chunk.tasks.length
    for (let run = this.#runs[0]; run !== undefined && chunk.room > 0; run = this.#runs[0]) {
      while (!run.isRead && !run.hasFailed && chunk.room > 0) {
        // It may want the match of a flow whose deletion is not even asked for.
        if (this.#waiting.deletions > chunk.deletions && isPut(run.ops[run.read])) return hasRead
        // First, since what is placed meanwhile takes room too.
        const taken = this.#read(run, run.read++, chunk)
        chunk.room -= taken
        hasRead = true
      }
      if (run.isRead || run.hasFailed) this.#runs.shift()
    }
    return hasRead
  }

  /** Reads one op, and answers how much room it takes. What cannot be read fails alone. */
  #read(run: Run, index: number, chunk: Chunk): number {
    const op = run.ops[index] as Work
    try {
      if (op.op === 'put') return this.#readPut(op, run, index, chunk)
      // In the order of the ops, as far as they are about one flow.
      this.#takeStrip(chunk)
      if (op instanceof Move) this.#claim(this.#moveTask(op, run, index), chunk)
      else if (op.op === 'execute') this.#waiting.hold(run, index)
      else this.#claim(this.#nameTask(op, run, index), chunk)
    } catch (error) {
      this.#refuse(run, index, error)
    }
    return 1
  }

  #readPut(op: PutOp, run: Run, index: number, chunk: Chunk): number {
    const { mode = 'create' } = op
    if (mode !== 'create' && !modes.has(mode))
      throw new TypeError(`'${mode}' is no mode; there are ${[...modes].join(', ')}`)
    const flow = this.#engine.language.view(op, mode)
    const { strip } = chunk
    if (mode === 'modify' || op.confirm) {
      this.#takeStrip(chunk)
      this.#claim(this.#putTask(op, flow, run, index), chunk)
    } else {
      strip.add(flow, op, run, index)
      if (strip.isFull) this.#takeStrip(chunk)
    }
    return typeof op.key === 'string' ? TEXT : 1
  }

  /** Claims the puts that were read. Those that take more than one question become tasks, and those behind another op wait in line. */
  #takeStrip(chunk: Chunk): void {
    const { strip } = chunk
    if (strip.count === 0) return
    const { flows, ops, runs, indexes, count } = strip
    const { placement } = this.#engine.context
    strip.count = 0
    placement.fetch(flows, 0, count)
    for (const { made } of chunk.fresh) made.fetch?.(flows, 0, count)
    for (let position = 0; position < count; position++) {
      const flow = flows[position] as FlowView
      const op = ops[position] as PutOp
      const run = runs[position] as Run
      const index = indexes[position] as number
      if (run.hasFailed) continue
      const hint = placement.claim(flow)
      if (hint < 0) {
        this.#waiting.line(this.#putTask(op, flow, run, index))
        continue
      }
      run.begin()
      try {
        if (placement.homesAt(hint).length > 0 || this.#isForLater(flow, chunk))
          this.#add(this.#putTask(op, flow, run, index), chunk)
        else this.#place(flow, op, run, index, hint, chunk)
      } catch (bug) {
        this.#waiting.fail(run, index, flow, bug)
      }
    }
  }

  /** Whether a new flow cannot be among those that are sent first. */
  #isForLater(flow: FlowView, chunk: Chunk): boolean {
    // Behind a deletion it waits its turn in the same batch: it may be the same match under another ufid.
    if (chunk.deletions > 0) return true
    const isStrange = this.#engine.namesUnknownPort(flow)
    chunk.namesUnknownPort ||= isStrange
    return isStrange
  }

  /** Asks the policy about a new flow, and encodes it for the backend that is tried first. */
  #place(flow: FlowView, op: PutOp, run: Run, index: number, hint: number, chunk: Chunk): void {
    const { context } = this.#engine
    const order = decide(context, flow)
    if ('error' in order) {
      this.#waiting.finish(run, index, flow, { ufid: flow.ufid, error: order.error })
      return
    }
    const held = context.backOff.isActive ? this.#held(flow, order) : nothing
    const tried = held.length === 0 ? order : { ...order, choices: order.choices.slice(held.length) }
    const fresh = chunk.freshFor(tried.choices[0] as Choice, this.#engine.backends)
    const result = resultOf(flow, fresh.choice.backend, op, held)
    // Last of what can fail: what is among the made flows is in the columns too.
    fresh.made.add(flow)
    if (held.length > 0) this.#hold(fresh, held)
    fresh.add(op, run, index, tried, result, hint)
    // What it takes to be read is counted by who reads.
    chunk.room -= fresh.weight - 1
  }

  /** What is said against the choices at the front that are not tried for now; one is left in any case. */
  #held(flow: FlowView, { choices }: Placement): Refusal[] {
    const { backOff } = this.#engine.context
    const held: Refusal[] = []
    while (held.length < choices.length - 1) {
      const objection = backOff.objection(flow, choices[held.length] as Choice)
      if (objection === undefined) break
      held.push(objection)
    }
    return held
  }

  #hold(fresh: Fresh, held: Refusal[]): void {
    fresh.held ??= new Map()
    fresh.held.set(fresh.count, held)
  }

  #refuse(run: Run, index: number, error: unknown): void {
    try {
      run.refuse(index, { ufid: '', error: this.#engine.language.failure(error) })
    } catch (bug) {
      run.abort(bug)
    }
  }

  #putTask(op: PutOp, flow: FlowView, run: Run, index: number): Task {
    const start = () => {
      const order = decide(this.#engine.context, flow)
      if ('error' in order) return { ufid: flow.ufid, error: order.error }
      return planPut(this.#engine.context, requestOf(op, flow), order)
    }
    const tell: Task['tell'] = (from, result) => this.#engine.context.news.ofPut(flow, from, result)
    return { run, index, id: flow, start, deletes: false, tell, plan: undefined, step: undefined }
  }

  #moveTask(move: Move, run: Run, index: number): Task {
    const { context, language } = this.#engine
    const start = () => planMove(context, (flow) => language.view(flow, 'upsert'), move)
    const tell: Task['tell'] = () => context.news.ofMove(move)
    return { run, index, id: move.id, start, deletes: false, tell, plan: undefined, step: undefined }
  }

  #nameTask(op: DelOp | GetOp, run: Run, index: number): Task {
    if (op.op !== 'del' && op.op !== 'get') {
      throw new TypeError(`'${(op as { op: unknown }).op}' is no op; there are put, del, get and execute`)
    }
    const { context, language } = this.#engine
    const named = language.identify(op)
    const cause: RemovalCause = op instanceof Expiry ? 'idle' : 'del'
    const start = () =>
      op.op === 'get'
        ? planGet(context, named)
        : planDel(context, { ...named, wantStats: op.stats === true }, cause)
    const deletes = op.op === 'del'
    return { run, index, id: named.id, start, deletes, plan: undefined, step: undefined }
  }

  #claim(task: Task, chunk: Chunk): void {
    if (this.#waiting.claim(task)) this.#add(task, chunk)
  }

  /** Takes up a task that was claimed and begun. */
  #add(task: Task, chunk: Chunk): void {
    // Where a flow lives nobody knows of is asked step by step.
    if (task.deletes && this.#engine.context.placement.of(task.id).length === 1) chunk.deletions++
    chunk.tasks.push(task)
  }
}

/** What a put comes to when the first backend that is asked takes the flow. */
function resultOf({ ufid }: FlowView, backend: BackendName, { stats }: PutOp, declined: Refusal[]): OpResult {
  if (stats !== true && declined.length === 0) return new Success(ufid, backend)
  return {
    ufid,
    backend,
    ...(stats === true ? { stats: noStats } : {}),
    ...(declined.length > 0 ? { declined } : {}),
  }
}

const nothing: Refusal[] = []
const noStats = { packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 }
const modes: ReadonlySet<PutMode> = new Set(['create', 'modify', 'upsert'])

function isPut(op: Work | undefined): boolean {
  try {
    return op?.op === 'put'
  } catch {
    // Whoever reads the op will hear of it.
    return false
  }
}
