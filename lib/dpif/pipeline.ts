import { setImmediate as turn } from 'node:timers/promises'
import type { Backend, BackendResult, FlowView, Unmade } from '../../types/backend.js'
import type { BackendName, OpResult, PutOp } from '../../types/op.js'
import type { Placement } from '../../types/policy.js'
import { batches, type Chunk, type Execution, type Fresh, type Task } from './chunk.js'
import type { Engine } from './engine.js'
import { Intake } from './intake.js'
import { type Plan, planPut, requestOf, type Step } from './plan.js'
import { Run, type Work } from './run.js'
import { Waiting } from './waiting.js'

/** More ops than this are read and encoded only after the event loop had a turn. */
const LONG = 256

/** Chunks under way at the same time: one in the kernel, one being made ready. */
const DEPTH = 2

/**
 * Carries out ops chunk by chunk. While the kernel works on one chunk the next is made ready; it takes in whatever calls are waiting,
 * so many small calls cost what a large one does.
 *
 * What concerns one flow happens in order, within a call and from call to call: an op whose flow has another op under way waits in
 * line behind it. A put never overtakes a deletion, since a flow may take over the match of one that goes. An execution waits until all
 * that stands before it in its call has ended, and nothing waits for it.
 *
 * When the transport fails, what is under way is waited for, and the failure is told.
 */
export class Pipeline {
  readonly #engine: Engine
  readonly #waiting: Waiting
  readonly #intake: Intake
  #underWay = 0
  /** The event loop has a turn before the next chunk. */
  #isTurning = false

  constructor(engine: Engine) {
    this.#engine = engine
    this.#waiting = new Waiting(engine.context.placement)
    this.#intake = new Intake(engine, this.#waiting)
  }

  /** One result for each op. Rejects when the transport fails. */
  run(ops: readonly Work[]): Promise<OpResult[]> {
    if (ops.length === 0) return Promise.resolve([])
    const run = new Run(ops)
    this.#intake.add(run)
    this.#pump()
    return run.done
  }

  #pump(): void {
    while (this.#underWay < DEPTH && !this.#isTurning) {
      if (this.#intake.unread + this.#waiting.ready > LONG) {
        void this.#afterTurn()
        return
      }
      const chunk = this.#intake.take()
      if (chunk === undefined) return
      void this.#carryOut(chunk)
    }
  }

  /** Lets timers and other people's answers come to their turn first. One chunk is made in a turn. */
  async #afterTurn(): Promise<void> {
    this.#isTurning = true
    await turn()
    this.#isTurning = false
    const chunk = this.#intake.take()
    if (chunk === undefined) return
    void this.#carryOut(chunk)
    this.#pump()
  }

  async #carryOut(chunk: Chunk): Promise<void> {
    this.#underWay++
    try {
      // In every round the steps that are due for one backend form one batch, and the backends work at the same time.
      let next: Task[] = []
      const work = chunk.fresh.map((fresh) => this.#put(fresh, next))
      if (chunk.executions.length > 0) work.push(this.#execute(chunk.executions))
      if (chunk.namesUnknownPort) work.push(this.#beginInformed(chunk.tasks, next))
      let due = chunk.namesUnknownPort ? [] : chunk.tasks.filter((task) => this.#begin(task))
      for (;;) {
        for (const [name, batch] of batches(due)) work.push(this.#ask(name, batch, next))
        if (work.length === 0) break
        // All of them, so that nothing is under way any more when a failure is told.
        for (const outcome of await Promise.allSettled(work.splice(0))) {
          if (outcome.status === 'rejected') throw outcome.reason
        }
        due = next
        next = []
      }
    } catch (error) {
      this.#abandon(chunk, error)
    }
    this.#underWay--
    this.#pump()
  }

  /** Sends new flows; those that were refused go on with a plan. */
  async #put(
    { choice, made, ops, runs, indexes, orders, results, hints, held }: Fresh,
    next: Task[],
  ): Promise<void> {
    const { backend } = choice
    const unmade = await made.send()
    const { flows } = made
    const { context } = this.#engine
    const { devices, backOff, news, events, policy } = context
    events.placed(backend, flows.length - unmade.length)
    const tells = events.tellsPlacements
    const onDevices = devices.any && backend === 'tc'
    const isProbed = backOff.isActive
    const isWanted = news.isWanted
    let refusal = 0
    for (let position = 0; position < flows.length; position++) {
      const flow = flows[position] as FlowView
      const run = runs[position] as Run
      const index = indexes[position] as number
      if (unmade[refusal]?.index !== position) {
        if (isProbed) backOff.worked(flow)
        const device = onDevices ? devices.of(flow.inPort) : 0
        const hint = hints[position] as number
        this.#waiting.placed(run, index, flow, results[position] as OpResult, hint, backend, device)
        if (tells) events.tellPlacement(flow, backend, policy.name, orders[position] as Placement)
        if (isWanted) {
          const declined = held?.get(position) ?? []
          news.placed(flow, { ufid: flow.ufid, cause: 'put', backend, declined })
        }
        continue
      }
      const { error } = unmade[refusal++] as Unmade
      const order = orders[position] as Placement
      const before = held?.get(position) ?? []
      const op = ops[position] as PutOp
      const start = () => planPut(context, requestOf(op, flow), order, { error }, before)
      const tell: Task['tell'] = (from, result) => news.ofPut(flow, from, result)
      const task = { run, index, id: flow, start, deletes: false, tell, plan: undefined, step: undefined }
      if (this.#begin(task)) next.push(task)
    }
  }

  /** Begins tasks once it is known which ports there are. */
  async #beginInformed(tasks: readonly Task[], next: Task[]): Promise<void> {
    await this.#engine.learnPorts()
    for (const task of tasks) if (this.#begin(task)) next.push(task)
  }

  /** Asks one backend what is due, and takes the answers. */
  async #ask(name: BackendName, batch: readonly Task[], next: Task[]): Promise<void> {
    const backend = this.#engine.backends.get(name) as Backend
    const answers = await backend.operate(batch.map(({ step }) => (step as Step).op))
    for (let position = 0; position < batch.length; position++) {
      const task = batch[position] as Task
      if (this.#advance(task, answers[position])) next.push(task)
    }
  }

  async #execute(executions: readonly Execution[]): Promise<void> {
    const failures = await this.#engine.executor.execute(executions.map(({ op }) => op))
    executions.forEach(({ run, index }, position) => {
      const error = failures[position]
      run.finish(index, error === undefined ? executed : { ufid: '', error })
    })
  }

  /** Finds the first step; false when there is none, and the op has ended. */
  #begin(task: Task): boolean {
    if (task.run.hasFailed) {
      this.#waiting.end(task)
      this.#waiting.drop(task.run, task.index, task.id)
      return false
    }
    const { news, placement } = this.#engine.context
    if (news.isWanted) task.from = placement.of(task.id)[0]
    let start: Plan | OpResult
    try {
      start = task.start()
    } catch (bug) {
      this.#waiting.end(task)
      this.#waiting.fail(task.run, task.index, task.id, bug)
      return false
    }
    if ('next' in start) {
      task.plan = start
      return this.#advance(task)
    }
    this.#waiting.end(task)
    this.#waiting.finish(task.run, task.index, task.id, start)
    return false
  }

  /** Takes an answer; false when the op has ended. */
  #advance(task: Task, answer?: BackendResult): boolean {
    const turn = (task.plan as Plan).next(answer as BackendResult)
    if (turn.done) {
      this.#waiting.end(task)
      // First, so that whoever is answered finds a policy that knows.
      if (this.#engine.context.news.isWanted) task.tell?.(task.from, turn.value)
      this.#waiting.finish(task.run, task.index, task.id, turn.value)
    } else task.step = turn.value
    return turn.done !== true
  }

  #abandon({ fresh, tasks, executions }: Chunk, error: unknown): void {
    for (const { made, runs, indexes, count } of fresh) {
      for (let position = 0; position < count; position++) {
        const run = runs[position] as Run
        const index = indexes[position] as number
        if (!run.hasEnded(index)) this.#waiting.fail(run, index, made.flows[position] as FlowView, error)
      }
    }
    for (const task of tasks) {
      if (task.run.hasEnded(task.index)) continue
      this.#waiting.end(task)
      this.#waiting.fail(task.run, task.index, task.id, error)
    }
    for (const { run, index } of executions) if (!run.hasEnded(index)) run.fail(index, error)
  }
}

/** Nothing is to be told of a packet that went through. */
const executed: OpResult = { ufid: '' }
