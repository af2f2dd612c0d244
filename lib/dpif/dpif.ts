import type { Backend, FlowView } from '../../types/backend.js'
import type {
  Dpif,
  ExpiredFlow,
  ExpireOptions,
  Executor,
  Explanation,
  Language,
  PortControl,
  RebalanceOptions,
  RebalancePass,
  ReplaceOptions,
  ReplaceProgress,
  SweepOptions,
} from '../../types/dpif.js'
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
import type { Ufid } from '../../types/flow.js'
import type { UpcallControl, UpcallOptions, Upcalls } from '../../types/upcall.js'
import { DpifError } from '../errors.js'
import { adopt } from './adoption.js'
import { idlePages } from './ageing.js'
import { BackOff } from './back-off.js'
import { Devices } from './devices.js'
import { History } from './history.js'
import { Idleness } from './idleness.js'
import { type Clock, monotonic } from './loop.js'
import { atLeast, Loops } from './loops.js'
import { Merge } from './merge.js'
import { News } from './news.js'
import { Pipeline } from './pipeline.js'
import { PlacementMap } from './placement.js'
import { decide, type PlanContext } from './plan.js'
import type { Work } from './run.js'

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
  /** The machine's own when left out. */
  readonly clock?: Clock
}

/**
 * The provider: decides where a flow goes, in what order things happen, and what came back. It knows no bytes, no sockets and no
 * text; those are the backends', the transport's and the language's.
 *
 * Three ideas carry it. An op is a plan that asks backends step by step (`plan.ts`, `move.ts`), many plans run side by side in few
 * batches (`pipeline.ts`), and the two tables are one (`merge.ts`). What goes on by itself is a loop that somebody pulls (`loops.ts`).
 */
export class DpifProvider implements Dpif {
  readonly datapath: Datapath
  readonly #parts: DpifParts
  readonly #backends: ReadonlyMap<BackendName, Backend>
  readonly #placement: PlacementMap
  readonly #devices: Devices
  readonly #backOff: BackOff
  readonly #news: News
  readonly #history = new History()
  readonly #clock: Clock
  readonly #context: { -readonly [Name in keyof PlanContext]: PlanContext[Name] }
  readonly #pipeline: Pipeline
  readonly #merge: Merge
  readonly #loops: Loops
  #policy: Policy
  /** The policy in force has not heard of the flows there are. */
  #isNewcomer = true
  /** For sweeps of idle flows. */
  #idleness: Idleness | undefined
  #portsKnown = ''
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
    this.#policy = parts.policy
    this.#placement = new PlacementMap()
    this.#backends = new Map(parts.backends.map((backend) => [backend.name, backend]))
    this.#clock = parts.clock ?? monotonic
    const { language } = parts
    const now = () => this.#clock.now()
    const facts: Facts = {
      port: (number) => this.#ports.get(number),
      location: (ufid) => this.#placement.of(language.idOf(ufid))[0],
      device: (switchId) => this.#devices.facts(switchId),
      history: (ufid) => this.#history.of(language.idOf(ufid), now()),
      now,
    }
    this.#devices = new Devices(this.#placement)
    this.#backOff = new BackOff(this.#devices, now)
    this.#placement.onLeft = (device) => this.#backOff.left(device)
    this.#news = new News(() => this.#context.policy, facts, this.#placement)
    this.#context = {
      placement: this.#placement,
      devices: this.#devices,
      backOff: this.#backOff,
      news: this.#news,
      policy: parts.policy,
      facts,
      backends: parts.backends.map(({ name }) => name),
    }
    this.#merge = new Merge(parts.backends, this.#placement, () => this.#beforeDump())
    this.#pipeline = new Pipeline({
      context: this.#context,
      backends: this.#backends,
      executor: parts.executor,
      language,
      namesUnknownPort: (flow) => this.#namesUnknownPort(flow),
      learnPorts: () => this.#loadPorts(),
    })
    this.#loops = new Loops({
      context: this.#context,
      backends: this.#backends,
      language,
      merge: this.#merge,
      history: this.#history,
      clock: this.#clock,
      move: (moves) => this.#carryOut(moves),
      delete: (ops) => this.#carryOut(ops),
    })
  }

  operate(ops: readonly Op[]): Promise<OpResult[]> {
    if (this.#closed !== undefined) return Promise.reject(closed())
    return this.#carryOut(ops)
  }

  #carryOut(ops: readonly Work[]): Promise<OpResult[]> {
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

  sweep({ idleMs }: SweepOptions = {}): AsyncIterableIterator<CounterPage> {
    if (idleMs === undefined) return this.#merge.sweep()
    atLeast('idleMs', idleMs, 1)
    this.#idleness ??= new Idleness()
    return idlePages({ merge: this.#merge, clock: this.#clock }, this.#idleness, idleMs)
  }

  get policy(): Policy {
    return this.#policy
  }

  setPolicy(policy: Policy): void {
    this.#checkOpen()
    this.#policy = policy
    this.#backOff.clear()
    const { placed, removed } = policy
    if (placed === undefined && removed === undefined && !this.#news.isWanted) {
      this.#context.policy = policy
      return
    }
    // One that listens hears of all there is, before it is asked, and the one before it of all that was begun.
    void this.#inPeace(async () => {
      this.#context.policy = policy
      this.#isNewcomer = true
      this.#ready = undefined
    })
  }

  replace(options: ReplaceOptions = {}): AsyncIterableIterator<ReplaceProgress> {
    this.#checkOpen()
    return this.#loops.replace(options)
  }

  rebalance(options: RebalanceOptions = {}): AsyncIterableIterator<RebalancePass> {
    this.#checkOpen()
    return this.#loops.rebalance(options)
  }

  expire(options: ExpireOptions): AsyncIterableIterator<readonly ExpiredFlow[]> {
    this.#checkOpen()
    return this.#loops.expire(options)
  }

  flush(): Promise<void> {
    return this.#inPeace(async () => {
      await this.#loadPorts()
      for (const backend of this.#parts.backends) await backend.flush()
      const gone: [ufid: Ufid, from: BackendName][] = []
      if (this.#news.isWanted) {
        this.#placement.each((id, [from]) => {
          if (from !== undefined) gone.push([this.#parts.language.ufidOf(id), from])
        })
      }
      this.#placement.clear()
      for (const [ufid, from] of gone) this.#news.removed(ufid, from, 'flush')
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
      const { name: policy } = this.#context.policy
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
      if (port !== undefined) for (const backend of this.#parts.backends) await this.#leave(backend, port)
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

  async #leave(backend: Backend, port: Port): Promise<void> {
    for (const id of await backend.portLeaving(port)) {
      this.#placement.remove(id, backend.name)
      if (this.#placement.of(id).length === 0) this.#news.removed(id.ufid, backend.name, 'flush')
    }
  }

  setMeter(meter: MeterSpec, options: SetMeterOptions = {}): Promise<Meter> {
    return this.#inPeace(() => this.#parts.meters.set(meter, options).finally(() => this.#backOff.clear()))
  }

  async getMeter(id: number): Promise<Meter> {
    this.#checkOpen()
    return this.#parts.meters.get(id)
  }

  delMeter(id: number): Promise<Meter> {
    return this.#inPeace(() => this.#parts.meters.del(id).finally(() => this.#backOff.clear()))
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
      await Promise.all([
        this.#parts.upcalls.close(),
        this.#parts.portChanges.close(),
        this.#parts.conntrack.close(),
        this.#loops.close(),
      ])
    } finally {
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
    await adopt(this.#context, this.#parts.backends, this.#isNewcomer)
    this.#isNewcomer = false
  }

  async #loadPorts(): Promise<readonly Port[]> {
    const ports = await this.#parts.ports.list()
    this.#ports = new Map(ports.map((port) => [port.number, port]))
    this.#lastKnown = undefined
    this.#knownBefore = undefined
    this.#devices.replace(ports)
    const known = ports.map(({ number, ifindex, switchId }) => `${number} ${ifindex} ${switchId}`).join()
    if (known !== this.#portsKnown) this.#backOff.clear()
    this.#portsKnown = known
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

function closed(): DpifError {
  return new DpifError('CLOSED', 'this dpif was closed; open the datapath again')
}
