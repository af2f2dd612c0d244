import type { Op, OpResult } from '../../types/op.js'
import type { Move } from './move.js'

/** What calls ask for, and what this room asks of itself. */
export type Work = Op | Move

/** The ops of one call on their way, and the promise that was given for them. */
export class Run {
  readonly ops: readonly Work[]
  readonly done: Promise<OpResult[]>
  /** How many ops were looked at so far. */
  read = 0
  /** `dropped` stands for an op that was begun and will have no result. */
  readonly #results: (OpResult | typeof dropped)[]
  // Not a function that does nothing to begin with: V8 makes one that is written where it is assigned to a property old from its birth, and
  // that is what tsc makes of a field's first value. It would keep the run, with its results, until everything is collected.
  #resolve!: (results: OpResult[]) => void
  #reject!: (error: unknown) => void
  #settled = 0
  #underWay = 0
  #failure: { readonly error: unknown } | undefined
  /** Executions that wait for what stands before them, ascending; absent for the many calls that have none. */
  #waiting: number[] | undefined
  /** Everything before this op has ended, executions aside. */
  #front = 0

  constructor(ops: readonly Work[]) {
    this.ops = ops
    this.#results = new Array(ops.length)
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get isRead(): boolean {
    return this.read === this.ops.length
  }

  /** The transport has failed: what was not begun never is. */
  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Whether the op, once begun, has come to an end: with a result, or dropped. */
  hasEnded(index: number): boolean {
    return this.#results[index] !== undefined
  }

  /** Notes an execution that was read: it begins when everything before it has ended. */
  hold(index: number): void {
    this.#waiting ??= []
    this.#waiting.push(index)
  }

  get isHolding(): boolean {
    return this.#waiting !== undefined
  }

  /** The executions that may begin now, in order. Each is told once. */
  due(): number[] {
    const waiting = this.#waiting
    if (waiting === undefined || this.hasFailed) return []
    while (this.#front < this.read && this.#isPassed(this.#front)) this.#front++
    let count = 0
    while (count < waiting.length && (waiting[count] as number) < this.#front) count++
    return waiting.splice(0, count)
  }

  #isPassed(index: number): boolean {
    return this.#results[index] !== undefined || isExecute(this.ops[index])
  }

  begin(): void {
    this.#underWay++
  }

  /** What became of an op that was begun. */
  finish(index: number, result: OpResult): void {
    this.#underWay--
    this.refuse(index, result)
  }

  /** What became of an op that never began. */
  refuse(index: number, result: OpResult): void {
    this.#results[index] = result
    if (++this.#settled === this.ops.length) this.#resolve(this.#results as OpResult[])
    else this.#rejectWhenQuiet()
  }

  /** An op that was begun is not known to have come to an end. */
  fail(index: number, error: unknown): void {
    this.#failure ??= { error }
    this.drop(index)
  }

  /** An op that was begun goes no further, since the run has failed. */
  drop(index: number): void {
    this.#results[index] = dropped
    this.#underWay--
    this.#rejectWhenQuiet()
  }

  /** Nothing begins any more. The failure is told once nothing is under way. */
  abort(error: unknown): void {
    this.#failure ??= { error }
    this.#rejectWhenQuiet()
  }

  #rejectWhenQuiet(): void {
    if (this.#failure !== undefined && this.#underWay === 0) this.#reject(this.#failure.error)
  }
}

const dropped = Symbol('dropped')

function isExecute(op: Work | undefined): boolean {
  try {
    return op?.op === 'execute'
  } catch {
    // Whoever reads the op hears of it, and it ends there.
    return false
  }
}
