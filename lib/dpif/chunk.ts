import type { FlowView } from '../../types/backend.js'
import type { FlowId, Ufid } from '../../types/flow.js'
import type { BackendName, ExecuteOp, OpResult, PutOp } from '../../types/op.js'
import type { Choice } from '../../types/policy.js'
import type { Plan, Step } from './plan.js'
import type { Run } from './run.js'

/**
 * What becomes of nearly every put. A class, because V8 decides by the place of a literal where its objects live, and once some lived
 * long it would put all of them where only a full collection finds them.
 */
export class Success implements OpResult {
  readonly ufid: Ufid
  readonly backend: BackendName

  constructor(ufid: Ufid, backend: BackendName) {
    this.ufid = ufid
    this.backend = backend
  }
}

/** An op that takes more than one question. */
export interface Task {
  readonly run: Run
  /** Of the op in its run. */
  readonly index: number
  readonly id: FlowId
  /** Its plan, or what became of it at once. */
  readonly start: () => Plan | OpResult
  readonly deletes: boolean
  plan: Plan | undefined
  step: Step | undefined
}

/** A packet to be sent through actions. */
export interface Execution {
  readonly run: Run
  /** Of the op in its run. */
  readonly index: number
  readonly op: ExecuteOp
}

/** New flows for one backend, which mostly take one question. */
export interface Fresh {
  readonly choice: Choice
  readonly flows: FlowView[]
  /** Where the flows are in their chunk. */
  readonly positions: number[]
}

/**
 * Ops that are read, decided and encoded in one go, while the kernel works on the ones before. New flows are kept column by
 * column, since they are many and an object each would cost more.
 */
export class Chunk {
  readonly puts: FlowView[] = []
  /** What the flows came from. */
  readonly ops: PutOp[] = []
  readonly runs: Run[] = []
  readonly indexes: number[] = []
  /** What the policy said of each. */
  readonly orders: (readonly Choice[])[] = []
  readonly tasks: Task[] = []
  /** Packets to be sent through actions, now that what stood before them has ended. */
  readonly executions: Execution[] = []
  /** Deletions that are done with when the batch is. */
  deletions = 0

  get size(): number {
    return this.puts.length + this.tasks.length + this.executions.length
  }
}

export const isSame = (a: Choice, b: Choice): boolean =>
  a === b || (a.backend === b.backend && a.skip === b.skip)

/** The group of the new flows with that choice. */
export function groupFor(groups: Fresh[], choice: Choice): Fresh {
  let group = groups.find((known) => isSame(known.choice, choice))
  if (group === undefined) {
    group = { choice, flows: [], positions: [] }
    groups.push(group)
  }
  return group
}

/** The steps that are due, by the backend they are for. */
export function batches(due: readonly Task[]): Map<BackendName, Task[]> {
  const groups = new Map<BackendName, Task[]>()
  for (const task of due) {
    const { backend } = task.step as Step
    const group = groups.get(backend)
    if (group === undefined) groups.set(backend, [task])
    else group.push(task)
  }
  return groups
}
