import type { FlowView } from './backend.js'
import type { NetDevice, PreflightFinding } from './device.js'
import type { Failure } from './errors.js'
import type { FlowId, FlowKey, FlowStats, FlowWords, Match, Ufid } from './flow.js'
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
  PutMode,
  PutOp,
  Refusal,
} from './op.js'
import type { DumpMetersOptions, Meter, MeterFeatures, MeterSpec, SetMeterOptions } from './meter.js'
import type { Placement, Policy, RemovalCause } from './policy.js'
import type { Conntrack } from './conntrack.js'
import type {
  AddPortOptions,
  Datapath,
  DatapathStats,
  Port,
  PortChanges,
  PortChangesOptions,
  SetPortOptions,
} from './port.js'
import type { UpcallOptions, Upcalls } from './upcall.js'

/**
 * One datapath, its flows wherever they live. Made by `openDpif()`.
 *
 * Opening and reading write nothing: no feature of the datapath is changed. Flows stay when the object is closed.
 */
export interface Dpif extends AsyncDisposable {
  readonly datapath: Datapath
  /** The tracked connections of the network namespace, which all its datapaths share. Rejects with CLOSED after `close()`. */
  readonly conntrack: Conntrack

  /**
   * Carries out `ops` and answers one result for each, in the same order. Ops on one ufid are carried out in order, whichever
   * backends they land in and whichever calls they came with, and a put never overtakes a deletion before it. Calls that wait are
   * carried out together. A refusal is a result, a bug is an exception. Rejects with CLOSED after `close()`, and when the
   * transport itself fails.
   *
   * An `execute` comes after everything that stands before it in the same call: the packet it sends, and those it sets off, find the
   * flows that were put. What stands behind it does not wait for it.
   */
  operate(ops: readonly Op[]): Promise<OpResult[]>

  /** `operate` with one put. */
  put(flow: FlowSpec, options?: Pick<PutOp, 'mode' | 'zeroStats' | 'stats' | 'confirm'>): Promise<OpResult>
  /** `operate` with one del. */
  del(flow: Omit<DelOp, 'op'>): Promise<OpResult>
  /** `operate` with one get. */
  get(flow: Omit<GetOp, 'op'>): Promise<OpResult>
  /** `operate` with one execute. */
  execute(packet: Omit<ExecuteOp, 'op'>): Promise<OpResult>

  /**
   * The packets the datapath has no flow for, and those that `userspace` actions hand over, in batches.
   *
   * Takes over the dispatch of the whole datapath, from whomever had it: opening and reading never do, only this. It is given back, as
   * far as it is still ours, when the loop ends: then nobody has it, and packets without a flow are dropped. Ports added later have it
   * too. With `per-vport`, one that another process adds gets it while the loop runs, unless that process gave it to somebody.
   *
   * When the loop is slow, packets wait in the kernel, up to the buffers of the sockets; what does not fit is dropped by the kernel
   * and counted in `lost`, and memory here does not grow.
   *
   * ```ts
   * for await (const { upcalls, lost } of dpif.upcalls())
   *   await dpif.operate(upcalls.flatMap(({ packet, rawKey, key }) => [
   *     { op: 'put', key: rawKey, mask, actions: decide(key) },
   *     { op: 'execute', packet, key: rawKey, actions: decide(key) },
   *   ]))
   * ```
   *
   * Throws CLOSED, BUSY while there is another such loop of this object, and a RangeError on options that make no sense. The loop throws
   * NO_PRIVILEGE, NO_DATAPATH, UNSUPPORTED when the kernel lacks the dispatch that was asked for, and SOCKET.
   */
  upcalls(options?: UpcallOptions): Upcalls

  /** The datapath's counters, as they are now; `datapath.stats` are those of when it was opened. */
  stats(): Promise<DatapathStats>

  /**
   * Every flow of both backends, each ufid once, TC first. Pulls: nothing is read from a kernel before it is asked for. Works in a
   * process that put nothing. Throws at the end, after all that could be read, when a kernel could not give a whole view.
   */
  dump(options?: DumpOptions): AsyncIterableIterator<Flow>

  /**
   * The counters of every flow of both backends, each ufid once, TC first, and nothing else: for those who look at a large table every
   * second. Pulls and ends as `dump` does.
   *
   * ```ts
   * for await (const page of dpif.sweep())
   *   for (let i = 0; i < page.count; i++) total += page.packets[i]
   * ```
   *
   * With `idleMs` only the flows that no packet has hit for so long, as far as sweeps of this kind have seen: the first one counts from
   * itself where a backend does not say. See `expire`, which also deletes them.
   */
  sweep(options?: SweepOptions): AsyncIterableIterator<CounterPage>

  /** The policy that is in force. */
  readonly policy: Policy
  /**
   * From now on puts are asked about with this policy. Flows that live stay where they are until they are put again or `replace`d. One
   * that has hooks, or follows one that has, waits for what is under way. Throws CLOSED.
   */
  setPolicy(policy: Policy): void

  /**
   * Asks the policy again about every flow that lives, and moves those it wants elsewhere, the fastest first: after `setPolicy`, when a
   * device has come, or when refusals have become pointless to fear. Pulls: moves are made as the iterator is asked, a batch each time,
   * and it ends when there is nothing left to move.
   *
   * A move makes the new copy before the old one goes, and what both counted is added up; one that fails leaves the flow where it was, and
   * is not tried twice. Forgets which refusals are not tried again for now. The first look takes half a second when nothing was measured
   * before.
   *
   * This and the two below throw CLOSED, BUSY while there is another one of the kind, and a RangeError on options that make no sense. They
   * end by `break` and `return()`, by their signal, and with their dpif. Waiting keeps the process alive, and nothing else of them does.
   *
   * ```ts
   * dpif.setPolicy(elephants({ packetsPerSecond: 1000 }))
   * for await (const { looked, moved, left } of dpif.replace({ movesPerSecond: 500 })) console.log(looked, moved, left)
   * ```
   */
  replace(options?: ReplaceOptions): AsyncIterableIterator<ReplaceProgress>

  /**
   * Measures flows, and keeps the most worthy where the policy wants them: one pass each time it is asked, not before `everyMs` after the
   * last. Where there is no room the fastest that wait change places with the slowest that are in, if they are `ratio` times as fast, and
   * no flow moves again before `restMs`. With steady rates it comes to rest. Who competes are the flows of one e-switch, or of one port
   * that is on none. A filter that is allowed into hardware and is not there waits, too; one that makes room for another stays in TC's
   * software then. Flows are left alone that lead to others by recirculation, or that have no ufid in the kernel.
   */
  rebalance(options?: RebalanceOptions): AsyncIterableIterator<RebalancePass>

  /**
   * Deletes flows that no packet has hit for `idleMs` and tells of them, one list for each look, not before `everyMs` after the last. Never
   * ends by itself. A flow is deleted only when two looks have found it idle, so that late counters of a device are not taken for
   * idleness, and its last counters are told. What is idle is found out from the packets counted; flows without a ufid in the kernel stay.
   *
   * ```ts
   * for await (const expired of dpif.expire({ idleMs: 10_000 }))
   *   for (const { ufid, stats } of expired) account(ufid, stats)
   * ```
   */
  expire(options: ExpireOptions): AsyncIterableIterator<readonly ExpiredFlow[]>

  /**
   * What is not as it should be: orphans, duplicates, shadows, leftovers. Changes nothing, and pulls. What comes and goes meanwhile may
   * be told of or not; throws at the end as `dump` does.
   */
  audit(): AsyncIterableIterator<AuditFinding>

  /**
   * Takes away what `audit` calls sweepable, each when it is asked for, and tells of what is gone. Looks again before each, so that what
   * has become of use meanwhile stays. Throws what a kernel says against it.
   */
  tidy(): AsyncIterableIterator<AuditFinding>

  /**
   * Deletes every flow of the datapath in openvswitch, and the filters of ours in TC with the qdiscs this object made. Filters and
   * qdiscs of others stay.
   */
  flush(): Promise<void>

  /**
   * Where the policy sends a flow and what stands against it, without asking a kernel to take it: one that might be put, or, named by its
   * ufid or key, one that lives. Tells as well what its devices are like, and what would have to change. Rejects with NOT_FOUND when a
   * flow without actions does not live.
   *
   * ```ts
   * const { flow, changes } = await dpif.explain({ ufid })
   * if (!flow?.offloaded) console.log(changes.join('\n')) // 'ethtool -K pf0vf1 hw-tc-offload on', …
   * ```
   */
  explain(flow: FlowSpec | Omit<GetOp, 'op'>): Promise<Explanation>

  /**
   * Creates a flow and tells what it ran through, ours and the kernel's, with the time each took; then deletes it again, unless `keep` is
   * set. A flow that is there already is refused with EXISTS and left alone.
   *
   * The kernel's functions are there where it has ftrace's function_graph and this process may use it; `untraced` says why they are not.
   * What that changes in tracefs is put back, and what somebody else uses is left alone. For a moment the functions of TC, of openvswitch
   * and of the drivers are slower.
   */
  trace(flow: FlowSpec, options?: TraceOptions): Promise<FlowTrace>

  /** The ports, ascending by number, with their counters. */
  ports(): Promise<readonly Port[]>
  /**
   * Attaches a device, and makes it first when it is of type internal or a tunnel.
   *
   * ```ts
   * await dpif.addPort('eth0')
   * const { number } = await dpif.addPort('vxlan_sys_4789', { type: 'vxlan', tunnel: { gbp: true } })
   * ```
   *
   * Rejects with BUSY, EXISTS, NO_PORT, NO_SPACE, NO_PRIVILEGE, UNSUPPORTED when the kernel has no such tunnel, and with a TypeError
   * or a RangeError on options that make no sense.
   */
  addPort(name: string, options?: AddPortOptions): Promise<Port>
  /**
   * Detaches a port by name or number. Its flows stay in openvswitch; filters of ours on the device, and the qdisc this object made,
   * are removed first. The device of a tunnel goes too if `addPort` made it, in whatever process.
   */
  delPort(port: string | number): Promise<void>
  /**
   * Changes a port, by name or number, and answers it as it is then. Rejects with NO_PORT, NO_PRIVILEGE, UNSUPPORTED for what a port
   * keeps, and with a TypeError or a RangeError on options that make no sense.
   */
  setPort(port: string | number, options: SetPortOptions): Promise<Port>
  /**
   * The ports that come, go and change, whoever does it; a loss of events is told and never silent. Devices that change by themselves
   * (name, link state) are rtnetlink's business and not told.
   *
   * ```ts
   * for await (const event of dpif.portChanges()) {
   *   if (event.change === 'unknown') reconcile(await dpif.ports())
   *   else console.log(event.change, event.port.name)
   * }
   * ```
   *
   * Throws CLOSED and a RangeError. The loop throws SOCKET, and NO_DATAPATH when the datapath is deleted.
   */
  portChanges(options?: PortChangesOptions): PortChanges

  /**
   * Makes a meter, or changes the one of that number, for the action `meter(N)` to name. It is one of openvswitch and, where one
   * drop band and its burst allow it, a shared police in TC, which filters that use it keep while it changes. Answers the meter as
   * it is then; `declined` says why TC does not have it. Rejects with BUSY when TC cannot carry what is asked for and filters use
   * the police there is, with NO_PRIVILEGE, NO_SPACE or INVALID, and with a TypeError or RangeError on what is no meter.
   *
   * ```ts
   * await dpif.setMeter({ id: 1, unit: 'kbps', bands: [{ rate: 10_000, burst: 1_000 }] })
   * await dpif.put({ key: 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)', actions: 'meter(1),2' })
   * ```
   */
  setMeter(meter: MeterSpec, options?: SetMeterOptions): Promise<Meter>
  /** Rejects with NOT_FOUND. */
  getMeter(id: number): Promise<Meter>
  /**
   * Deletes a meter and answers what it had counted. Rejects with NOT_FOUND, and with BUSY while a flow in TC names it: nothing is
   * changed then. Flows of openvswitch that name it stay, and let every packet pass.
   */
  delMeter(id: number): Promise<Meter>
  /** The meters, ascending by number: those below a number, those in TC, and those this object set. */
  dumpMeters(options?: DumpMetersOptions): Promise<Meter[]>
  meterFeatures(): Promise<MeterFeatures>

  /** What has been decided, refused, moved and removed since this object was made. */
  metrics(): Metrics

  /**
   * Ends `upcalls`, `portChanges` and the other loops, waits for what is under way, then lets go of the kernel. Idempotent. Flows and qdiscs stay as they
   * are; with `flush` nothing of ours is left: neither flows of the datapath nor filters of ours, nor the qdiscs that were made for them,
   * by whatever process, and that nobody else uses.
   */
  close(options?: CloseOptions): Promise<void>
}

export interface SweepOptions {
  /** Milliseconds, at least 1. */
  readonly idleMs?: number
}

export interface CloseOptions {
  readonly flush?: boolean
}

export interface ReplaceOptions {
  /** 1,000 when left out. */
  readonly movesPerSecond?: number
  /** Ends it after the batch under way. */
  readonly signal?: AbortSignal
}

export interface ReplaceProgress {
  /** Flows there were at the last look. */
  readonly looked: number
  readonly moved: number
  /** Moves that were refused; those flows are where they were. */
  readonly failed: number
  /** Moves still to be made, as far as they are planned: 65,536 at a time. */
  readonly left: number
}

export interface RebalanceOptions {
  /** Between looks; 3,000 when left out. */
  readonly everyMs?: number
  /** At most so many moves in one pass, each change of places counts as two; 1,024 when left out. */
  readonly maxMoves?: number
  /** How many times as fast a flow has to be to take another one's place; 1.25 when left out, and more than 1. */
  readonly ratio?: number
  /** How long a flow stays where it was moved; 10,000 when left out. */
  readonly restMs?: number
  readonly signal?: AbortSignal
}

/** What one pass has done. */
export interface RebalancePass {
  readonly flows: number
  /** Into the backend the policy wants first. */
  readonly promoted: number
  /** Out of it, to make room or because the policy says so. */
  readonly demoted: number
  /** Moves that were refused; those flows are where they were. */
  readonly failed: number
  /** Flows that would be elsewhere if there were room, as far as is known without asking a kernel about each. */
  readonly waiting: number
}

export interface ExpireOptions {
  readonly idleMs: number
  /** Between looks; a quarter of `idleMs`, from 100 to 1,000, when left out. */
  readonly everyMs?: number
  readonly signal?: AbortSignal
}

export interface ExpiredFlow {
  readonly ufid: Ufid
  readonly backend: BackendName
  readonly stats: FlowStats
}

export type AuditKind =
  /** A flow in both backends. */
  | 'DUPLICATE'
  /** A filter of ours on a device that is no port of any datapath, or one that sends packets to a device that is no port of this one. */
  | 'ORPHAN'
  /** A filter of others that sees packets before flows do. */
  | 'FOREIGN_FILTER'
  /** A flow in TC that takes packets from a different flow in openvswitch; told once for each of the latter. */
  | 'SHADOW'
  /** A qdisc without a filter that we made, in this or an earlier process, on a port or on a device that is no port of any datapath. */
  | 'EMPTY_QDISC'
  /** There were more flows than are compared for shadows; those that were not looked at may have some. */
  | 'UNFINISHED'
  /** See {@link Flow.suspect}. */
  | 'SUSPECT'

export interface AuditFinding {
  readonly kind: AuditKind
  /** One sentence, with what would help. */
  readonly message: string
  readonly ufid?: Ufid
  /** Name of the device. */
  readonly device?: string
  /** Whether `tidy`, and so `hwacc sweep`, takes it away. */
  readonly sweepable: boolean
}

/** Counts since an object was made. */
export interface Metrics {
  /** Puts that ended in a backend. */
  readonly placed: Readonly<Record<BackendName, number>>
  /** Refusals of backends, by code and reason: `UNSUPPORTED_MATCH/PARTIAL_MASK`. */
  readonly refused: Readonly<Record<string, number>>
  readonly moved: Readonly<Record<BackendName, number>>
  readonly removed: Readonly<Record<RemovalCause, number>>
  /** The same in the text form of Prometheus, ending with a newline. */
  toPrometheus(): string
}

/** What `explain` answers. */
export interface Explanation {
  readonly ufid: Ufid
  readonly policy: string
  readonly placement: Placement
  /** One for each choice of the placement, in order. */
  readonly verdicts: readonly Verdict[]
  /** One for each backend the placement does not name: whether it could carry the flow, were it asked. */
  readonly others: readonly Verdict[]
  /** The first backend nothing stands against, as far as is known without asking a kernel. */
  readonly backend?: BackendName
  /** The flow as it lives; left out when it does not. */
  readonly flow?: Flow
  /** The devices it has to do with: the one its packets come in through, then those it sends them to. */
  readonly devices: readonly NetDevice[]
  /** What keeps flows on these devices out of hardware, as `preflight` has it, but for modules, which take a try. */
  readonly findings: readonly PreflightFinding[]
  /** What would have to change for the flow to be in hardware, a command or a sentence each; empty when it is. */
  readonly changes: readonly string[]
}

export interface TraceOptions {
  /** Leaves the flow in place. */
  readonly keep?: boolean
}

/** What `trace` answers. */
export interface FlowTrace {
  /** What became of the put; `declined` has what the backends said that were asked before. */
  readonly result: OpResult
  readonly policy: string
  readonly placement: Placement
  /** What we did, in order. Each was done for the first time, or nearly so: on a hot path it takes a tenth of that. */
  readonly steps: readonly TraceStep[]
  /** What the kernel did, a tree for each request; empty where it could not be seen. */
  readonly kernel: readonly TraceCall[]
  /** Why the kernel could not be watched, and what would help. */
  readonly untraced?: string
  /** The flow as it lived after the put. */
  readonly flow?: Flow
}

/** One stage of a put. */
export interface TraceStep {
  /** The stage, and the function that is its heart: `translate: translateFilter()`. */
  readonly name: string
  /** The backend it was done for, if for one. */
  readonly backend?: BackendName
  readonly microseconds: number
}

/** A function of the kernel that ran. */
export interface TraceCall {
  readonly name: string
  /** The module it is in, where it is in one. */
  readonly module?: string
  /** With all that it called; left out when the kernel did not say. */
  readonly microseconds?: number
  readonly calls: readonly TraceCall[]
}

export interface Verdict {
  readonly backend: BackendName
  readonly objections: readonly Failure[]
  /** What the backend answered when this object last put the flow, if that was a refusal and among the last 1,024. */
  readonly refusal?: Refusal
  /**
   * From TC, when nothing stands against the flow: why it is put with skip_hw all the same, for example OTHER_SWITCH. Whether a device
   * takes a flow that is offered to it, only the device knows.
   */
  readonly softwareOnly?: Failure
  /**
   * From TC, when nothing stands against the flow: the filter in the syntax of `tc` (iproute2 6.1), `tc filter add dev … flower … action
   * …`, a command that puts the same on a port that has an ingress qdisc. What `tc` has no words for is named in lines before it, and
   * then all lines begin with `#`. The handle is there when the flow is.
   */
  readonly filter?: string
}

/** How a flow's spellings are read; handed to the provider, which knows no bytes and no text. */
export interface Language {
  /** Throws SYNTAX, BAD_MESSAGE or a TypeError on a flow that cannot be read. */
  view(flow: FlowSpec, mode: PutMode): FlowView
  identify(op: Pick<GetOp, 'ufid' | 'key'>): {
    readonly id: FlowId
    readonly key?: FlowKey
  }
  /** Reads a ufid; throws a TypeError when it is none. */
  idOf(ufid: Ufid): FlowId
  /** Its text. */
  ufidOf(words: FlowWords): Ufid
  /** What is matched, as bits that two matches can be compared by. */
  bits(match: Required<Match>): MatchBits
  /** The failure an error of the caller's is; rethrows what is none. */
  failure(error: unknown): Failure
}

/** A match, by the name of each attribute that counts: its value and its mask, of one length. Bits that do not count are 0. */
export type MatchBits = ReadonlyMap<string, { readonly value: Uint8Array; readonly mask: Uint8Array }>

/** Something an audit has found, and what takes it away, where something may. */
export interface Found {
  readonly finding: AuditFinding
  /** Looks again first; false when there was nothing to take away any more. Rejects with what the kernel says against it. */
  readonly sweep?: () => Promise<boolean>
}

/** What is about on devices that flows hang on, beside the flows. */
export interface Leftovers {
  /** Orphans, foreign filters and empty qdiscs. A qdisc that is empty once what was found on it is gone is found as well. */
  find(ports: readonly Port[]): AsyncIterable<Found>
}

/** What devices are like. */
export interface Surveyor {
  /** Of these names, in their order. Changes nothing, and tries nothing. */
  survey(names: readonly string[]): Promise<Surroundings>
}

export interface Surroundings {
  readonly devices: readonly NetDevice[]
  readonly findings: readonly PreflightFinding[]
}

/** Watches what the kernel does. */
export interface KernelTracer {
  /**
   * Does `work` and answers the calls of the functions called `roots` that the kernel made for this process meanwhile, down to those of the
   * drivers of `devices`; or `untraced`, with a sentence, and `work` is done all the same. Rejects as `work` does.
   */
  during<T>(
    subject: { readonly roots: readonly string[]; readonly devices: readonly NetDevice[] },
    work: () => Promise<T>,
  ): Promise<{ readonly value: T; readonly calls: readonly TraceCall[]; readonly untraced?: string }>
}

/** Sends packets through actions. */
export interface Executor {
  /**
   * One entry for each op, in order: why it failed, or nothing. What cannot be read fails alone. Rejects when the transport fails.
   */
  execute(ops: readonly ExecuteOp[]): Promise<readonly (Failure | undefined)[]>
}

/** The ports of one datapath, as the kernel keeps them. */
export interface PortControl {
  list(): Promise<Port[]>
  add(name: string, options: AddPortOptions): Promise<Port>
  del(port: string | number): Promise<void>
  set(port: string | number, options: SetPortOptions): Promise<Port>
}
