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
import { CarriedFlow, merge } from './merge.js'
import { rounds, runPlans, type Task } from './operate.js'
import { PlacementMap } from './placement.js'
import { decide, type Plan, type PlanContext, planDel, planGet, planPut } from './plan.js'

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
  readonly #placement = new PlacementMap()
  readonly #context: PlanContext
  #ports: ReadonlyMap<number, Port> = new Map()
  #ready: Promise<void> | undefined
  #tail: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(parts: DpifParts) {
    this.#parts = parts
    this.datapath = parts.datapath
    this.#backends = new Map(parts.backends.map((backend) => [backend.name, backend]))
    const facts: Facts = {
      port: (number) => this.#ports.get(number),
      location: (ufid) => this.#placement.of(ufid)[0],
    }
    const backends = parts.backends.map(({ name }) => name)
    this.#context = { placement: this.#placement, policy: parts.policy, facts, backends }
  }

  operate(ops: readonly Op[]): Promise<OpResult[]> {
    return this.#inTurn(async () => {
      const results: OpResult[] = new Array(ops.length)
      const read: Read[] = []
      ops.forEach((op, index) => {
        const entry = this.#read(op, index)
        if ('error' in entry) results[index] = { ufid: '', error: entry.error }
        else read.push(entry)
      })
      await this.#getReady()
      if (read.some(({ flow }) => flow !== undefined && this.#namesUnknownPort(flow))) await this.#loadPorts()
      for (const round of rounds(read, ({ ufid }) => ufid)) {
        const tasks: Task[] = round.map(({ index, plan }) => ({ index, plan: plan() }))
        await runPlans(tasks, this.#backends, (index, result) => {
          results[index] = this.#withCarried(result)
        })
      }
      return results
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

  delPort(port: string | number): Promise<void> {
    return this.#inTurn(async () => {
      await this.#parts.ports.del(port)
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
        for await (const _ of merge(this.#parts.backends, this.#placement, { terse: true }));
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

  #namesUnknownPort({ key, actions }: FlowView): boolean {
    const unknown = (number: number | undefined) => number !== undefined && !this.#ports.has(number)
    return unknown(key.inPort) || actions.some(({ output }) => unknown(output))
  }

  /** Reads one op into a plan. What cannot be read fails alone. */
  #read(op: Op, index: number): Read | { readonly error: NonNullable<OpResult['error']> } {
    const { language } = this.#parts
    try {
      if (op.op === 'put') {
        const flow = language.view(op)
        const { mode = 'create', zeroStats = false, stats: wantStats = false } = op
        if (!modes.has(mode)) throw new TypeError(`'${mode}' is no mode; there are ${[...modes].join(', ')}`)
        return {
          index,
          ufid: flow.ufid,
          flow,
          plan: () => planPut(this.#context, { flow, mode, zeroStats, wantStats }),
        }
      }
      if (op.op !== 'del' && op.op !== 'get') {
        throw new TypeError(`'${(op as { op: unknown }).op}' is no op; there are put, del and get`)
      }
      const { ufid, key, ufidGiven } = language.identify(op)
      const wantStats = op.op === 'del' && op.stats === true
      const named = { ufid, wantStats, ...(ufidGiven || key === undefined ? {} : { key }) }
      const plan = op.op === 'del' ? planDel : planGet
      return { index, ufid, plan: () => plan(this.#context, named) }
    } catch (error) {
      return { error: language.failure(error) }
    }
  }

  #withCarried(result: OpResult): OpResult {
    const { flow, stats } = result
    if (flow === undefined || stats === undefined || !this.#placement.isCarried(flow.ufid)) return result
    return { ...result, flow: new CarriedFlow(flow, stats) }
  }
}

interface Read {
  readonly index: number
  readonly ufid: string
  readonly flow?: FlowView
  readonly plan: () => Plan
}

const MAX_ADOPTIONS = 3
const modes = new Set(['create', 'modify', 'upsert'])

function closed(): DpifError {
  return new DpifError('CLOSED', 'this dpif was closed; open the datapath again')
}
