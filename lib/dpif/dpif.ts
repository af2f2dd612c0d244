import type { Backend, FlowView } from '../../types/backend.js'
import type {
  AuditFinding,
  CloseOptions,
  Dpif,
  Executor,
  ExpiredFlow,
  ExpireOptions,
  Explanation,
  FlowTrace,
  KernelTracer,
  Language,
  Leftovers,
  Metrics,
  PortControl,
  RebalanceOptions,
  RebalancePass,
  ReplaceOptions,
  ReplaceProgress,
  Surveyor,
  SweepOptions,
  TraceOptions,
} from '../../types/dpif.js'
import type { Failure } from '../../types/errors.js'
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
import type { Facts, Policy } from '../../types/policy.js'
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
import type { FlowId } from '../../types/flow.js'
import type { UpcallControl, UpcallOptions, Upcalls } from '../../types/upcall.js'
import { DpifError } from '../errors.js'
import { adopt } from './adoption.js'
import { idlePages } from './ageing.js'
import { Arrivals } from './arrivals.js'
import { Audit } from './audit.js'
import { BackOff } from './back-off.js'
import { Devices } from './devices.js'
import { Events } from './events.js'
import { explain } from './explain.js'
import { History } from './history.js'
import { Idleness } from './idleness.js'
import { KnownPorts } from './known-ports.js'
import { type Clock, monotonic } from './loop.js'
import { atLeast, Loops } from './loops.js'
import { Merge } from './merge.js'
import { News } from './news.js'
import { Order } from './order.js'
import { Pipeline } from './pipeline.js'
import { PlacementMap } from './placement.js'
import { decide, type PlanContext } from './plan.js'
import type { Work } from './run.js'
import { traceFlow } from './trace.js'

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
  readonly leftovers: Leftovers
  readonly surveyor: Surveyor
  /** Left out where there is no kernel to watch. */
  readonly tracer?: KernelTracer | undefined
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
  readonly #events: Events
  readonly #audit: Audit
  readonly #ports = new KnownPorts()
  readonly #order = new Order()
  #ready: Promise<void> | undefined
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
      refusals: () => this.#backOff.recent(),
      now,
    }
    this.#devices = new Devices(this.#placement)
    this.#backOff = new BackOff(this.#devices, now)
    this.#placement.onLeft = (device) => this.#backOff.left(device)
    this.#events = new Events(parts.datapath.name)
    this.#news = new News(() => this.#context.policy, facts, this.#placement, this.#events)
    this.#context = {
      placement: this.#placement,
      arrivals: new Arrivals(),
      devices: this.#devices,
      backOff: this.#backOff,
      news: this.#news,
      events: this.#events,
      policy: parts.policy,
      facts,
      backends: parts.backends.map(({ name }) => name),
    }
    this.#audit = new Audit({
      backends: parts.backends,
      language,
      leftovers: parts.leftovers,
      placement: this.#placement,
      wanted: (flow, homes) => this.#wanted(flow, homes),
    })
    this.#merge = new Merge({
      backends: parts.backends,
      placement: this.#placement,
      arrivals: this.#context.arrivals,
      prepare: () => this.#beforeDump(),
      get: (ids) => this.#carryOut(ids.map(({ ufid }) => ({ op: 'get', ufid }))),
    })
    this.#pipeline = new Pipeline({
      context: this.#context,
      backends: this.#backends,
      executor: parts.executor,
      language,
      namesUnknownPort: (flow) => this.#ports.isMissingFor(flow),
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
    return this.#order.together(async () => {
      await this.#getReady()
      return this.#pipeline.run(ops)
    })
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

  async *audit(): AsyncGenerator<AuditFinding> {
    this.#checkOpen()
    for await (const { finding } of this.#audit.find(await this.#loadPorts())) yield finding
  }

  async *tidy(): AsyncGenerator<AuditFinding> {
    this.#checkOpen()
    await this.#getReady()
    for await (const { finding, sweep } of this.#audit.find(await this.#loadPorts()))
      if (sweep !== undefined && (await this.#inPeace(sweep))) yield finding
  }

  metrics(): Metrics {
    return this.#events.metrics()
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
      await this.#flush()
    })
  }

  async #flush(): Promise<readonly Port[]> {
    const ports = await this.#loadPorts()
    for (const backend of this.#parts.backends) await backend.flush((id) => this.#flushed(id, backend.name))
    this.#forget()
    // What others put into TC is still there.
    this.#ready = undefined
    return ports
  }

  explain(spec: FlowSpec | Omit<GetOp, 'op'>): Promise<Explanation> {
    return this.#inPeace(async () => {
      const { view, flow } = await this.#look(spec)
      if (this.#ports.isMissingFor(view)) await this.#loadPorts()
      const { surveyor } = this.#parts
      return explain({ context: this.#context, backends: this.#backends, surveyor }, view, flow)
    })
  }

  /** A flow with all its parts, and as it lives, if it does. */
  async #look(spec: FlowSpec | Omit<GetOp, 'op'>): Promise<{ view: FlowView; flow: Flow | undefined }> {
    const { language } = this.#parts
    const given = 'actions' in spec ? language.view(spec, 'create') : undefined
    await this.#getReady()
    const named = given === undefined ? spec : { ufid: given.ufid, key: given.key }
    const { flow, error } = await this.#carryOutAlone({ op: 'get', ...named })
    if (given !== undefined && flow === undefined) return { view: given, flow }
    if (flow === undefined) throw DpifError.from(error as Failure)
    const { ufid, key, mask, actions } = flow
    const whole = 'actions' in spec ? spec : { ufid, key, mask, actions }
    return { view: language.view(whole, 'upsert'), flow }
  }

  trace(spec: FlowSpec, options: TraceOptions = {}): Promise<FlowTrace> {
    return this.#inPeace(async () => {
      await this.#getReady()
      const { language, surveyor, tracer } = this.#parts
      const parts = {
        ...{ context: this.#context, backends: this.#backends, language, surveyor },
        operate: (op: Op) => this.#carryOutAlone(op),
      }
      return traceFlow(tracer === undefined ? parts : { ...parts, tracer }, spec, options)
    })
  }

  /** One op, by whoever is alone already. */
  async #carryOutAlone(op: Op): Promise<OpResult> {
    const [result] = await this.#pipeline.run([op])
    return result as OpResult
  }

  /** Where the policy wants a flow that is in these backends. */
  #wanted({ ufid, key, mask, actions }: Flow, homes: readonly BackendName[]): BackendName {
    const order = decide(this.#context, this.#parts.language.view({ ufid, key, mask, actions }, 'upsert'))
    const choices = 'error' in order ? [] : order.choices
    return choices.find(({ backend }) => homes.includes(backend))?.backend ?? (homes[0] as BackendName)
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
      for (const backend of port === undefined ? [] : this.#parts.backends)
        await backend.portLeaving(port as Port, (id) => this.#flushed(id, backend.name))
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

  #flushed(id: FlowId, from: BackendName): void {
    this.#placement.remove(id, from)
    this.#news.left(id, from, 'flush')
  }

  /** What was remembered and not found was taken away by others. */
  #forget(): void {
    const { language } = this.#parts
    const lost: [id: FlowId, from: BackendName][] = []
    this.#placement.each((words, [from]) => {
      if (from !== undefined) lost.push([language.idOf(language.ufidOf(words)), from])
    })
    this.#placement.clear()
    for (const [id, from] of lost) this.#news.gone(id, from, 'lost')
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

  close({ flush = false }: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(flush)
    return this.#closed
  }

  async #close(flush: boolean): Promise<void> {
    try {
      await Promise.all([
        this.#parts.upcalls.close(),
        this.#parts.portChanges.close(),
        this.#parts.conntrack.close(),
        this.#loops.close(),
      ])
    } finally {
      await this.#order.quiet()
      try {
        if (flush) await this.#leaveNothing()
      } finally {
        await this.#parts.release()
      }
    }
  }

  /** The flows, and then what any process of ours has left on devices. */
  async #leaveNothing(): Promise<void> {
    const ports = await this.#flush()
    for await (const { sweep } of this.#parts.leftovers.find(ports)) await sweep?.()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #one(op: Op): Promise<OpResult> {
    const [result] = await this.operate([op])
    return result as OpResult
  }

  /** What changes more than flows. */
  #inPeace<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(closed())
    return this.#order.alone(work)
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
    this.#devices.replace(ports)
    if (this.#ports.replace(ports)) this.#backOff.clear()
    for (const backend of this.#parts.backends) backend.portsChanged(ports)
    return ports
  }
}

type PutOptions = Pick<PutOp, 'mode' | 'zeroStats' | 'stats' | 'confirm'>

function closed(): DpifError {
  return new DpifError('CLOSED', 'this dpif was closed; open the datapath again')
}
