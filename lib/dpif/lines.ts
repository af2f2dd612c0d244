import type { Ufid } from '../../types/flow.js'
import type { Task } from './chunk.js'

/** Ops in line, each behind another one on the same flow. */
export class Lines {
  readonly #lines = new Map<Ufid, Line>()

  get isEmpty(): boolean {
    return this.#lines.size === 0
  }

  add(task: Task): void {
    const line = this.#lines.get(task.id.ufid)
    if (line === undefined) this.#lines.set(task.id.ufid, { tasks: [task], next: 0 })
    else line.tasks.push(task)
  }

  /** Takes the next op on a flow out of its line. Those of calls that have failed never begin: `passedOver` hears of them. */
  next(ufid: Ufid, passedOver: (task: Task) => void): Task | undefined {
    const line = this.#lines.get(ufid)
    if (line === undefined) return undefined
    let found: Task | undefined
    while (found === undefined && line.next < line.tasks.length) {
      const task = line.tasks[line.next++] as Task
      if (task.run.hasFailed) passedOver(task)
      else found = task
    }
    if (line.next === line.tasks.length) this.#lines.delete(ufid)
    return found
  }
}

interface Line {
  readonly tasks: Task[]
  next: number
}
