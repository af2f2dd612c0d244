import type { Backend, BackendOp, BackendResult, FlowView, Unmade } from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowId } from '../../../types/flow.js'
import type { Choice } from '../../../types/policy.js'
import type { Port } from '../../../types/port.js'
import type { MessageFailure, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { beginMessage, endMessage, flags } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { ufidToBytes } from '../../ovs/ufid.js'
import { inputFailure } from '../../ovs/view.js'
import { filterFlags, flower } from '../../tc/flower.js'
import { writeMatch } from '../../tc/match.js'
import { filterInfo, hooks, tcMessage, types } from '../../tc/message.js'
import { matchObjections } from '../../tc/objections.js'
import { inSlices, throwFirst } from '../failure.js'
import { Answers, Batch, idOf, isGone, refusal } from './batch.js'
import { FilterFlow, monotonicMs } from './filter.js'
import { type FilterId, Identities, isOurs } from './identity.js'
import { Ports } from './ports.js'
import { Qdiscs } from './qdisc.js'
import { FilterTemplate } from './template.js'
import { portObjection, translateActions } from './translate.js'

/**
 * Flows as TC flower filters on the ingress of their port, reached over rtnetlink.
 *
 * A filter is named by us (priority and handle) and carries the flow's ufid as the cookie of its actions, so nothing has to be
 * echoed and any process can tell which flow a filter is. A changed flow is replaced in place by its handle: packets never miss.
 */
export class TcBackend implements Backend {
  readonly name = 'tc'
  readonly #transport: Transport
  readonly #identities = new Identities()
  readonly #qdiscs = new Qdiscs()
  readonly #ports = new Ports()
  readonly #writer = new Writer(64 * 1024)

  constructor(transport: Transport) {
    this.#transport = transport
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
    for (let turn = 0; open.length > 0; turn++) {
      const attempts = await this.#attempt(open.map(({ op }) => op))
      const again: typeof open = []
      for (const [position, entry] of open.entries()) {
        const result = attempts[position] as Attempt
        if (typeof result === 'object') results[entry.index] = result
        else if (result === 'anew') results[entry.index] = await this.#putAnew(entry.op as Replace)
        else if (turn < MAX_TURNS) again.push(entry)
        else results[entry.index] = { error: refusal(entry.op, handleTaken) }
      }
      if (again.length > 0) this.#identities.leap(turn)
      open = again
    }
    return results
  }

  /**
   * Changes a flow whose filter cannot be changed in place: the new one is put under another name, and only then the old one is
   * deleted.
   */
  async #putAnew({ flow, choice }: Replace): Promise<BackendResult> {
    const old = this.#identities.get(flow) as FilterId
    this.#identities.delete(flow)
    try {
      const [created] = await this.operate([{ verb: 'create', flow, choice }])
      if (created?.error !== undefined) {
        this.#identities.set(flow, old)
        return created
      }
    } catch (error) {
      this.#identities.set(flow, old)
      throw error
    }
    const batch = new Batch(this.#writer)
    const before = batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, old))
    batch.add((writer) => writeFilter(writer, types.DELTFILTER, 0, old))
    const answers = new Answers(await batch.send(this.#transport), this.#ports)
    return { ...answers.stats(before), restarted: true }
  }

  /** One exchange for all of them. What another process took or removed meanwhile makes an op go round again. */
  async #attempt(ops: readonly BackendOp[]): Promise<Attempt[]> {
    if (ops.some((op) => op.verb !== 'create' && !this.#identities.has(idOf(op)))) await this.#lookAround()
    await this.#forgetStrangers(ops)
    const batch = new Batch(this.#writer)
    try {
      const plans = ops.map((op) => this.#planOrFailure(batch, op))
      const answers = new Answers(await batch.send(this.#transport), this.#ports)
      this.#qdiscs.settle(batch, answers)
      return plans.map((plan) => plan(answers))
    } catch (error) {
      this.#forgetAfterFailure(batch)
      throw error
    }
  }

  /** Nothing is known of a batch's filters; names that stayed would pass for flows. */
  #forgetAfterFailure(batch: Batch): void {
    this.#writer.reset()
    for (const id of batch.named) this.#identities.delete(id)
  }

  /**
   * Another process may have deleted a filter of ours, and its name may be another flow's by now. What is going to be changed or
   * deleted is looked at first, and forgotten when its cookie is not the flow's: a filter that is not ours is never touched.
   */
  async #forgetStrangers(ops: readonly BackendOp[]): Promise<void> {
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
    const answers = new Answers(await batch.send(this.#transport), this.#ports)
    for (const { flow, at } of asked) {
      const failure = answers.failure(at)
      const held = answers.found(at)?.ufid ?? flow.ufid
      if (held !== flow.ufid || (failure !== undefined && isGone(failure))) this.#identities.delete(flow)
    }
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
    if (op.verb === 'create') return this.#planCreate(batch, op)
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

  #planCreate(batch: Batch, op: Create): (answers: Answers) => Attempt {
    const { flow } = op
    const known = this.#identities.get(flow)
    if (known !== undefined) return this.#planExisting(batch, op, known)
    const at = this.#writeCreate(batch, flow, op.choice)
    if (typeof at === 'object') return () => ({ error: at })
    return (answers) => {
      const failure = answers.failure(at)
      return failure === undefined ? succeeded : this.#notCreated(batch, op, answers, failure)
    }
  }

  /** What it means that a new filter was refused. */
  #notCreated(
    batch: Batch,
    op: Create,
    answers: Answers,
    failure: MessageFailure,
  ): { readonly error: Failure } | 'again' {
    const { flow } = op
    // The answer was lost: the filter may be there, under this name.
    if (failure.errno === ENOBUFS) return { error: refusal(op, failure) }
    const id = this.#identities.get(flow) as FilterId
    this.#identities.delete(flow)
    if (failure.errno === EEXIST && failure.text === HANDLE_TAKEN) return 'again'
    if (failure.errno === EINVAL && PRIORITY_TAKEN.test(failure.text ?? '')) {
      this.#identities.avoid(id)
      return 'again'
    }
    const qdisc = batch.qdiscs.get(id.ifindex)
    if (qdisc === undefined && failure.text === NO_QDISC) {
      this.#qdiscs.forget(id.ifindex)
      return 'again'
    }
    const error = (qdisc === undefined ? undefined : this.#qdiscs.failure(answers, qdisc)) ?? failure
    return { error: refusal(op, error) }
  }

  async create(flows: readonly FlowView[], choice: Choice): Promise<readonly Unmade[]> {
    const batch = new Batch(this.#writer)
    const unmade: Unmade[] = []
    // Those that take a closer look: what is known already, or met another process.
    const again: number[] = []
    // Positions in the list, by the numbers of their messages; -1 for a qdisc's.
    const sent: number[] = []
    try {
      for (let index = 0; index < flows.length; index++) {
        const flow = flows[index] as FlowView
        if (this.#identities.has(flow)) {
          again.push(index)
          continue
        }
        const at = this.#writeOrRefuse(batch, flow, choice)
        if (typeof at === 'object') unmade.push({ index, error: at })
        else {
          while (sent.length < at) sent.push(-1)
          sent.push(index)
        }
      }
      const answers = new Answers(await batch.send(this.#transport), this.#ports)
      this.#qdiscs.settle(batch, answers)
      for (const failure of answers.failures()) {
        const index = sent[failure.index] ?? -1
        if (index < 0) continue
        const op = createOf(flows[index] as FlowView, choice)
        const outcome = this.#notCreated(batch, op, answers, failure)
        if (outcome === 'again') again.push(index)
        else unmade.push({ index, error: outcome.error })
      }
    } catch (error) {
      this.#forgetAfterFailure(batch)
      throw error
    }
    await this.#createAgain(flows, choice, again, unmade)
    return unmade.sort((a, b) => a.index - b.index)
  }

  async #createAgain(
    flows: readonly FlowView[],
    choice: Choice,
    positions: readonly number[],
    unmade: Unmade[],
  ): Promise<void> {
    if (positions.length === 0) return
    this.#identities.leap(0)
    const results = await this.operate(positions.map((index) => createOf(flows[index] as FlowView, choice)))
    for (const [turn, { error }] of results.entries()) {
      if (error !== undefined) unmade.push({ index: positions[turn] as number, error })
    }
  }

  /** A flow we know of is asked for: another hand may have removed it. */
  #planExisting(batch: Batch, op: Create, id: FilterId): (answers: Answers) => Attempt {
    const { ufid } = op.flow
    const at = batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, id))
    return (answers) => {
      const failure = answers.failure(at)
      if (failure === undefined && answers.flow(at).ufid === ufid)
        return { error: refusal(op, { errno: EEXIST }) }
      if (failure !== undefined && !isGone(failure)) return { error: refusal(op, failure) }
      this.#identities.delete(op.flow)
      return 'again'
    }
  }

  #writeOrRefuse(batch: Batch, flow: FlowView, choice: Choice): number | Failure {
    try {
      return this.#writeCreate(batch, flow, choice)
    } catch (cause) {
      // A value that does not fit its field is found when it is written.
      return inputFailure(cause)
    }
  }

  /**
   * Writes the message of a new filter under a new name, from the last one's template where it serves. Answers the number of the
   * message, or why there is none.
   */
  #writeCreate(batch: Batch, flow: FlowView, choice: Choice): number | Failure {
    const template = batch.templates.find(flow, choice)
    const filter = template ?? this.#translate(flow, choice)
    if ('error' in filter) return filter.error
    const id = this.#identities.allocate(filter.ifindex, filter.protocol)
    if (id === undefined) {
      const error = { errno: ENOSPC, text: 'every priority of the port is taken' }
      return refusal({ verb: 'create', flow, choice }, error)
    }
    this.#qdiscs.ensure(batch, id.ifindex)
    const { writer } = batch
    const start = writer.length
    const at = batch.begin()
    try {
      if (template !== undefined) template.write(writer, flow, id)
      else {
        const { write } = filter as Translated
        writeFilter(writer, types.NEWTFILTER, flags.CREATE | flags.EXCL, id, write)
        batch.templates.keep(FilterTemplate.from(writer.bytes.slice(start, writer.length), flow, choice, id))
      }
    } catch (error) {
      batch.takeBack(start)
      throw error
    }
    this.#identities.set(flow, id)
    batch.named.push(flow)
    return at
  }

  #planReplace(batch: Batch, op: Replace, id: FilterId): (answers: Answers) => Attempt {
    const filter = this.#translate(op.flow, op.choice)
    if ('error' in filter) return () => filter
    if (filter.ifindex !== id.ifindex || filter.protocol !== id.protocol) return () => 'anew'
    // New actions start counting at 0, so the old counters are read just before.
    const before = batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, id))
    const at = batch.add((writer) => writeFilter(writer, types.NEWTFILTER, 0, id, filter.write))
    return (answers) => {
      const failure = answers.failure(at)
      // fl_check_assign_mask(), net/sched/cls_flower.c: a filter keeps its mask as long as it has its name.
      if (failure?.errno === EINVAL && failure.text === undefined) return 'anew'
      const error = answers.error(at, op)
      if (error?.error.code === 'NOT_FOUND') this.#identities.delete(op.flow)
      return error ?? { ...answers.stats(before), restarted: true }
    }
  }

  /** Where a flow's filter goes and what it says, or why there can be none. */
  #translate(flow: FlowView, choice: Choice): Translated | { readonly error: Failure } {
    const port = flow.key.inPort === undefined ? undefined : this.#ports.byNumber(flow.key.inPort)
    const cookie = ufidToBytes(flow)
    const { actions, objections } = translateActions(flow.actions, { ...pick(flow), cookie }, this.#ports)
    const [first] = this.#objections(flow, port, objections)
    if (first !== undefined) return { error: first }
    const { etherType: protocol = 0 } = flow.key
    return {
      ifindex: port?.ifindex ?? 0,
      protocol,
      write: (writer) => {
        flower.write(writer, { actions })
        writeMatch(writer, flow.key, flow.mask)
        flower.write(writer, { flags: skipFlags(choice) })
      },
    }
  }

  objections(flow: FlowView): Failure[] {
    const port = flow.key.inPort === undefined ? undefined : this.#ports.byNumber(flow.key.inPort)
    const frame = { ...pick(flow), cookie: new Uint8Array(16) }
    return this.#objections(flow, port, translateActions(flow.actions, frame, this.#ports).objections)
  }

  #objections(
    flow: FlowView,
    port: Port | undefined,
    actions: ReturnType<typeof translateActions>['objections'],
  ): Failure[] {
    const match = matchObjections(flow.key, flow.mask)
    const place = inPortObjection(flow, port)
    return [...match, ...(place === undefined ? [] : [place]), ...actions].map(({ code, path, problem }) => ({
      code,
      path,
      message: `${path}: ${problem}`,
      backend: 'tc',
    }))
  }

  async *dump({ terse }: { readonly terse: boolean }): AsyncIterable<FilterFlow> {
    for (const port of this.#ports.all()) {
      if (portObjection(port) === undefined) yield* this.#dumpPort(port, terse)
    }
  }

  /** Every flow on one port. What is seen on the way is remembered: identities and taken priorities. */
  async *#dumpPort(port: Port, terse: boolean): AsyncIterable<FilterFlow> {
    const writer = new Writer(64)
    const at = beginMessage(writer, types.GETTFILTER, 0)
    tcMessage.header.write(writer, { ifindex: port.ifindex, parent: hooks.INGRESS })
    tcMessage.body.write(writer, terse ? { dumpFlags: { value: 1, selector: 1 } } : {})
    endMessage(writer, at)
    try {
      for await (const page of this.#transport.dump('route', writer.take())) {
        // A page is taken in whole before anybody can act on it, so that nothing is remembered that was deleted meanwhile.
        yield* this.#takeIn(page, terse)
      }
    } catch (error) {
      // A port can vanish at any time, and its filters with it.
      if (!(error instanceof DpifError) || error.errno !== ENODEV) throw error
    }
  }

  #takeIn(page: Uint8Array, terse: boolean): FilterFlow[] {
    const now = monotonicMs()
    const flows: FilterFlow[] = []
    for (const message of messagesOf(page)) {
      const flow = new FilterFlow(message, this.#ports, now, terse)
      this.#identities.seen(flow.id, flow.isFlower)
      if (!flow.isFlow) continue
      this.#identities.set(flow, flow.id)
      flows.push(flow)
    }
    return flows
  }

  async flush(): Promise<void> {
    for (const port of this.#ports.all()) await this.#flushPort(port)
    await this.#qdiscs.removeOurs(this.#transport)
  }

  async portLeaving(port: Port): Promise<void> {
    await this.#flushPort(port)
    await this.#qdiscs.remove(this.#transport, port.ifindex)
  }

  /** Deletes what we put on a port, in whichever process. */
  async #flushPort(port: Port): Promise<void> {
    if (portObjection(port) !== undefined) return
    const ours: BackendOp[] = []
    for await (const flow of this.#dumpPort(port, true)) {
      if (isOurs(flow.id.handle)) ours.push({ verb: 'del', id: flow, wantStats: false })
    }
    await inSlices(ours, async (slice) => throwFirst(await this.operate(slice)))
  }
}

/** A result, or what has to be done first: the same once more, or another filter instead of a changed one. */
type Attempt = BackendResult | 'again' | 'anew'
type Create = BackendOp & { readonly verb: 'create' }
type Replace = BackendOp & { readonly verb: 'replace' }

const createOf = (flow: FlowView, choice: Choice): Create => ({ verb: 'create', flow, choice })

interface Translated {
  readonly ifindex: number
  readonly protocol: number
  readonly write: (writer: Writer) => void
}

const ENOENT = 2
const EEXIST = 17
const ENODEV = 19
const EINVAL = 22
const ENOSPC = 28
const ENOBUFS = 105

/** What tc_new_tfilter() says (net/sched/cls_api.c) when the handle exists and EXCL was asked; a doubled match has no text. */
const HANDLE_TAKEN = 'Filter already exists'
/** What tc_new_tfilter() says when others took the priority meanwhile, for another protocol or with another classifier. */
const PRIORITY_TAKEN =
  /^(Filter with specified priority\/protocol not found|Specified filter kind does not match)/
/** What __tcf_qdisc_find() says when somebody removed the qdisc we know of. */
const NO_QDISC = "Parent Qdisc doesn't exists"
const handleTaken = { errno: EEXIST, text: HANDLE_TAKEN }
/** Two processes that put filters on one port meet at most this often over one flow. */
const MAX_TURNS = 8

const succeeded: BackendResult = {}

const pick = ({ key, mask }: FlowView) => ({ key, mask })

function skipFlags({ skip }: Choice): number {
  if (skip === undefined) return 0
  return skip === 'sw' ? filterFlags.SKIP_SW : filterFlags.SKIP_HW
}

function inPortObjection(flow: FlowView, port: Port | undefined) {
  const { inPort } = flow.key
  if (inPort === undefined) return undefined
  if (port === undefined) {
    return { code: 'NO_PORT' as const, path: 'inPort', problem: `no port ${inPort} on this datapath` }
  }
  const problem = portObjection(port)
  return problem === undefined ? undefined : { code: 'PORT_NOT_IN_TC' as const, path: 'inPort', problem }
}

function writeFilter(
  writer: Writer,
  type: number,
  messageFlags: number,
  { ifindex, prio, protocol, handle }: FilterId,
  options?: (writer: Writer) => void,
): void {
  const at = beginMessage(writer, type, messageFlags)
  tcMessage.header.write(writer, { ifindex, handle, parent: hooks.INGRESS, info: filterInfo(prio, protocol) })
  tcMessage.body.write(writer, { kind: 'flower' })
  if (options !== undefined) {
    const nest = writer.begin(tcMessage.body.ids.options)
    options(writer)
    writer.end(nest)
  }
  endMessage(writer, at)
}
