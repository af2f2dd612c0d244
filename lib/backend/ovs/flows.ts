import type {
  Backend,
  BackendOp,
  BackendResult,
  FlowView,
  Rehearsed,
  Unmade,
} from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowId, FlowKey } from '../../../types/flow.js'
import type { MessageFailure, Transport } from '../../../types/transport.js'
import type { Codec } from '../../netlink/codec.js'
import { beginMessage, endMessage, flags } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { actionList } from '../../ovs/action.js'
import { actionViolationsOf } from '../../ovs/action-rules.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { flow as flowFamily, ufidFlags } from '../../ovs/flow.js'
import { flowKey } from '../../ovs/key.js'
import { type Violation, violationsOf } from '../../ovs/rules.js'
import { putUfid, ufidOfWords } from '../../ovs/ufid.js'
import { inputFailure } from '../../ovs/view.js'
import { CounterColumns } from '../../memory/counters.js'
import { clocked } from '../clocked.js'
import { inSlices, kernelFailure, throwFirst } from '../failure.js'
import { idOf, verbOf } from '../op.js'
import { Templates } from '../templates.js'
import type { FamilyId } from './family.js'
import { KernelFlow, SharedParts } from './kernel-flow.js'
import { sweepFlows } from './sweep.js'
import { FlowTemplate } from './template.js'

/**
 * Flows in the table of the openvswitch module, reached over generic netlink.
 *
 * A whole list of ops is one exchange. Flows are named by their ufid; the few that were put without one (by ovs-dpctl) are found
 * by their key when the ufid, computed from that key, finds nothing.
 */
export class OvsBackend implements Backend {
  readonly name = 'ovs'
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #dpIfindex: number
  readonly #writer = new Writer(64 * 1024)
  #columns: CounterColumns | undefined

  /** `dpIfindex` names the datapath. */
  constructor(transport: Transport, id: FamilyId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#dpIfindex = dpIfindex
  }

  async operate(ops: readonly BackendOp[]): Promise<BackendResult[]> {
    const results = await this.#attempt(ops, 'ufid')
    const byKey = ops.flatMap((op, index) => {
      return results[index]?.error?.errno === ENOENT && keyOf(op) !== undefined ? [{ op, index }] : []
    })
    if (byKey.length > 0) {
      const again = await this.#attempt(
        byKey.map(({ op }) => op),
        'key',
      )
      byKey.forEach(({ index }, turn) => {
        results[index] = again[turn] as BackendResult
      })
    }
    return results
  }

  async #attempt(ops: readonly BackendOp[], by: 'ufid' | 'key'): Promise<BackendResult[]> {
    const results: BackendResult[] = ops.map(() => succeeded)
    const { sent, replies, unmade } = await this.#send(
      ops,
      (family, op) => this.#writeOp(family, op, by),
      (op, failure) => this.#failureOf(verbOf(op), idOf(op), failure, 'flow' in op ? op.flow : undefined),
    )
    for (const message of messagesOf(replies)) {
      const index = sent[message.seq] ?? -1
      const op = ops[index]
      if (op === undefined) continue
      const flow = new KernelFlow(message.bytes, message.start, message.end)
      results[index] = op.verb === 'get' ? { flow, stats: flow.stats } : { stats: flow.stats }
    }
    for (const { index, error } of unmade) results[index] = { error }
    return results
  }

  async create(flows: readonly FlowView[]): Promise<readonly Unmade[]> {
    const writer = this.#writer
    const templates = new Templates<FlowTemplate>()
    const { unmade } = await this.#send(
      flows,
      (family, flow) => {
        const template = templates.find(flow)
        if (template !== undefined) template.write(writer, flow)
        else this.#writeCreate(family, flow, templates)
      },
      (flow, failure) => this.#failureOf('put', flow, failure, flow),
    )
    return unmade.sort((a, b) => a.index - b.index)
  }

  /**
   * Writes a message for each entry of a list and sends them as one exchange; those that cannot be written stay out. `fail` tells of
   * an entry the kernel refuses.
   */
  async #send<Entry>(
    list: readonly Entry[],
    write: (family: number, entry: Entry) => void,
    fail: (entry: Entry, failure: MessageFailure) => Failure,
  ): Promise<Sent> {
    const family = await this.#id(flowFamily)
    const writer = this.#writer
    const sent: number[] = new Array(list.length)
    let count = 0
    const unmade: Unmade[] = []
    for (let index = 0; index < list.length; index++) {
      const start = writer.length
      try {
        write(family, list[index] as Entry)
        sent[count++] = index
      } catch (error) {
        // A value that does not fit its field is found when it is written.
        writer.truncate(start)
        unmade.push({ index, error: failureOrReset(error, writer) })
      }
    }
    sent.length = count
    if (count === 0) return { sent, unmade, replies: new Uint8Array(0) }
    // A batch is read before the call returns, so the next one can be written while the kernel works on it.
    const exchange = this.#transport.exchange('generic', writer.view())
    writer.reset()
    const { failures, replies } = await exchange
    for (const failure of failures) {
      const index = sent[failure.index] ?? -1
      if (index >= 0) unmade.push({ index, error: fail(list[index] as Entry, failure) })
    }
    return { sent, unmade, replies }
  }

  #writeCreate(family: number, flow: FlowView, templates: Templates<FlowTemplate>): void {
    const writer = this.#writer
    const at = this.#begin(writer, family, commands.NEW, EXCLUSIVELY)
    writeUfid(writer, flow)
    writeFlow(writer, flow)
    endMessage(writer, at)
    // Raw attributes are copied anyway.
    if (flow.raw === undefined) templates.keep(FlowTemplate.from(writer.bytes.slice(at, writer.length), flow))
  }

  #begin(writer: Writer, family: number, cmd: number, messageFlags: number): number {
    const at = beginMessage(writer, family, messageFlags)
    const header = writer.reserve(ovsHeader.size)
    ovsHeader.put(writer.bytes, header, { cmd, version: flowFamily.version, dpIfindex: this.#dpIfindex })
    return at
  }

  #writeOp(family: number, op: BackendOp, by: 'ufid' | 'key'): void {
    const writer = this.#writer
    const { cmd, messageFlags } = requestOf(op)
    const at = this.#begin(writer, family, cmd, messageFlags)
    if (by === 'ufid') writeUfid(writer, idOf(op))
    if (op.verb === 'create' || op.verb === 'replace') writeFlow(writer, op.flow)
    else if (by === 'key') writeNested(writer, ids.key, flowKey, op.key ?? {})
    if (op.verb === 'replace' && op.zeroStats) writer.attribute(ids.clear, 0)
    endMessage(writer, at)
  }

  #failureOf(verb: string, { ufid }: FlowId, failure: MessageFailure, flow?: FlowView): Failure {
    const attempt = `${verb} flow ${ufid} in openvswitch`
    if (failure.errno === ENODEV)
      return kernelFailure(attempt, failure, { backend: 'ovs', code: 'NO_DATAPATH' })
    if (failure.errno !== EINVAL || flow === undefined)
      return kernelFailure(attempt, failure, { backend: 'ovs' })
    try {
      const [violation] = violations(decoded(flow))
      if (violation === undefined) return kernelFailure(attempt, failure, { backend: 'ovs' })
      return kernelFailure(attempt, failure, {
        backend: 'ovs',
        path: violation.path,
        hint: violation.problem,
      })
    } catch (error) {
      return { ...inputFailure(error), backend: 'ovs', errno: failure.errno }
    }
  }

  async *dump({ terse }: { readonly terse: boolean }): AsyncIterable<readonly KernelFlow[]> {
    const shared = new SharedParts()
    for await (const page of this.#transport.dump('generic', await this.#dumpRequest(terse))) {
      const flows: KernelFlow[] = []
      for (const { start, end } of messagesOf(page)) flows.push(new KernelFlow(page, start, end, shared))
      if (!terse) await this.#complete(flows)
      yield flows
    }
  }

  /** The kernel leaves out actions that do not fit in its buffer (ovs_flow_cmd_fill_actions()); a get has more room. */
  async #complete(flows: KernelFlow[]): Promise<void> {
    for (let index = flows.length - 1; index >= 0; index--) {
      const flow = flows[index] as KernelFlow
      if (flow.complete) continue
      const [whole] = await this.operate([{ verb: 'get', id: flow.id, key: flow.key }])
      if (whole?.flow === undefined) flows.splice(index, 1)
      else flows[index] = whole.flow as KernelFlow
    }
  }

  async *sweep(): AsyncIterable<CounterColumns> {
    const columns = this.#columns ?? new CounterColumns('ovs', ufidOfWords)
    // Another sweep meanwhile has to make do with columns of its own.
    this.#columns = undefined
    try {
      for await (const page of this.#transport.dump('generic', await this.#dumpRequest(true))) {
        sweepFlows(page, columns)
        yield columns
      }
    } finally {
      this.#columns = columns
    }
  }

  async #dumpRequest(terse: boolean): Promise<Uint8Array> {
    const family = await this.#id(flowFamily)
    const writer = new Writer(64)
    const at = beginMessage(writer, family, 0)
    ovsHeader.write(writer, { cmd: commands.GET, version: flowFamily.version, dpIfindex: this.#dpIfindex })
    flowFamily.body.write(writer, terse ? { ufidFlags: ufidFlags.OMIT_ALL } : {})
    endMessage(writer, at)
    return writer.take()
  }

  /** The kernel's rules are the kernel's to judge: here, only what it is known to refuse. */
  objections(flow: FlowView): Failure[] {
    return violations(flow).map(({ path, problem }) => ({
      code: 'INVALID',
      message: problem,
      path,
      backend: 'ovs',
    }))
  }

  rehearse(flow: FlowView): Rehearsed[] {
    const [encoding] = clocked('encode: writeFlow()', () => {
      const writer = new Writer(1024)
      writeUfid(writer, flow)
      writeFlow(writer, flow)
    })
    return [encoding]
  }

  async flush(gone?: (id: FlowId) => void): Promise<void> {
    const flows: (BackendOp & { readonly verb: 'del' })[] = []
    for await (const page of this.dump({ terse: true })) {
      for (const flow of page) {
        const named = flow.ufidPresent ? {} : { key: flow.key }
        flows.push({ verb: 'del', id: flow.id, ...named, wantStats: false })
      }
    }
    // One by one rather than the kernel's flush, so that what others put meanwhile stays.
    await inSlices(flows, async (slice) => {
      throwFirst(await this.operate(slice))
      for (const { id } of slice) gone?.(id)
    })
  }

  /** Flows of a port that is gone match nothing any more, and stay until they are deleted. */
  async portLeaving(): Promise<void> {}

  portsChanged(): void {}
}

/** What became of a list of messages. */
interface Sent {
  /** Positions in the list, in the order of the messages. */
  readonly sent: readonly number[]
  /** What could not be written, then what the kernel refused. */
  readonly unmade: Unmade[]
  readonly replies: Uint8Array
}

const ENOENT = 2
const ENODEV = 19
const EINVAL = 22

const succeeded: BackendResult = {}

/** CREATE makes NEW exclusive: genetlink used to take EXCL for a dump flag (ovs_flow_cmd_new()). */
const EXCLUSIVELY = flags.CREATE

const { ids } = flowFamily.body

/** The caller's mistake as a failure. Anything else is thrown on, and nothing half-written is left for the next batch. */
function failureOrReset(error: unknown, writer: Writer): Failure {
  try {
    return inputFailure(error)
  } catch (bug) {
    writer.reset()
    throw bug
  }
}

/** The key a flow without a ufid of its own can be found by. */
function keyOf(op: BackendOp): FlowKey | undefined {
  if (op.verb === 'create') return undefined
  if (op.verb === 'replace') return op.flow.ufidGiven ? undefined : op.flow.key
  return op.key
}

function requestOf(op: BackendOp): { cmd: number; messageFlags: number } {
  if (op.verb === 'create') return { cmd: commands.NEW, messageFlags: EXCLUSIVELY }
  if (op.verb === 'get') return { cmd: commands.GET, messageFlags: 0 }
  return { cmd: op.verb === 'del' ? commands.DEL : commands.SET, messageFlags: op.wantStats ? flags.ECHO : 0 }
}

function writeUfid(writer: Writer, id: FlowId): void {
  // First, since it may put the bytes into a larger buffer.
  const at = writer.attribute(ids.ufid, 16)
  putUfid(writer.bytes, at, id)
}

function writeNested<T>(writer: Writer, id: number, codec: Pick<Codec<T>, 'write'>, value: T): void {
  const at = writer.begin(id)
  codec.write(writer, value)
  writer.end(at)
}

function violations({ key, mask, actions }: FlowView): Violation[] {
  return [...violationsOf(key, mask), ...actionViolationsOf(actions, key, mask)]
}

/** Raw attributes go down unread. Now that it matters: throws BAD_MESSAGE when they are none. */
function decoded(flow: FlowView): FlowView {
  for (const part of ['key', 'mask', 'actions'] as const) flow[part]
  return flow
}

function writeRaw(writer: Writer, id: number, data: Uint8Array): void {
  const at = writer.begin(id)
  writer.append(data)
  writer.end(at)
}

function writeFlow(writer: Writer, flow: FlowView): void {
  const { raw } = flow
  if (raw === undefined) {
    const { key, mask, actions } = flow
    writeNested(writer, ids.key, flowKey, key)
    writeNested(writer, ids.mask, flowKey, mask)
    writeNested(writer, ids.actions, actionList, actions)
    return
  }
  writeRaw(writer, ids.key, raw.key)
  if (raw.mask !== undefined) writeRaw(writer, ids.mask, raw.mask)
  writeRaw(writer, ids.actions, raw.actions)
}
