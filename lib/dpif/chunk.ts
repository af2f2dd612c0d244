import type { Backend, FlowView, NewFlows } from '../../types/backend.js'
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

/**
 * New flows with one choice, which mostly take one question. They are kept column by column, since they are many and an object each
 * would cost more. The columns are made as long as they can get: an array that grows is copied again and again, which was most of the
 * garbage of a put.
 */
export class Fresh {
  readonly choice: Choice
  /** The flows, as their backend has them. */
  readonly made: NewFlows
  /** How much of the chunk's room one takes. */
  readonly weight: number
  /** What they came from. */
  readonly ops: PutOp[]
  readonly runs: Run[]
  readonly indexes: number[]
  /** What the policy said of each, as far as it is tried. */
  readonly orders: Placement[]
  /** What becomes of each unless it is refused. */
  readonly results: OpResult[]
  /** Where each was in the table of placements when it was claimed. */
  readonly hints: number[]
  /** What of the policy's word is not tried for now, by position; absent as long as that is nothing. */
  held: Map<number, Refusal[]> | undefined
  count = 0

  /** Room for so many. */
  constructor(choice: Choice, made: NewFlows, room: number, weight: number) {
    this.choice = choice
    this.made = made
    this.weight = weight
    this.ops = new Array(room)
    this.runs = new Array(room)
    this.indexes = new Array(room)
    this.orders = new Array(room)
    this.results = new Array(room)
    this.hints = new Array(room)
  }

  /** What there is to know of the flow that `made` has got last. */
  add(op: PutOp, run: Run, index: number, order: Placement, result: OpResult, hint: number): void {
    const at = this.count++
    this.ops[at] = op
    this.runs[at] = run
    this.indexes[at] = index
    this.orders[at] = order
    this.results[at] = result
    this.hints[at] = hint
  }
}

/** Puts that were read and wait to be claimed: so many that what is known of them stays at hand, and the table is asked for all at once. */
export class Strip {
  readonly flows: FlowView[] = new Array(STRIP)
  readonly ops: PutOp[] = new Array(STRIP)
  readonly runs: Run[] = new Array(STRIP)
  readonly indexes: number[] = new Array(STRIP)
  count = 0

  get isFull(): boolean {
    return this.count === STRIP
  }

  add(flow: FlowView, op: PutOp, run: Run, index: number): void {
    const at = this.count++
    this.flows[at] = flow
    this.ops[at] = op
    this.runs[at] = run
    this.indexes[at] = index
  }
}

const STRIP = 64

/** Ops that are read, decided and encoded in one go, while the kernel works on the ones before. */
export class Chunk {
  readonly strip = new Strip()
  readonly fresh: Fresh[] = []
  readonly tasks: Task[] = []
  /** Packets to be sent through actions, now that what stood before them has ended. */
  readonly executions: Execution[] = []
  /** Deletions that are done with when the batch is. */
  deletions = 0
  /** Whether one of the tasks has to do with a port nobody has heard of. */
  namesUnknownPort = false
  /** How much more goes in, counted in flows of weight 1; less than nothing where the last strip took more than there was. */
  room: number
  readonly #puts: number
  readonly #capacity: number

  /** There are so many puts to come at most, and room for `capacity` flows of weight 1. */
  constructor(puts: number, capacity: number) {
    this.#puts = puts
    this.#capacity = capacity
    this.room = capacity
  }

  /** The group of the new flows with that choice, whose backend begins a list where there is none. */
  freshFor(choice: Choice, backends: ReadonlyMap<BackendName, NewFlowsMaker>): Fresh {
    for (let index = 0; index < this.fresh.length; index++) {
      const group = this.fresh[index] as Fresh
      if (isSame(group.choice, choice)) return group
    }
    const backend = backends.get(choice.backend) as NewFlowsMaker
    const { weight } = backend
    // A strip is placed as a whole, however little room was left.
    const room = Math.min(this.#puts, Math.ceil(this.#capacity / weight) + STRIP)
    const group = new Fresh(choice, backend.newFlows(choice, room), room, weight)
    this.fresh.push(group)
    return group
  }
}

/** What a chunk knows of a backend. */
type NewFlowsMaker = Pick<Backend, 'weight' | 'newFlows'>

const isSame = (a: Choice, b: Choice): boolean => a === b || (a.backend === b.backend && a.skip === b.skip)

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
