import type { Backend, BackendOp, BackendResult } from '../../types/backend.js'
import type { BackendName, OpResult } from '../../types/op.js'
import type { Plan, Step } from './plan.js'

/** A plan and the place of its result. */
export interface Task {
  readonly index: number
  readonly plan: Plan
}

/**
 * Runs plans side by side. In every round the steps that are due for one backend form one batch, and the backends work at the same
 * time. Plans must be about different flows: {@link rounds} sees to that.
 */
export async function runPlans(
  tasks: readonly Task[],
  backends: ReadonlyMap<BackendName, Backend>,
  settle: (index: number, result: OpResult) => void,
): Promise<void> {
  let due: Due[] = []
  for (const task of tasks) advance(task, undefined, due, settle)
  while (due.length > 0) {
    const next: Due[] = []
    const batches = groupBy(due)
    await Promise.all(
      [...batches].map(async ([name, batch]) => {
        const backend = backends.get(name) as Backend
        const results = await backend.operate(batch.map(({ op }) => op))
        batch.forEach(({ task }, position) => advance(task, results[position] as BackendResult, next, settle))
      }),
    )
    due = next
  }
}

interface Due {
  readonly task: Task
  readonly backend: BackendName
  readonly op: BackendOp
}

function advance(
  task: Task,
  answer: BackendResult | undefined,
  due: Due[],
  settle: (index: number, result: OpResult) => void,
): void {
  const turn: IteratorResult<Step, OpResult> =
    answer === undefined ? task.plan.next() : task.plan.next(answer)
  if (turn.done) settle(task.index, turn.value)
  else due.push({ task, ...turn.value })
}

function groupBy(due: readonly Due[]): Map<BackendName, Due[]> {
  const groups = new Map<BackendName, Due[]>()
  for (const entry of due) {
    const group = groups.get(entry.backend)
    if (group === undefined) groups.set(entry.backend, [entry])
    else group.push(entry)
  }
  return groups
}

/**
 * Splits entries into rounds in which every name occurs once, so that what concerns one flow happens in order, while everything
 * else shares a batch.
 */
export function rounds<T>(entries: readonly T[], nameOf: (entry: T) => string): T[][] {
  const result: T[][] = []
  const turns = new Map<string, number>()
  for (const entry of entries) {
    const name = nameOf(entry)
    const turn = turns.get(name) ?? 0
    turns.set(name, turn + 1)
    const round = result[turn]
    if (round === undefined) result.push([entry])
    else round.push(entry)
  }
  return result
}
