import type {
  Backend,
  BackendOp,
  BackendResult,
  FlowView,
  NewFlows,
  Rehearsed,
} from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowId } from '../../../types/flow.js'
import type { Choice } from '../../../types/policy.js'
import type { Port } from '../../../types/port.js'
import type { Transport } from '../../../types/transport.js'
import { Writer } from '../../netlink/writer.js'
import { inputFailure } from '../../ovs/view.js'
import { types } from '../../tc/message.js'
import type { CounterColumns } from '../../memory/counters.js'
import { UnderWay } from '../../memory/under-way.js'
import { inSlices, throwFirst } from '../failure.js'
import { idOf } from '../op.js'
import { Writers } from '../writers.js'
import { Answers, Batch, isGone, refusal } from './batch.js'
import { type Attempt, type Create, Creation, handleTaken } from './create.js'
import { describeFilter } from './describe.js'
import { Dumps } from './dumps.js'
import { Features } from './features.js'
import type { FilterFlow } from './filter.js'
import { type FilterId, Identities, isOurs } from './identity.js'
import { allOf, divide, isForOneLane } from './lanes.js'
import { filterObjections, notReached, softwareOnly, writeFilter } from './message.js'
import { namesMeter, type Polices } from './meters.js'
import { type Filing, NewFilters } from './new-flows.js'
import { Ports } from './ports.js'
import { Qdiscs } from './qdisc.js'
import { rehearse } from './rehearse.js'
import { type Replace, Renamer } from './renamer.js'
import { type Abilities, portObjection } from './action/index.js'

/**
 * Flows as TC flower filters on the ingress of their port, reached over rtnetlink.
 *
 * A filter is named by us (priority and handle) and carries the flow's ufid as the cookie of its actions, so nothing has to be
 * echoed and any process can tell which flow a filter is. A changed flow is replaced in place by its handle: packets never miss.
 */
export class TcBackend implements Backend {
  readonly name = 'tc'
  /** By the C program of the benchmark, Linux 6.1 in user mode: 6 to 9 us for a filter that skips hardware, 2.4 to 4 for a flow. */
  readonly weight = 2
  readonly #transport: Transport
  readonly #identities = new Identities()
  readonly #qdiscs = new Qdiscs()
  readonly #ports: Ports
  readonly #creation: Creation
  readonly #renamer: Renamer
  // One for all lanes: a list of ops is written and read in one go, before anything is awaited.
  readonly #writer = new Writer(64 * 1024)
  readonly #dumps: Dumps
  readonly #lanes: number
  readonly #features: Features
  /** The batches on their way, and what is made of their answers. */
  readonly #underWay = new UnderWay()
  readonly #polices: Polices | undefined
  /** What new flows are put with. */
  readonly #filing: Filing

  /**
   * `lanes` is how many batches are under way at the same time, on a socket each. Which lane a flow takes is left to chance: no two
   * ops on one flow may be under way together, in one call or in several, and the pipeline (`lib/dpif/pipeline.ts`) sees to it.
   * Only a list that puts and deletes goes through one, so that a put does not overtake a deletion.
   * Every batch asks for the qdiscs it needs and are not known to be there, before its filters, so that no lane waits for
   * another; whichever comes second is told EEXIST, which is as good.
   *
   * `abilities` is what flows may count on; with `polices`, meters are among it. What the kernel has is found out when it is not.
   */
  constructor(
    transport: Transport,
    {
      lanes = 1,
      abilities,
      polices,
    }: { readonly lanes?: number; readonly abilities?: Abilities; readonly polices?: Polices } = {},
  ) {
    this.#transport = transport
    this.#polices = polices
    this.#features = new Features(abilities?.supports)
    const meters = polices === undefined ? {} : { meters: polices }
    this.#ports = new Ports({ ...abilities, ...meters, supports: this.#features })
    this.#creation = new Creation(this.#identities, this.#qdiscs, this.#ports, this.#features)
    this.#renamer = new Renamer({
      transport,
      identities: this.#identities,
      ports: this.#ports,
      writer: this.#writer,
      create: async (op) => (await this.operate([op]))[0] as BackendResult,
    })
    this.#dumps = new Dumps(transport, this.#ports, this.#identities)
    this.#lanes = lanes
    this.#filing = {
      transport,
      identities: this.#identities,
      qdiscs: this.#qdiscs,
      ports: this.#ports,
      creation: this.#creation,
      polices,
      writers: new Writers(),
      lanes,
      track: (work) => this.#track(work),
      orLater: (op, outcome) => this.#orLater(op, outcome),
      putAgain: (ops) => this.#putAgain(ops),
    }
  }

  portsChanged(ports: readonly Port[]): void {
    this.#ports.replace(ports)
    const there = new Set(ports.map(({ ifindex }) => ifindex))
    this.#qdiscs.keep(there)
    this.#identities.keep(there)
  }

  async operate(ops: readonly BackendOp[]): Promise<BackendResult[]> {
    const results: BackendResult[] = new Array(ops.length)
    let open = ops.map((op, index) => ({ op, index }))
    for (let turn = 0; open.length > 0; ) {
      const { news } = this.#identities.chains
      const attempts = await this.#attempt(open.map(({ op }) => op))
      const again: typeof open = []
      const unreached: typeof open = []
      for (const [position, entry] of open.entries()) {
        const result = attempts[position] as Attempt
        if (typeof result === 'object') results[entry.index] = result
        else if (result === 'anew') results[entry.index] = await this.#renamer.change(entry.op as Replace)
        else if (result === 'unreached') unreached.push(entry)
        else if (turn < MAX_TURNS) again.push(entry)
        else results[entry.index] = { error: refusal(entry.op, handleTaken) }
      }
      if (again.length > 0) {
        // Two processes meet over one name; or a flow waits for one before it, and then every turn gets some further.
        this.#identities.leap(turn)
        if (again.length + unreached.length === open.length) turn++
        await this.#findOut()
      }
      // What leads there may have come with the same list.
      const isLast = again.length === 0 && news === this.#identities.chains.news
      for (const { op, index } of isLast ? unreached : [])
        results[index] = { error: notReached((op as Create).flow) }
      open = isLast ? [] : [...again, ...unreached].sort((a, b) => a.index - b.index)
    }
    return results
  }

  /** Finds out what flows depend on: what the kernel has, what others have put on a port, and what became of flows under way. */
  async #findOut(): Promise<void> {
    const ifindex = this.#features.question
    if (ifindex !== undefined) await this.#probe(ifindex)
    for (const ifindex of this.#creation.questions) await this.#learnChains(ifindex)
    await this.#underWay.allEnded()
  }

  async #probe(ifindex: number): Promise<void> {
    const batch = new Batch(this.#writer)
    this.#qdiscs.ensure(batch, ifindex)
    const read = this.#features.write(batch, ifindex)
    const answers = new Answers(await batch.send(this.#transport), this.#ports)
    this.#qdiscs.settle(batch, answers)
    read(answers)
    await this.#qdiscs.mark(this.#transport)
  }

  /** Which chains the filters of a port lead to, whoever put them; a terse dump does not tell. */
  async #learnChains(ifindex: number): Promise<void> {
    const port = this.#ports.byIfindex(ifindex)
    if (port !== undefined) {
      for await (const flows of this.#dumps.of(port, false)) {
        for (const { id, targets } of flows) this.#identities.chains.set(id, ifindex, targets)
      }
      this.#identities.chains.learned(ifindex)
    }
    this.#creation.questions.delete(ifindex)
  }

  /** Remembers what is under way until it is over. */
  #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    return work
  }

  /**
   * One exchange for each lane; one lane where the order of different flows counts. What another process took or removed meanwhile
   * makes an op go round again.
   */
  async #attempt(ops: readonly BackendOp[]): Promise<Attempt[]> {
    if (this.#polices?.isWanted) await this.#polices.ready()
    if (ops.some((op) => op.verb !== 'create' && !this.#identities.has(idOf(op)))) await this.#lookAround()
    const parts = divide(ops.length, isForOneLane(ops) ? 1 : this.#lanes)
    if (parts.length === 1) return this.#track(this.#attemptPart(ops, 0))
    const work = parts.map(({ lane, from, to }) => this.#track(this.#attemptPart(ops.slice(from, to), lane)))
    return (await allOf(work)).flat()
  }

  async #attemptPart(ops: readonly BackendOp[], lane: number): Promise<Attempt[]> {
    await this.#forgetStrangers(ops, lane)
    const batch = new Batch(this.#writer)
    try {
      const plans = ops.map((op) => this.#planOrFailure(batch, op))
      const answers = new Answers(await batch.send(this.#transport, lane), this.#ports)
      this.#qdiscs.settle(batch, answers)
      const attempts = plans.map((plan, index) => this.#orLater(ops[index] as BackendOp, plan(answers)))
      this.#identities.settle(batch.jumps)
      await this.#qdiscs.mark(this.#transport)
      return attempts
    } catch (error) {
      this.#writer.reset()
      this.#identities.forget(batch)
      throw error
    }
  }

  /**
   * Another process may have deleted a filter of ours, and its name may be another flow's by now. What is going to be changed or
   * deleted is looked at first, and forgotten when its cookie is not the flow's: a filter that is not ours is never touched.
   */
  async #forgetStrangers(ops: readonly BackendOp[], lane: number): Promise<void> {
    const batch = new Batch(this.#writer)
    const asked: { readonly flow: FlowId; readonly at: number }[] = []
    for (const op of ops) {
      if (op.verb !== 'replace' && op.verb !== 'del') continue
      const flow = idOf(op)
      const id = this.#identities.get(flow)
      if (id === undefined) continue
      asked.push({ flow, at: batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, id)) })
    }
    if (asked.length === 0) return
    const answers = new Answers(await batch.send(this.#transport, lane), this.#ports)
    for (const { flow, at } of asked) {
      const failure = answers.failure(at)
      const held = answers.found(at)?.ufid ?? flow.ufid
      if (held !== flow.ufid || (failure !== undefined && isGone(failure))) this.#identities.delete(flow)
    }
  }

  sweep(): AsyncIterable<CounterColumns> {
    return this.#dumps.sweep()
  }

  /** A flow nobody told us of may have been put by another process: learns which flows the ports hold. */
  async #lookAround(): Promise<void> {
    for await (const _ of this.dump({ terse: true }));
  }

  #planOrFailure(batch: Batch, op: BackendOp): (answers: Answers) => Attempt {
    try {
      return this.#plan(batch, op)
    } catch (cause) {
      // A value that does not fit its field is found when it is written.
      const error = inputFailure(cause)
      return () => ({ error })
    }
  }

  /** Writes the messages of one op and says how their answers are read. */
  #plan(batch: Batch, op: BackendOp): (answers: Answers) => Attempt {
    if (op.verb === 'create') return this.#creation.plan(batch, op)
    const id = this.#identities.get(idOf(op))
    if (id === undefined) return () => ({ error: refusal(op, { errno: ENOENT }) })
    if (op.verb === 'replace') return this.#planReplace(batch, op, id)
    if (op.verb === 'get') {
      const at = batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, id))
      return (answers) => this.#readGet(answers, at, op)
    }
    const before = op.wantStats
      ? batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, id))
      : undefined
    const at = batch.add((writer) => writeFilter(writer, types.DELTFILTER, 0, id))
    return (answers) => {
      const error = answers.error(at, op)
      // Gone by another hand, or together with its device: gone all the same.
      if (error === undefined || error.error.code === 'NOT_FOUND' || error.error.errno === ENODEV) {
        this.#identities.delete(op.id)
      }
      return error ?? answers.stats(before)
    }
  }

  #readGet(answers: Answers, at: number, op: BackendOp & { verb: 'get' }): Attempt {
    const error = answers.error(at, op)
    const flow = error === undefined ? answers.flow(at) : undefined
    if (flow?.ufid === op.id.ufid) return { flow, stats: flow.stats }
    // Gone, or the name is another flow's by now.
    if (flow !== undefined || error?.error.code === 'NOT_FOUND') this.#identities.delete(op.id)
    return error ?? { error: refusal(op, { errno: ENOENT }) }
  }

  newFlows(choice: Choice, room: number): NewFlows {
    return new NewFilters(this.#filing, choice, room)
  }

  async #putAgain(ops: readonly Create[]): Promise<BackendResult[]> {
    this.#identities.leap(0)
    await this.#findOut()
    return this.operate(ops)
  }

  #planReplace(batch: Batch, op: Replace, id: FilterId): (answers: Answers) => Attempt {
    const filter = this.#creation.translate(op.flow, op.choice)
    if (typeof filter === 'string') return () => filter
    if ('error' in filter) return () => filter
    const { ifindex, protocol, chain, targets } = filter
    if (ifindex !== id.ifindex || protocol !== id.protocol || chain !== id.chain) return () => 'anew'
    // New actions start counting at 0, so the old counters are read just before.
    const before = batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, id))
    const at = batch.add((writer) => writeFilter(writer, types.NEWTFILTER, 0, id, filter.write))
    const jump = this.#identities.chains.expect(op.flow, ifindex, targets)
    batch.jumps.push(jump)
    return (answers) => {
      const failure = answers.failure(at)
      jump.refused = failure !== undefined
      // fl_check_assign_mask(), net/sched/cls_flower.c: a filter keeps its mask as long as it has its name.
      if (failure?.errno === EINVAL && failure.text === undefined) return 'anew'
      const error = answers.error(at, op)
      if (error?.error.code === 'NOT_FOUND') this.#identities.delete(op.flow)
      return error ?? { ...answers.stats(before), restarted: true }
    }
  }

  /** What failed because the meters were not known, or are others by now, is tried again with those there are. */
  #orLater(op: BackendOp, outcome: Attempt): Attempt {
    if (this.#polices === undefined || typeof outcome !== 'object' || outcome.error === undefined)
      return outcome
    const { errno } = outcome.error
    // The police a filter names is gone, and must not be made; see translateMeter().
    if (errno === ENOMEM && 'flow' in op && namesMeter(op.flow.actions)) this.#polices.forget()
    return this.#polices.isWanted && (errno === undefined || errno === ENOMEM) ? 'again' : outcome
  }

  /** Whether a flow can be a filter may depend on which meters there are. */
  async learn(flow: FlowView): Promise<void> {
    if (this.#polices !== undefined && namesMeter(flow.actions)) await this.#polices.ready()
  }

  objections(flow: FlowView, choice: Choice): Failure[] {
    return [...filterObjections(flow, choice, this.#ports), ...this.#creation.objections(flow)]
  }

  softwareOnly(flow: FlowView, choice: Choice): Failure | undefined {
    return softwareOnly(flow, choice, this.#ports)
  }

  rehearse(flow: FlowView, choice: Choice): Rehearsed[] {
    return rehearse(flow, choice, this.#ports)
  }

  filter(flow: FlowView, choice: Choice): string {
    return describeFilter(flow, choice, this.#ports, this.#identities)
  }

  dump({ terse }: { readonly terse: boolean }): AsyncIterable<readonly FilterFlow[]> {
    return this.#dumps.all(terse)
  }

  async flush(gone?: (id: FlowId) => void): Promise<void> {
    for (const port of this.#ports.all()) await this.#flushPort(port, gone)
    await this.#qdiscs.removeOurs(this.#transport)
  }

  async portLeaving(port: Port, gone?: (id: FlowId) => void): Promise<void> {
    await this.#flushPort(port, gone)
    await this.#qdiscs.remove(this.#transport, port.ifindex)
  }

  /** Deletes what we put on a port, in whichever process. */
  async #flushPort(port: Port, gone?: (id: FlowId) => void): Promise<void> {
    if (portObjection(port) !== undefined) return
    const ours: Deletion[] = []
    for await (const flows of this.#dumps.of(port, true)) {
      for (const { id, place } of flows)
        if (isOurs(place.handle)) ours.push({ verb: 'del', id, wantStats: false })
    }
    await inSlices(ours, async (slice) => {
      throwFirst(await this.operate(slice))
      for (const { id } of slice) gone?.(id)
    })
  }
}

type Deletion = BackendOp & { readonly verb: 'del' }

const ENOENT = 2
const ENOMEM = 12
const ENODEV = 19
const EINVAL = 22

/** Two processes that put filters on one port meet at most this often over one flow. */
const MAX_TURNS = 8
