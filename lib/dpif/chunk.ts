import type { FlowView } from '../../types/backend.js'
import type { FlowId, Ufid } from '../../types/flow.js'
import type { BackendName, ExecuteOp, OpResult, PutOp, Refusal } from '../../types/op.js'
import type { Choice, Placement } from '../../types/policy.js'
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
  /** Where the flow was when the op began, and its result; called when somebody listens. */
  readonly tell?: (from: BackendName | undefined, result: OpResult) => void
  from?: BackendName | undefined
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

/** New flows for one backend, which mostly take one question: where they are in their chunk. */
export interface Fresh {
  readonly choice: Choice
  readonly positions: Int32Array
  count: number
}

/**
 * Ops that are read, decided and encoded in one go, while the kernel works on the ones before. New flows are kept column by
 * column, since they are many and an object each would cost more. The columns are made as long as they can get: an array that grows is
 * copied again and again, which was most of the garbage of a put.
 */
export class Chunk {
  readonly puts: FlowView[]
  /** What the flows came from. */
  readonly ops: PutOp[]
  readonly runs: Run[]
  readonly indexes: number[]
  /** What the policy said of each, as far as it is tried. */
  readonly orders: Placement[]
  /** What of that is not tried for now, by position; absent as long as that is nothing. */
  held: Map<number, Refusal[]> | undefined
  readonly tasks: Task[] = []
  /** Packets to be sent through actions, now that what stood before them has ended. */
  readonly executions: Execution[] = []
  /** Deletions that are done with when the batch is. */
  deletions = 0
  #putCount = 0
  /** How many of the puts are claimed. */
  #claimed = 0

  /** Room for so many puts. */
  constructor(room: number) {
    this.puts = new Array(room)
    this.ops = new Array(room)
    this.runs = new Array(room)
    this.indexes = new Array(room)
    this.orders = new Array(room)
  }

  /** Those among the puts that wait to be claimed. */
  get unclaimed(): readonly [from: number, to: number] {
    return [this.#claimed, this.#putCount]
  }

  get size(): number {
    return this.#putCount + this.tasks.length + this.executions.length
  }

  add(flow: FlowView, op: PutOp, run: Run, index: number): void {
    const at = this.#putCount++
    this.puts[at] = flow
    this.ops[at] = op
    this.runs[at] = run
    this.indexes[at] = index
  }

  /** Calls `claim` with every put that was added since the last time, by position. Those it says no to are not the chunk's any more. */
  claim(claim: (position: number) => boolean): void {
    let kept = this.#claimed
    for (let position = kept; position < this.#putCount; position++) {
      if (!claim(position)) continue
      if (position !== kept) this.#move(position, kept)
      kept++
    }
    this.#claimed = kept
    this.#putCount = kept
  }

  #move(from: number, to: number): void {
    for (const column of [this.puts, this.ops, this.runs, this.indexes] as unknown[][])
      column[to] = column[from]
  }

  /** No more puts are added. */
  seal(): this {
    for (const column of [this.puts, this.ops, this.runs, this.indexes, this.orders])
      column.length = this.#putCount
    return this
  }
}

export const isSame = (a: Choice, b: Choice): boolean =>
  a === b || (a.backend === b.backend && a.skip === b.skip)

/** The group of the new flows with that choice, with room for `room` of them. */
export function groupFor(groups: Fresh[], choice: Choice, room: number): Fresh {
  let group = groups.find((known) => isSame(known.choice, choice))
  if (group === undefined) {
    group = { choice, positions: new Int32Array(room), count: 0 }
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
