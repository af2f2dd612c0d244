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

/**
 * Carries out ops chunk by chunk. While the kernel works on one chunk the next is made ready; two are under way at most.
 *
 * What concerns one flow happens in order: an op whose flow has another op under way waits for the next turn, and so does whatever
 * comes after it for that flow.
 */
export async function runOps(engine: Engine, ops: readonly Op[]): Promise<OpResult[]> {
  const results: OpResult[] = new Array(ops.length)
  let turn = await runTurn(engine, results, ops.length, (index) => engine.read(ops[index] as Op, index))
  while (turn.length > 0) {
    const tasks = turn
    turn = await runTurn(engine, results, tasks.length, (index) => tasks[index] as Task)
  }
  return results
}

async function runTurn(
  engine: Engine,
  results: OpResult[],
  length: number,
  taskAt: (index: number) => Task | { readonly error: Failure },
): Promise<Task[]> {
  const later: Task[] = []
  const waiting = new Set<Ufid>()
  let before: Promise<void> = Promise.resolve()
  for (let from = 0; from < length; from += CHUNK) {
    const tasks: Task[] = []
    for (let index = from; index < Math.min(from + CHUNK, length); index++) {
      const task = taskAt(index)
      if ('error' in task) results[index] = { ufid: '', error: task.error }
      else if (waiting.size > 0 && waiting.has(task.ufid)) later.push(task)
      else if (claim(engine, task, results)) tasks.push(task)
      else if (results[task.index] === undefined) {
        waiting.add(task.ufid)
        later.push(task)
      }
    }
    const running = engine.prepare(tasks).then(() => runTasks(engine, tasks, results))
    // Its failure is told when it is waited for.
    running.catch(() => {})
    try {
      await before
    } catch (error) {
      await running.catch(() => {})
      throw error
    }
    before = running
  }
  await before
  return later
}

/** False when another op on the flow is under way, or when the ufid is none, which then is the result. */
function claim({ context }: Engine, task: Task, results: OpResult[]): boolean {
  try {
    const known = context.placement.claim(task.ufid)
    if (known === undefined) return false
    task.known = known
    return true
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    results[task.index] = { ufid: '', error: { code: 'SYNTAX', message: error.message, cause: error } }
    return false
  }
}

/** In every round the steps that are due for one backend form one batch, and the backends work at the same time. */
async function runTasks(engine: Engine, tasks: readonly Task[], results: OpResult[]): Promise<void> {
  const { context, backends } = engine
  const settle = (task: Task, result: OpResult, home?: BackendName): void => {
    context.placement.release(task.ufid, home)
    results[task.index] = result
  }
  try {
    let due: Task[] = []
    for (const task of tasks) if (begin(context, task, settle)) due.push(task)
    while (due.length > 0) {
      const next: Task[] = []
      await Promise.all(
        [...batches(due)].map(async ([name, batch]) => {
          const answers = await (backends.get(name) as Backend).operate(
            batch.map(({ step }) => (step as Step).op),
          )
          for (let position = 0; position < batch.length; position++) {
            const task = batch[position] as Task
            if (goOn(context, task, answers[position] as BackendResult, settle)) next.push(task)
          }
        }),
      )
      due = next
    }
  } finally {
    // After a failure of the transport nothing is under way any more.
    for (const task of tasks) if (results[task.index] === undefined) context.placement.release(task.ufid)
  }
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
