import type { Backend, BackendResult } from '../../types/backend.js'
import type { Failure } from '../../types/errors.js'
import type { Ufid } from '../../types/flow.js'
import type { BackendName, Op, OpResult } from '../../types/op.js'
import type { Choice } from '../../types/policy.js'
import { decide, type Plan, type PlanContext, type PutRequest, planPut, type Step } from './plan.js'

/** One op on its way: the step that is due, and how it goes on. */
export interface Task {
  /** Of the op in its list. */
  readonly index: number
  readonly ufid: Ufid
  readonly start: TaskStart
  step: Step | undefined
  /** Absent while one question is all there is. */
  plan: Plan | undefined
  /** Where the flow was known to live when the op began. */
  known: readonly BackendName[]
  /** What the policy said, for the plan that goes on after a refusal. */
  choices: readonly Choice[]
}

/** A put, which mostly is one question, or a plan. */
export type TaskStart = { readonly put: PutRequest } | { readonly plan: () => Plan }

/** What {@link runOps} works with. */
export interface Engine {
  readonly context: PlanContext
  readonly backends: ReadonlyMap<BackendName, Backend>
  /** Reads one op; what cannot be read fails alone. */
  read(op: Op, index: number): Task | { readonly error: Failure }
  /** Called before the tasks of a chunk begin. */
  prepare(tasks: readonly Task[]): Promise<void>
}

/** Ops that are read, decided and encoded in one go, while the kernel works on the ones before: about a millisecond of work. */
const CHUNK = 1024

/** Chunks under way at the same time: one in the kernel, one being made ready. */
const DEPTH = 2

/**
 * Carries out ops chunk by chunk. While the kernel works on one chunk the next is made ready.
 *
 * What concerns one flow happens in order: an op whose flow has another op under way waits in line behind it. When the transport
 * fails, what is under way is waited for, and the failure is told.
 */
export async function runOps(engine: Engine, ops: readonly Op[]): Promise<OpResult[]> {
  const run = new Run(engine, ops)
  const underWay: Promise<void>[] = []
  try {
    for (;;) {
      const tasks = run.nextChunk()
      if (tasks.length > 0) {
        const chunk = run.carryOut(tasks)
        // Its failure is told when it is waited for.
        chunk.catch(() => {})
        underWay.push(chunk)
      } else if (underWay.length === 0 && run.isRead) return run.results
      if (underWay.length === DEPTH || tasks.length === 0) await underWay.shift()
    }
  } catch (error) {
    await Promise.allSettled(underWay)
    run.abandon()
    throw error
  }
}

/** One list of ops on its way. */
class Run {
  readonly results: OpResult[]
  readonly #engine: Engine
  readonly #ops: readonly Op[]
  #read = 0
  /** Claimed, and not begun yet. */
  #ready: Task[] = []
  /** Those in line behind an op on the same flow. */
  readonly #lines = new Map<Ufid, Line>()

  constructor(engine: Engine, ops: readonly Op[]) {
    this.#engine = engine
    this.#ops = ops
    this.results = new Array(ops.length)
  }

  get isRead(): boolean {
    return this.#read === this.#ops.length
  }

  /** Tasks that can begin now, each on a flow of its own. None when all that was looked at has to wait. */
  nextChunk(): Task[] {
    const end = Math.min(this.#read + CHUNK, this.#ops.length)
    while (this.#read < end && this.#ready.length < CHUNK) {
      const index = this.#read++
      const task = this.#engine.read(this.#ops[index] as Op, index)
      if ('error' in task) this.results[index] = { ufid: '', error: task.error }
      else this.#line(task)
    }
    const tasks = this.#ready
    this.#ready = []
    return tasks
  }

  #line(task: Task): void {
    const line = this.#lines.size > 0 ? this.#lines.get(task.ufid) : undefined
    if (line !== undefined) line.tasks.push(task)
    else if (this.#claim(task)) this.#ready.push(task)
    else if (this.results[task.index] === undefined) this.#lines.set(task.ufid, { tasks: [task], next: 0 })
  }

  /** False when another op on the flow is under way, or when the ufid is none, which then is the result. */
  #claim(task: Task): boolean {
    try {
      const known = this.#engine.context.placement.claim(task.ufid)
      if (known === undefined) return false
      task.known = known
      return true
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      this.results[task.index] = { ufid: '', error: { code: 'SYNTAX', message: error.message, cause: error } }
      return false
    }
  }

  #settle(task: Task, result: OpResult, home?: BackendName): void {
    this.#engine.context.placement.release(task.ufid, home)
    this.results[task.index] = result
    const line = this.#lines.size > 0 ? this.#lines.get(task.ufid) : undefined
    if (line === undefined) return
    const next = line.tasks[line.next++] as Task
    if (line.next === line.tasks.length) this.#lines.delete(task.ufid)
    if (this.#claim(next)) this.#ready.push(next)
  }

  /** In every round the steps that are due for one backend form one batch, and the backends work at the same time. */
  async carryOut(tasks: readonly Task[]): Promise<void> {
    const { context, backends, prepare } = this.#engine
    const settle: Settle = (task, result, home) => this.#settle(task, result, home)
    try {
      await prepare(tasks)
      let due: Task[] = []
      for (const task of tasks) if (begin(context, task, settle)) due.push(task)
      while (due.length > 0) {
        const next: Task[] = []
        const work = [...batches(due)].map(async ([name, batch]) => {
          const steps = batch.map(({ step }) => (step as Step).op)
          const answers = await (backends.get(name) as Backend).operate(steps)
          for (let position = 0; position < batch.length; position++) {
            const task = batch[position] as Task
            if (goOn(context, task, answers[position] as BackendResult, settle)) next.push(task)
          }
        })
        // All of them, so that nothing is under way any more when a failure is told.
        for (const outcome of await Promise.allSettled(work)) {
          if (outcome.status === 'rejected') throw outcome.reason
        }
        due = next
      }
    } finally {
      this.#release(tasks)
    }
  }

  /** After a failure: nothing begins any more. */
  abandon(): void {
    this.#release(this.#ready)
    this.#ready = []
    this.#lines.clear()
  }

  #release(tasks: readonly Task[]): void {
    for (const { index, ufid } of tasks) {
      if (this.results[index] === undefined) this.#engine.context.placement.release(ufid)
    }
  }
}

interface Line {
  readonly tasks: Task[]
  next: number
}

type Settle = (task: Task, result: OpResult, home?: BackendName) => void

/** Finds the first step; false when the op is settled without one. */
function begin(context: PlanContext, task: Task, settle: Settle): boolean {
  const { start } = task
  if (!('put' in start)) {
    task.plan = start.plan()
    return advance(task, task.plan.next(), settle)
  }
  const { flow, mode } = start.put
  const order = decide(context, flow, mode)
  if ('error' in order) {
    settle(task, { ufid: task.ufid, error: order.error })
    return false
  }
  const [choice] = order.choices
  if (choice !== undefined && mode !== 'modify' && task.known.length === 0) {
    task.step = { backend: choice.backend, op: { verb: 'create', flow, choice } }
    task.choices = order.choices
    return true
  }
  task.plan = planPut(context, start.put, order.choices)
  return advance(task, task.plan.next(), settle)
}

/** Takes an answer; false when the op is settled. */
function goOn(context: PlanContext, task: Task, answer: BackendResult, settle: Settle): boolean {
  const { start, plan, step } = task
  if (plan !== undefined) return advance(task, plan.next(answer), settle)
  const { put } = start as { put: PutRequest }
  const { backend } = step as Step
  if (answer.error === undefined) {
    const { ufid } = task
    settle(task, put.wantStats ? { ufid, backend, stats: noStats } : { ufid, backend }, backend)
    return false
  }
  task.plan = planPut(context, put, task.choices, answer)
  return advance(task, task.plan.next(), settle)
}

const noStats = { packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 }

function advance(task: Task, turn: IteratorResult<Step, OpResult>, settle: Settle): boolean {
  if (turn.done) settle(task, turn.value)
  else task.step = turn.value
  return !turn.done
}

function batches(due: readonly Task[]): Map<BackendName, Task[]> {
  const groups = new Map<BackendName, Task[]>()
  for (const task of due) {
    const { backend } = task.step as Step
    const group = groups.get(backend)
    if (group === undefined) groups.set(backend, [task])
    else group.push(task)
  }
  return groups
}
