import type { Backend, FlowView } from '../../types/backend.js'
import type { Dpif, Executor, Explanation, Language, PortControl } from '../../types/dpif.js'
import type {
  BackendName,
  CounterPage,
  DelOp,
  DumpOptions,
  ExecuteOp,
  Flow,
  FlowSpec,
  GetOp,
  Op,
  OpResult,
  PutOp,
} from '../../types/op.js'
import type {
  DumpMetersOptions,
  Meter,
  MeterControl,
  MeterFeatures,
  MeterSpec,
  SetMeterOptions,
} from '../../types/meter.js'
import type { Choice, Facts, Policy } from '../../types/policy.js'
import type { Conntrack, OpenConntrack } from '../../types/conntrack.js'
import type {
  AddPortOptions,
  Datapath,
  DatapathStats,
  Port,
  PortChangeControl,
  PortChanges,
  PortChangesOptions,
  SetPortOptions,
} from '../../types/port.js'
import type { UpcallControl, UpcallOptions, Upcalls } from '../../types/upcall.js'
import { DpifError } from '../errors.js'
import { Merge } from './merge.js'
import { Pipeline } from './pipeline.js'
import { PlacementMap } from './placement.js'
import { decide, type PlanContext } from './plan.js'

/** What a provider is assembled from. */
export interface DpifParts {
  readonly datapath: Datapath
  /** In the order in which tables are dumped and flows are looked for. */
  readonly backends: readonly Backend[]
  readonly policy: Policy
  readonly ports: PortControl
  readonly portChanges: PortChangeControl
  readonly conntrack: OpenConntrack
  readonly meters: MeterControl
  readonly upcalls: UpcallControl
  readonly executor: Executor
  /** Rejects with NO_DATAPATH. */
  readonly stats: () => Promise<DatapathStats>
  readonly language: Language
  /** Called once, at the end of `close()`. */
  readonly release: () => Promise<void>
}

/**
 * The provider: decides where a flow goes, in what order things happen, and what came back. It knows no bytes, no sockets and no
 * text; those are the backends', the transport's and the language's.
 *
 * Three ideas carry it. An op is a plan that asks backends step by step (`plan.ts`), many plans run side by side in few batches
 * (`pipeline.ts`), and the two tables are one (`merge.ts`).
 */
export class DpifProvider implements Dpif {
  readonly datapath: Datapath
  readonly #parts: DpifParts
  readonly #backends: ReadonlyMap<BackendName, Backend>
  readonly #placement: PlacementMap
  readonly #context: PlanContext
  readonly #pipeline: Pipeline
  readonly #merge: Merge
  #ports: ReadonlyMap<number, Port> = new Map()
  #lastKnown: number | undefined
  #knownBefore: number | undefined
  #ready: Promise<void> | undefined
  /** The last call that had to be alone. */
  #alone: Promise<unknown> = Promise.resolve()
  /** Calls that may be under way together. */
  readonly #together = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  constructor(parts: DpifParts) {
    this.#parts = parts
    this.datapath = parts.datapath
    this.#placement = new PlacementMap()
    this.#backends = new Map(parts.backends.map((backend) => [backend.name, backend]))
    const { language } = parts
    const facts: Facts = {
      port: (number) => this.#ports.get(number),
      location: (ufid) => this.#placement.of(language.idOf(ufid))[0],
    }
    const backends = parts.backends.map(({ name }) => name)
    this.#context = { placement: this.#placement, policy: parts.policy, facts, backends }
    this.#merge = new Merge(parts.backends, this.#placement, () => this.#beforeDump())
    this.#pipeline = new Pipeline({
      context: this.#context,
      backends: this.#backends,
      executor: parts.executor,
      language,
      namesUnknownPort: (flow) => this.#namesUnknownPort(flow),
      learnPorts: () => this.#loadPorts(),
    })
  }

  operate(ops: readonly Op[]): Promise<OpResult[]> {
    if (this.#closed !== undefined) return Promise.reject(closed())
    const results = this.#alone.then(async () => {
      await this.#getReady()
      return this.#pipeline.run(ops)
    })
    this.#together.add(results)
    const ended = () => this.#together.delete(results)
    results.then(ended, ended)
    return results
  }

  async put(flow: FlowSpec, options: PutOptions = {}): Promise<OpResult> {
    return this.#one({ op: 'put', ...flow, ...options })
  }

  async del(flow: Omit<DelOp, 'op'>): Promise<OpResult> {
    return this.#one({ op: 'del', ...flow })
  }

  async get(flow: Omit<GetOp, 'op'>): Promise<OpResult> {
    return this.#one({ op: 'get', ...flow })
  }

  async execute(packet: Omit<ExecuteOp, 'op'>): Promise<OpResult> {
    return this.#one({ op: 'execute', ...packet })
  }

  upcalls(options: UpcallOptions = {}): Upcalls {
    this.#checkOpen()
    return this.#parts.upcalls.open(options)
  }

  async stats(): Promise<DatapathStats> {
    this.#checkOpen()
    return this.#parts.stats()
  }

  dump(options: DumpOptions = {}): AsyncIterableIterator<Flow> {
    return this.#merge.dump(options)
  }

  sweep(): AsyncIterableIterator<CounterPage> {
    return this.#merge.sweep()
  }

  flush(): Promise<void> {
    return this.#inPeace(async () => {
      await this.#loadPorts()
      for (const backend of this.#parts.backends) await backend.flush()
      this.#placement.clear()
      // What others put into TC is still there.
      this.#ready = undefined
    })
  }

  explain(spec: FlowSpec): Promise<Explanation> {
    return this.#inPeace(async () => {
      const flow = this.#parts.language.view(spec, 'create')
      await this.#getReady()
      if (this.#namesUnknownPort(flow)) await this.#loadPorts()
      for (const backend of this.#parts.backends) await backend.learn?.(flow)
      const placement = decide(this.#context, flow)
      if ('error' in placement) throw DpifError.from(placement.error)
      const judge = (choice: Choice) => {
        const backend = this.#backends.get(choice.backend) as Backend
        const objections = backend.objections(flow, choice)
        const verdict = { backend: choice.backend, objections }
        if (objections.length > 0) return verdict
        const filter = backend.filter?.(flow, choice)
        const softwareOnly = backend.softwareOnly?.(flow, choice)
        return {
          ...verdict,
          ...(softwareOnly === undefined ? {} : { softwareOnly }),
          ...(filter === undefined ? {} : { filter }),
        }
      }
      const verdicts = placement.choices.map(judge)
      const others = [...this.#backends.keys()]
        .filter((backend) => !placement.choices.some((choice) => choice.backend === backend))
        .map((backend) => judge({ backend }))
      const first = verdicts.find(({ objections }) => objections.length === 0)
      const { name: policy } = this.#parts.policy
      return {
        ufid: flow.ufid,
        policy,
        placement,
        verdicts,
        others,
        ...(first === undefined ? {} : { backend: first.backend }),
      }
    })
  }

  async ports(): Promise<readonly Port[]> {
    this.#checkOpen()
    return this.#loadPorts()
  }

  addPort(name: string, options: AddPortOptions = {}): Promise<Port> {
    return this.#inPeace(async () => {
      const port = await this.#parts.ports.add(name, options)
      await this.#loadPorts()
      return port
    })
  }

  delPort(name: string | number): Promise<void> {
    return this.#inPeace(async () => {
      const port = (await this.#loadPorts()).find((known) => known.number === name || known.name === name)
      if (port !== undefined) for (const backend of this.#parts.backends) await backend.portLeaving(port)
      await this.#parts.ports.del(name)
      await this.#loadPorts()
    })
  }

  setPort(port: string | number, options: SetPortOptions): Promise<Port> {
    return this.#inPeace(async () => {
      const changed = await this.#parts.ports.set(port, options)
      await this.#loadPorts()
      return changed
    })
  }

  portChanges(options: PortChangesOptions = {}): PortChanges {
    this.#checkOpen()
    return this.#parts.portChanges.open(options, () => this.#loadPorts())
  }

  get conntrack(): Conntrack {
    return this.#parts.conntrack
  }

  setMeter(meter: MeterSpec, options: SetMeterOptions = {}): Promise<Meter> {
    return this.#inPeace(() => this.#parts.meters.set(meter, options))
  }

  async getMeter(id: number): Promise<Meter> {
    this.#checkOpen()
    return this.#parts.meters.get(id)
  }

  delMeter(id: number): Promise<Meter> {
    return this.#inPeace(() => this.#parts.meters.del(id))
  }

  async dumpMeters(options: DumpMetersOptions = {}): Promise<Meter[]> {
    this.#checkOpen()
    return this.#parts.meters.dump(options)
  }

  async meterFeatures(): Promise<MeterFeatures> {
    this.#checkOpen()
    return this.#parts.meters.features()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    try {
      await Promise.all([this.#parts.upcalls.close(), this.#parts.portChanges.close()])
    } finally {
      await this.#parts.conntrack.close()
      await this.#quiet()
      await this.#parts.release()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #one(op: Op): Promise<OpResult> {
    const [result] = await this.operate([op])
    return result as OpResult
  }

  /** What changes more than flows waits until nothing else is under way, and nothing else begins before it has ended. */
  #inPeace<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(closed())
    const result = this.#quiet().then(work)
    this.#alone = result.then(
      () => {},
      () => {},
    )
    return result
  }

  #quiet(): Promise<unknown> {
    return Promise.allSettled([this.#alone, ...this.#together])
  }

  async #beforeDump(): Promise<void> {
    this.#checkOpen()
    await this.#loadPorts()
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
      const problems: unknown[] = []
      for (const backend of this.#parts.backends) {
        try {
          for await (const flows of backend.dump({ terse: true })) {
            for (const { id } of flows) this.#placement.add(id, backend.name)
          }
        } catch (error) {
          problems.push(error)
        }
      }
      const interrupted = problems.filter(isInterruption)
      if (interrupted.length < problems.length) throw problems.find((problem) => !isInterruption(problem))
      // Flows that come and go meanwhile are found out about when they are met; what holds still was seen by now.
      if (interrupted.length === 0 || turn === MAX_ADOPTIONS) return
    }
  }

  async #loadPorts(): Promise<readonly Port[]> {
    const ports = await this.#parts.ports.list()
    this.#ports = new Map(ports.map((port) => [port.number, port]))
    this.#lastKnown = undefined
    this.#knownBefore = undefined
    for (const backend of this.#parts.backends) backend.portsChanged(ports)
    return ports
  }

  #namesUnknownPort(flow: FlowView): boolean {
    if (!this.#isKnown(flow.inPort)) return true
    if (flow.raw !== undefined) return false
    const { actions } = flow
    for (let index = 0; index < actions.length; index++)
      if (!this.#isKnown(actions[index]?.output)) return true
    return false
  }

  /** Most flows of a list have to do with few ports, so the last ones are remembered. */
  #isKnown(number: number | undefined): boolean {
    if (number === undefined || number === this.#lastKnown || number === this.#knownBefore) return true
    if (!this.#ports.has(number)) return false
    this.#knownBefore = this.#lastKnown
    this.#lastKnown = number
    return true
  }
}

type PutOptions = Pick<PutOp, 'mode' | 'zeroStats' | 'stats' | 'confirm'>

const MAX_ADOPTIONS = 3

const isInterruption = (error: unknown) => error instanceof DpifError && error.code === 'DUMP_INTERRUPTED'

function closed(): DpifError {
  return new DpifError('CLOSED', 'this dpif was closed; open the datapath again')
}
