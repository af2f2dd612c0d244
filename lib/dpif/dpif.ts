import type { Backend, FlowView } from '../../types/backend.js'
import type { Dpif, Explanation, Language, PortControl } from '../../types/dpif.js'
import type {
  BackendName,
  DelOp,
  DumpOptions,
  Flow,
  FlowSpec,
  GetOp,
  Op,
  OpResult,
  PutOp,
} from '../../types/op.js'
import type { Facts, Policy } from '../../types/policy.js'
import type { AddPortOptions, Datapath, Port } from '../../types/port.js'
import { DpifError } from '../errors.js'
import { merge } from './merge.js'
import { type Engine, runOps, type Task, type TaskStart } from './operate.js'
import { PlacementMap } from './placement.js'
import { decide, type PlanContext, planDel, planGet } from './plan.js'

/** What a provider is assembled from. */
export interface DpifParts {
  readonly datapath: Datapath
  /** In the order in which tables are dumped and flows are looked for. */
  readonly backends: readonly Backend[]
  readonly policy: Policy
  readonly ports: PortControl
  readonly language: Language
  /** Called once, at the end of `close()`. */
  readonly release: () => Promise<void>
}

/**
 * The provider: decides where a flow goes, in what order things happen, and what came back. It knows no bytes, no sockets and no
 * text; those are the backends', the transport's and the language's.
 *
 * Three ideas carry it. An op is a plan that asks backends step by step (`plan.ts`), many plans run side by side in few batches
 * (`operate.ts`), and the two tables are one (`merge.ts`).
 */
export class DpifProvider implements Dpif {
  readonly datapath: Datapath
  readonly #parts: DpifParts
  readonly #backends: ReadonlyMap<BackendName, Backend>
  readonly #placement: PlacementMap
  readonly #context: PlanContext
  readonly #engine: Engine
  #ports: ReadonlyMap<number, Port> = new Map()
  #ready: Promise<void> | undefined
  #tail: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(parts: DpifParts) {
    this.#parts = parts
    this.datapath = parts.datapath
    this.#placement = new PlacementMap(parts.language.readUfid)
    this.#backends = new Map(parts.backends.map((backend) => [backend.name, backend]))
    const facts: Facts = {
      port: (number) => this.#ports.get(number),
      location: (ufid) => this.#placement.of(ufid)[0],
    }
    const backends = parts.backends.map(({ name }) => name)
    this.#context = { placement: this.#placement, policy: parts.policy, facts, backends }
    this.#engine = {
      context: this.#context,
      backends: this.#backends,
      read: (op, index) => this.#read(op, index),
      prepare: (tasks) => this.#prepare(tasks),
    }
  }

  operate(ops: readonly Op[]): Promise<OpResult[]> {
    return this.#inTurn(async () => {
      await this.#getReady()
      return runOps(this.#engine, ops)
    })
  }

  async put(flow: FlowSpec, options: Pick<PutOp, 'mode' | 'zeroStats' | 'stats'> = {}): Promise<OpResult> {
    return this.#one({ op: 'put', ...flow, ...options })
  }

  async del(flow: Omit<DelOp, 'op'>): Promise<OpResult> {
    return this.#one({ op: 'del', ...flow })
  }

  async get(flow: Omit<GetOp, 'op'>): Promise<OpResult> {
    return this.#one({ op: 'get', ...flow })
  }

  async *dump(options: DumpOptions = {}): AsyncIterableIterator<Flow> {
    this.#checkOpen()
    await this.#loadPorts()
    yield* merge(this.#parts.backends, this.#placement, options)
  }

  flush(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#loadPorts()
      for (const backend of this.#parts.backends) await backend.flush()
      this.#placement.clear()
      // What others put into TC is still there.
      this.#ready = undefined
    })
  }

  explain(spec: FlowSpec): Promise<Explanation> {
    return this.#inTurn(async () => {
      const flow = this.#parts.language.view(spec)
      await this.#getReady()
      if (this.#namesUnknownPort(flow)) await this.#loadPorts()
      const placement = decide(this.#context, flow, 'create')
      if ('error' in placement) throw DpifError.from(placement.error)
      const verdicts = placement.choices.map((choice) => {
        const backend = this.#backends.get(choice.backend) as Backend
        return { backend: choice.backend, objections: backend.objections(flow, choice) }
      })
      const first = verdicts.find(({ objections }) => objections.length === 0)
      const { name: policy } = this.#parts.policy
      return {
        ufid: flow.ufid,
        policy,
        placement,
        verdicts,
        ...(first === undefined ? {} : { backend: first.backend }),
      }
    })
  }

  async ports(): Promise<readonly Port[]> {
    this.#checkOpen()
    return this.#loadPorts()
  }

  addPort(name: string, options: AddPortOptions = {}): Promise<Port> {
    return this.#inTurn(async () => {
      const port = await this.#parts.ports.add(name, options)
      await this.#loadPorts()
      return port
    })
  }

  delPort(name: string | number): Promise<void> {
    return this.#inTurn(async () => {
      const port = (await this.#loadPorts()).find((known) => known.number === name || known.name === name)
      if (port !== undefined) for (const backend of this.#parts.backends) await backend.portLeaving(port)
      await this.#parts.ports.del(name)
      await this.#loadPorts()
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#tail.then(() => this.#parts.release())
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #one(op: Op): Promise<OpResult> {
    const [result] = await this.operate([op])
    return result as OpResult
  }

  /** Calls take turns, so that what one decided still holds when it acts. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(closed())
    const result = this.#tail.then(work)
    this.#tail = result.catch(() => {})
    return result
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw closed()
  }

  /** Learns, once, which flows are there already: another process may have put them. */
  #getReady(): Promise<void> {
    this.#ready ??= this.#adopt().catch((error: unknown) => {
      this.#ready = undefined
      throw error
    })
    return this.#ready
  }

  async #adopt(): Promise<void> {
    await this.#loadPorts()
    for (let turn = 1; ; turn++) {
      try {
        for await (const { ufid, backend } of merge(this.#parts.backends, this.#placement, { terse: true })) {
          this.#placement.add(ufid, backend)
        }
        return
      } catch (error) {
        // Flows that come and go meanwhile are found out about when they are met; what holds still was seen by now.
        if (!(error instanceof DpifError) || error.code !== 'DUMP_INTERRUPTED') throw error
        if (turn === MAX_ADOPTIONS) return
      }
    }
  }

  async #loadPorts(): Promise<readonly Port[]> {
    const ports = await this.#parts.ports.list()
    this.#ports = new Map(ports.map((port) => [port.number, port]))
    for (const backend of this.#parts.backends) backend.portsChanged(ports)
    return ports
  }

  #namesUnknownPort(flow: FlowView): boolean {
    const unknown = (number: number | undefined) => number !== undefined && !this.#ports.has(number)
    if (unknown(flow.inPort)) return true
    if (flow.raw === undefined) for (const { output } of flow.actions) if (unknown(output)) return true
    return false
  }

  /** Reads one op into a task. What cannot be read fails alone. */
  #read(op: Op, index: number): Task | { readonly error: NonNullable<OpResult['error']> } {
    const { language } = this.#parts
    try {
      if (op.op === 'put') {
        const flow = language.view(op)
        const { mode = 'create', zeroStats = false, stats: wantStats = false } = op
        if (!modes.has(mode)) throw new TypeError(`'${mode}' is no mode; there are ${[...modes].join(', ')}`)
        return task(index, flow.ufid, { put: { flow, mode, zeroStats, wantStats } })
      }
      if (op.op !== 'del' && op.op !== 'get') {
        throw new TypeError(`'${(op as { op: unknown }).op}' is no op; there are put, del and get`)
      }
      const { ufid, key } = language.identify(op)
      const wantStats = op.op === 'del' && op.stats === true
      const named = { ufid, wantStats, ...(key === undefined ? {} : { key }) }
      const plan = op.op === 'del' ? planDel : planGet
      return task(index, ufid, { plan: () => plan(this.#context, named) })
    } catch (error) {
      return { error: language.failure(error) }
    }
  }

  /** A port this object has not heard of may have been added by somebody else. */
  async #prepare(tasks: readonly Task[]): Promise<void> {
    for (const { start } of tasks) {
      if ('put' in start && this.#namesUnknownPort(start.put.flow)) {
        await this.#loadPorts()
        return
      }
    }
  }
}

function task(index: number, ufid: string, start: TaskStart): Task {
  return { index, ufid, start, step: undefined, plan: undefined, known: [], choices: [] }
}

const MAX_ADOPTIONS = 3
const modes = new Set(['create', 'modify', 'upsert'])

function closed(): DpifError {
  return new DpifError('CLOSED', 'this dpif was closed; open the datapath again')
}
