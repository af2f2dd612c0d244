import type { FlowId } from '../../types/flow.js'
import type { BackendName, ExecuteOp, OpResult } from '../../types/op.js'
import type { Execution, Task } from './chunk.js'
import { Lines } from './lines.js'
import type { PlacementMap } from './placement.js'
import type { Run } from './run.js'

/**
 * Ops that were read and wait for others: in line behind one on the same flow, or, as executions do, for all that stands before them
 * in their call. Whoever ends an op says so here, and what waited for it can be taken up.
 */
export class Waiting {
  readonly #placement: PlacementMap
  readonly #lines = new Lines()
  /** Claimed, and not begun yet. */
  readonly #tasks: Task[] = []
  /** Executions that need not wait any more. */
  readonly #executions: Execution[] = []
  /** Deletions that were read and have not come to an end. */
  deletions = 0

  constructor(placement: PlacementMap) {
    this.#placement = placement
  }

  /** Claims the flow of an op that was read; false when the op has to stand in line. */
  claim(task: Task): boolean {
    if (task.deletes) this.deletions++
    if (this.#placement.claim(task.id) < 0) {
      this.#lines.add(task)
      return false
    }
    task.run.begin()
    return true
  }

  /** Puts an op in line whose flow another one has claimed. */
  line(task: Task): void {
    this.#lines.add(task)
  }

  /** How many there are whose turn it is by now. */
  get ready(): number {
    return this.#tasks.length
  }

  /** Those whose turn it is by now; their flows are claimed for them. */
  takeTasks(): Task[] {
    return this.#tasks.splice(0)
  }

  /** Notes an execution that was read. */
  hold(run: Run, index: number): void {
    run.hold(index)
    this.#wake(run)
  }

  /** At most `count` of those that may begin. */
  takeExecutions(count: number): Execution[] {
    return this.#executions.splice(0, count)
  }

  #wake(run: Run): void {
    for (const index of run.due()) {
      run.begin()
      this.#executions.push({ run, index, op: run.ops[index] as ExecuteOp })
    }
  }

  /** An op has come to its result. */
  finish(run: Run, index: number, id: FlowId, result: OpResult): void {
    this.#placement.release(id)
    this.#end(run, index, id, result)
  }

  /** A put has come to its result: the flow lives in `home` now, and there on that device. `hint` is what its claim answered. */
  placed(
    run: Run,
    index: number,
    id: FlowId,
    result: OpResult,
    hint: number,
    home: BackendName,
    device: number,
  ): void {
    this.#placement.release(id, home, device, hint)
    this.#end(run, index, id, result)
  }

  #end(run: Run, index: number, id: FlowId, result: OpResult): void {
    this.#next(id)
    run.finish(index, result)
    if (run.isHolding) this.#wake(run)
  }

  /** An op of a call that has failed meanwhile never begins. */
  drop(run: Run, index: number, id: FlowId): void {
    run.drop(index)
    this.#placement.release(id)
    this.#next(id)
  }

  /** Nobody knows what has become of an op: its call fails. */
  fail(run: Run, index: number, id: FlowId, error: unknown): void {
    // First, so that nothing of this call gets its turn.
    run.fail(index, error)
    this.#placement.release(id)
    this.#next(id)
  }

  /** The task asks nothing any more. */
  end(task: Task): void {
    if (task.deletes) this.deletions--
  }

  /** The next in line may begin. */
  #next(id: FlowId): void {
    if (this.#lines.isEmpty) return
    const task = this.#lines.next(id.ufid, (passedOver) => this.end(passedOver))
    if (task === undefined) return
    this.#placement.claim(task.id)
    task.run.begin()
    this.#tasks.push(task)
  }
}
