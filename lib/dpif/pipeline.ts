import { setImmediate as turn } from 'node:timers/promises'
import type { Backend, BackendResult, FlowView, Unmade } from '../../types/backend.js'
import type { Executor, Language } from '../../types/dpif.js'
import type { FlowId, Ufid } from '../../types/flow.js'
import type {
  BackendName,
  DelOp,
  ExecuteOp,
  GetOp,
  OpResult,
  PutMode,
  PutOp,
  Refusal,
} from '../../types/op.js'
import type { Choice, Placement, RemovalCause } from '../../types/policy.js'
import { batches, Chunk, type Execution, type Fresh, groupFor, isSame, Success, type Task } from './chunk.js'
import { Lines } from './lines.js'
import { Move, planMove } from './move.js'
import {
  decide,
  type Plan,
  type PlanContext,
  planDel,
  planGet,
  planPut,
  type PutRequest,
  type Step,
} from './plan.js'
import { Run, type Work } from './run.js'

/** What a {@link Pipeline} works with. */
export interface Engine {
  readonly context: PlanContext
  readonly backends: ReadonlyMap<BackendName, Backend>
  readonly executor: Executor
  readonly language: Pick<Language, 'view' | 'identify' | 'failure'>
  /** Whether a flow has to do with a port nobody has heard of: somebody else may have added it. */
  namesUnknownPort(flow: FlowView): boolean
  learnPorts(): Promise<unknown>
}

/** Typed or raw puts in a chunk: some milliseconds of work. Each chunk costs a few system calls and switches between threads. */
const CHUNK = 2048
/** A chunk of more ops than this lets the event loop turn between being read and being encoded. */
const LONG = 256
/** Reading text takes so many times longer. */
const TEXT = 8

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
  /** Those that were not read to their end, in the order of the calls. */
  readonly #runs: Run[] = []
  /** Those in line behind an op on the same flow. */
  readonly #lines = new Lines()
  /** Claimed, and not begun yet. */
  readonly #ready: Task[] = []
  /** Executions that need not wait any more. */
  readonly #executions: Execution[] = []
  #underWay = 0
  /** Deletions that were read and have not come to an end. */
  #deletions = 0
  /** Chunks that were read and let the event loop turn. */
  #waiting = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** One result for each op. Rejects when the transport fails. */
  run(ops: readonly Work[]): Promise<OpResult[]> {
    if (ops.length === 0) return Promise.resolve([])
    const run = new Run(ops)
    this.#runs.push(run)
    this.#pump()
    return run.done
  }

  #pump(): void {
    while (this.#underWay < DEPTH) {
      const chunk = this.#nextChunk()
      if (chunk.size === 0) return
      this.#underWay++
      void this.#carryOut(chunk).finally(() => {
        this.#underWay--
        this.#pump()
      })
    }
  }

  /** What can begin now, each on a flow of its own. Empty when all that is left has to wait. */
  #nextChunk(): Chunk {
    const chunk = new Chunk(this.#unread())
    for (const task of this.#ready.splice(0)) this.#add(task, chunk)
    chunk.executions.push(...this.#executions.splice(0, CHUNK))
    this.#fill(chunk)
    this.#claimPuts(chunk)
    return chunk.seal()
  }

  /** How many ops wait to be read, as far as a chunk has room. */
  #unread(): number {
    let count = 0
    for (const run of this.#runs) {
      count += run.ops.length - run.read
      if (count >= CHUNK) return CHUNK
    }
    return count
  }

  #fill(chunk: Chunk): void {
    let room = CHUNK - chunk.size
    for (let run = this.#runs[0]; run !== undefined && room > 0; run = this.#runs[0]) {
      while (!run.isRead && !run.hasFailed && room > 0) {
        // It may want the match of a flow whose deletion is not even asked for.
        if (this.#deletions > chunk.deletions && isPut(run.ops[run.read])) return
        room -= this.#read(run, run.read++, chunk)
      }
      if (run.isRead || run.hasFailed) this.#runs.shift()
    }
  }

  /** Reads one op, and answers how much room it takes. What cannot be read fails alone. */
  #read(run: Run, index: number, chunk: Chunk): number {
    const op = run.ops[index] as Work
    try {
      if (op.op !== 'put') {
        // In the order of the ops, as far as they are about one flow.
        this.#claimPuts(chunk)
        if (op instanceof Move) {
          this.#claim(this.#moveTask(op, run, index), chunk)
          return 1
        }
        if (op.op === 'execute') return this.#readExecution(run, index, chunk)
        this.#claim(this.#nameTask(op as DelOp | GetOp, run, index), chunk)
        return 1
      }
      const { mode = 'create' } = op
      if (mode !== 'create' && !modes.has(mode))
        throw new TypeError(`'${mode}' is no mode; there are ${[...modes].join(', ')}`)
      const flow = this.#engine.language.view(op, mode)
      if (mode === 'modify' || op.confirm) {
        this.#claimPuts(chunk)
        this.#claim(this.#putTask(op, flow, run, index), chunk)
      } else chunk.add(flow, op, run, index)
      return typeof op.key === 'string' ? TEXT : 1
    } catch (error) {
      this.#refuse(run, index, error)
      return 1
    }
  }

  /** Claims the puts that were read. Those that take more than one question become tasks, and those behind another op wait in line. */
  #claimPuts(chunk: Chunk): void {
    const [from, to] = chunk.unclaimed
    if (from === to) return
    const { placement } = this.#engine.context
    const { puts, ops, runs, indexes } = chunk
    placement.fetch(puts, from, to)
    chunk.claim((position) => {
      const flow = puts[position] as FlowView
      const op = ops[position] as PutOp
      const run = runs[position] as Run
      const known = placement.claim(flow)
      // Behind a deletion it waits its turn in the same batch: it may be the same match under another ufid.
      if (known === undefined || known.length > 0 || chunk.deletions > 0) {
        const task = this.#putTask(op, flow, run, indexes[position] as number)
        if (known === undefined) this.#lines.add(task)
        else this.#add(begun(task), chunk)
        return false
      }
      run.begin()
      return true
    })
  }

  /** Nothing before it under way, it is done with this chunk. */
  #readExecution(run: Run, index: number, chunk: Chunk): number {
    run.hold(index)
    this.#wake(run, chunk.executions)
    return 1
  }

  /** Takes up the executions of a run that waited for what has ended now. */
  #wake(run: Run, into: Execution[]): void {
    for (const index of run.due()) {
      run.begin()
      into.push({ run, index, op: run.ops[index] as ExecuteOp })
    }
  }

  #refuse(run: Run, index: number, error: unknown): void {
    try {
      run.refuse(index, { ufid: '', error: this.#engine.language.failure(error) })
    } catch (bug) {
      run.abort(bug)
    }
  }

  #putTask(op: PutOp, flow: FlowView, run: Run, index: number): Task {
    const start = () => {
      const order = decide(this.#engine.context, flow)
      if ('error' in order) return { ufid: flow.ufid, error: order.error }
      return planPut(this.#engine.context, requestOf(op, flow), order)
    }
    const tell: Task['tell'] = (from, result) => this.#engine.context.news.ofPut(flow, from, result)
    return { run, index, id: flow, start, deletes: false, tell, plan: undefined, step: undefined }
  }

  #moveTask(move: Move, run: Run, index: number): Task {
    const { context, language } = this.#engine
    const start = () => planMove(context, (flow) => language.view(flow, 'upsert'), move)
    const tell: Task['tell'] = () => context.news.ofMove(move)
    return { run, index, id: move.id, start, deletes: false, tell, plan: undefined, step: undefined }
  }

  #nameTask(op: DelOp | GetOp, run: Run, index: number): Task {
    if (op.op !== 'del' && op.op !== 'get') {
      throw new TypeError(`'${(op as { op: unknown }).op}' is no op; there are put, del, get and execute`)
    }
    const { context, language } = this.#engine
    const named = language.identify(op)
    const cause: RemovalCause = op instanceof Expiry ? 'idle' : 'del'
    const start = () =>
      op.op === 'get'
        ? planGet(context, named)
        : planDel(context, { ...named, wantStats: op.stats === true }, cause)
    const deletes = op.op === 'del'
    return { run, index, id: named.id, start, deletes, plan: undefined, step: undefined }
  }

  #claim(task: Task, chunk: Chunk): void {
    if (task.deletes) this.#deletions++
    const known = this.#engine.context.placement.claim(task.id)
    if (known === undefined) this.#lines.add(task)
    else this.#add(begun(task), chunk)
  }

  /** Takes up a task that was claimed and begun. */
  #add(task: Task, chunk: Chunk): void {
    // Where a flow lives nobody knows of is asked step by step.
    if (task.deletes && this.#engine.context.placement.of(task.id).length === 1) chunk.deletions++
    chunk.tasks.push(task)
  }

  /** The flow's op has ended: the next in line may begin. */
  #release(id: FlowId, home?: BackendName, device = 0): void {
    this.#engine.context.placement.release(id, home, device)
    if (this.#lines.isEmpty) return
    const task = this.#lines.next(id.ufid, (passedOver) => this.#end(passedOver))
    if (task === undefined) return
    this.#engine.context.placement.claim(task.id)
    this.#ready.push(begun(task))
  }

  async #carryOut(chunk: Chunk): Promise<void> {
    try {
      const engine = this.#engine
      // No chunk passes one that waits.
      if (chunk.size > LONG || this.#waiting > 0) await this.#turn()
      if (chunk.puts.some((flow) => engine.namesUnknownPort(flow))) await engine.learnPorts()
      // In every round the steps that are due for one backend form one batch, and the backends work at the same time.
      let next: Task[] = []
      const work = this.#place(chunk).map((fresh) => this.#create(chunk, fresh, next))
      if (chunk.executions.length > 0) work.push(this.#execute(chunk.executions))
      let due = chunk.tasks.filter((task) => this.#begin(task))
      for (;;) {
        for (const [name, batch] of batches(due)) work.push(this.#ask(name, batch, next))
        if (work.length === 0) return
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
  }

  /** Lets timers and other people's answers come to their turn. Whoever waits goes on in the order in which they came. */
  async #turn(): Promise<void> {
    this.#waiting++
    await turn()
    this.#waiting--
  }

  /** Asks the policy about the new flows of a chunk. */
  #place(chunk: Chunk): Fresh[] {
    const { puts, runs, indexes, orders } = chunk
    const { backOff } = this.#engine.context
    const groups: Fresh[] = []
    let last: Fresh | undefined
    for (let position = 0; position < puts.length; position++) {
      const flow = puts[position] as FlowView
      const run = runs[position] as Run
      if (run.hasFailed) {
        orders[position] = nowhere
        this.#drop(run, indexes[position] as number, flow)
        continue
      }
      const order = decide(this.#engine.context, flow)
      if ('error' in order) {
        orders[position] = nowhere
        this.#finish(run, indexes[position] as number, flow, { ufid: flow.ufid, error: order.error })
        continue
      }
      const tried = backOff.isActive ? this.#tried(chunk, position, order) : order
      orders[position] = tried
      const choice = tried.choices[0] as Choice
      if (last === undefined || !isSame(choice, last.choice)) last = groupFor(groups, choice, puts.length)
      last.positions[last.count++] = position
    }
    return groups
  }

  /** The choices without those at the front that are not tried for now; one is left in any case. */
  #tried(chunk: Chunk, position: number, order: Placement): Placement {
    const { choices } = order
    const { backOff } = this.#engine.context
    const flow = chunk.puts[position] as FlowView
    const held: Refusal[] = []
    while (held.length < choices.length - 1) {
      const objection = backOff.objection(flow, choices[held.length] as Choice)
      if (objection === undefined) break
      held.push(objection)
    }
    if (held.length === 0) return order
    chunk.held ??= new Map()
    chunk.held.set(position, held)
    return { ...order, choices: choices.slice(held.length) }
  }

  /** Puts new flows; those that were refused go on with a plan. */
  async #create(chunk: Chunk, { choice, positions, count }: Fresh, next: Task[]): Promise<void> {
    const { backend } = choice
    const flows = count === chunk.puts.length ? chunk.puts : pick(chunk.puts, positions, count)
    const unmade = await (this.#engine.backends.get(backend) as Backend).create(flows, choice)
    const { ops, runs, indexes, orders, held } = chunk
    const { context } = this.#engine
    const { placement, devices, backOff, news, events, policy } = context
    events.placed(backend, flows.length - unmade.length)
    const tells = events.tellsPlacements
    const onDevices = devices.any && backend === 'tc'
    const isProbed = backOff.isActive
    const isWanted = news.isWanted
    let refusal = 0
    placement.fetch(flows)
    for (let turn = 0; turn < flows.length; turn++) {
      const flow = flows[turn] as FlowView
      const position = positions[turn] as number
      const run = runs[position] as Run
      const index = indexes[position] as number
      const op = ops[position] as PutOp
      if (unmade[refusal]?.index !== turn) {
        const { ufid } = flow
        const declined = held?.get(position)
        const result: OpResult =
          op.stats === true || declined !== undefined
            ? { ufid, backend, ...(op.stats ? { stats: noStats } : {}), ...(declined && { declined }) }
            : new Success(ufid, backend)
        if (isProbed) backOff.worked(flow)
        this.#finish(run, index, flow, result, backend, onDevices ? devices.of(flow.inPort) : 0)
        if (tells) events.tellPlacement(flow, backend, policy.name, orders[position] as Placement)
        if (isWanted) news.placed(flow, { ufid, cause: 'put', backend, declined: declined ?? [] })
        continue
      }
      const { error } = unmade[refusal++] as Unmade
      const order = orders[position] as Placement
      const before = held?.get(position) ?? []
      const start = () => planPut(context, requestOf(op, flow), order, { error }, before)
      const tell: Task['tell'] = (from, result) => news.ofPut(flow, from, result)
      const task = { run, index, id: flow, start, deletes: false, tell, plan: undefined, step: undefined }
      if (this.#begin(task)) next.push(task)
    }
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
      this.#end(task)
      this.#drop(task.run, task.index, task.id)
      return false
    }
    const { news, placement } = this.#engine.context
    if (news.isWanted) task.from = placement.of(task.id)[0]
    const start = task.start()
    if ('next' in start) {
      task.plan = start
      return this.#advance(task)
    }
    this.#end(task)
    this.#finish(task.run, task.index, task.id, start)
    return false
  }

  #end(task: Task): void {
    if (task.deletes) this.#deletions--
  }

  /** Takes an answer; false when the op has ended. */
  #advance(task: Task, answer?: BackendResult): boolean {
    const turn = (task.plan as Plan).next(answer as BackendResult)
    if (turn.done) {
      this.#end(task)
      // First, so that whoever is answered finds a policy that knows.
      if (this.#engine.context.news.isWanted) task.tell?.(task.from, turn.value)
      this.#finish(task.run, task.index, task.id, turn.value)
    } else task.step = turn.value
    return turn.done !== true
  }

  #finish(run: Run, index: number, id: FlowId, result: OpResult, home?: BackendName, device = 0): void {
    this.#release(id, home, device)
    run.finish(index, result)
    if (run.isHolding) this.#wake(run, this.#executions)
  }

  /** An op of a call that has failed meanwhile never begins. */
  #drop(run: Run, index: number, id: FlowId): void {
    run.drop(index)
    this.#release(id)
  }

  #abandon({ puts, runs, indexes, tasks, executions }: Chunk, error: unknown): void {
    const give = (run: Run, index: number, id: FlowId) => {
      // First, so that nothing of this run gets its turn.
      run.fail(index, error)
      this.#release(id)
    }
    for (let position = 0; position < puts.length; position++) {
      const run = runs[position] as Run
      const index = indexes[position] as number
      if (!run.hasEnded(index)) give(run, index, puts[position] as FlowView)
    }
    for (const task of tasks) {
      if (task.run.hasEnded(task.index)) continue
      this.#end(task)
      give(task.run, task.index, task.id)
    }
    for (const { run, index } of executions) if (!run.hasEnded(index)) run.fail(index, error)
  }
}

/** A deletion of what nobody uses any more. */
export class Expiry implements DelOp {
  readonly op = 'del'
  readonly ufid: Ufid
  readonly stats = true

  constructor(ufid: Ufid) {
    this.ufid = ufid
  }
}

function begun(task: Task): Task {
  task.run.begin()
  return task
}

function pick(flows: readonly FlowView[], positions: Int32Array, count: number): FlowView[] {
  const picked: FlowView[] = new Array(count)
  for (let turn = 0; turn < count; turn++) picked[turn] = flows[positions[turn] as number] as FlowView
  return picked
}

const nowhere: Placement = { choices: [], reason: '' }
const modes: ReadonlySet<PutMode> = new Set(['create', 'modify', 'upsert'])
/** Nothing is to be told of a packet that went through. */
const executed: OpResult = { ufid: '' }
const noStats = { packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 }

function isPut(op: Work | undefined): boolean {
  try {
    return op?.op === 'put'
  } catch {
    // Whoever reads the op will hear of it.
    return false
  }
}

function requestOf(op: PutOp, flow: FlowView): PutRequest {
  const { zeroStats = false, stats: wantStats = false, confirm = false } = op
  return { flow, zeroStats, wantStats, confirm }
}
