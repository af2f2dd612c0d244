import type { Action } from '../../../types/action.js'
import type {
  Backend,
  BackendOp,
  BackendResult,
  DumpedFlow,
  FlowView,
  Unmade,
} from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowId, FlowKey, FlowStats, Ufid } from '../../../types/flow.js'
import type { MessageFailure, Transport } from '../../../types/transport.js'
import type { Codec } from '../../netlink/codec.js'
import { beginMessage, endMessage, flags } from '../../netlink/message.js'
import { eachAttribute, type Message, messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { actionList } from '../../ovs/action.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { flow as flowFamily, ufidFlags } from '../../ovs/flow.js'
import { flowKey } from '../../ovs/key.js'
import { violationsOf } from '../../ovs/rules.js'
import { ParsedUfid, putUfid, UfidInBytes } from '../../ovs/ufid.js'
import { inputFailure, ufidFor } from '../../ovs/view.js'
import { inSlices, kernelFailure, throwFirst } from '../failure.js'
import { Templates } from '../templates.js'
import type { FamilyId } from './family.js'
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
    const family = await this.#id(flowFamily)
    const writer = this.#writer
    const results: BackendResult[] = ops.map(() => succeeded)
    // The ops that could be written, in the order of their messages.
    const sent: number[] = []
    for (const [index, op] of ops.entries()) {
      const start = writer.length
      try {
        this.#writeOp(writer, family, op, by)
        sent.push(index)
      } catch (error) {
        // A value that does not fit its field is found when it is written.
        writer.truncate(start)
        results[index] = { error: failureOrReset(error, writer) }
      }
    }
    if (sent.length === 0) return results
    // A batch is read before the call returns, so the next one can be written while the kernel works on it.
    const exchange = this.#transport.exchange('generic', writer.view())
    writer.reset()
    const { failures, replies } = await exchange
    for (const message of messagesOf(replies)) {
      const index = sent[message.seq] ?? -1
      const op = ops[index]
      if (op === undefined) continue
      const flow = new KernelFlow(message)
      results[index] = op.verb === 'get' ? { flow, stats: flow.stats } : { stats: flow.stats }
    }
    for (const failure of failures) {
      const index = sent[failure.index] ?? -1
      const op = ops[index]
      if (op !== undefined)
        results[index] = {
          error: this.#failureOf(verbOf(op), idOf(op), failure, 'flow' in op ? op.flow : undefined),
        }
    }
    return results
  }

  async create(flows: readonly FlowView[]): Promise<readonly Unmade[]> {
    const family = await this.#id(flowFamily)
    const writer = this.#writer
    const templates = new Templates<FlowTemplate>()
    const unmade: Unmade[] = []
    // Positions in the list, in the order of the messages.
    const sent: number[] = []
    for (let index = 0; index < flows.length; index++) {
      const flow = flows[index] as FlowView
      const start = writer.length
      try {
        const template = templates.find(flow)
        if (template !== undefined) template.write(writer, flow)
        else this.#writeCreate(writer, family, flow, templates)
        sent.push(index)
      } catch (error) {
        // A value that does not fit its field is found when it is written.
        writer.truncate(start)
        unmade.push({ index, error: failureOrReset(error, writer) })
      }
    }
    if (sent.length === 0) return unmade
    // A batch is read before the call returns, so the next one can be written while the kernel works on it.
    const exchange = this.#transport.exchange('generic', writer.view())
    writer.reset()
    const { failures } = await exchange
    for (const failure of failures) {
      const index = sent[failure.index] ?? -1
      const flow = flows[index]
      if (flow !== undefined) unmade.push({ index, error: this.#failureOf('put', flow, failure, flow) })
    }
    return unmade.sort((a, b) => a.index - b.index)
  }

  #writeCreate(writer: Writer, family: number, flow: FlowView, templates: Templates<FlowTemplate>): void {
    const at = this.#begin(writer, family, commands.NEW, EXCLUSIVELY)
    const from = writer.length - at
    putUfid(writer.bytes, writer.attribute(ids.ufid, 16), flow)
    writeFlow(writer, flow)
    endMessage(writer, at)
    // Raw attributes are copied anyway.
    if (flow.raw === undefined)
      templates.keep(FlowTemplate.from(writer.bytes.slice(at, writer.length), from, flow))
  }

  #begin(writer: Writer, family: number, cmd: number, messageFlags: number): number {
    const at = beginMessage(writer, family, messageFlags)
    const header = writer.reserve(ovsHeader.size)
    ovsHeader.put(writer.bytes, header, { cmd, version: flowFamily.version, dpIfindex: this.#dpIfindex })
    return at
  }

  #writeOp(writer: Writer, family: number, op: BackendOp, by: 'ufid' | 'key'): void {
    const { cmd, messageFlags } = requestOf(op)
    const at = this.#begin(writer, family, cmd, messageFlags)
    if (by === 'ufid') putUfid(writer.bytes, writer.attribute(ids.ufid, 16), idOf(op))
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
      const { key, mask } = decoded(flow)
      const [violation] = violationsOf(key, mask)
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

  async *dump({ terse }: { readonly terse: boolean }): AsyncIterable<KernelFlow> {
    const family = await this.#id(flowFamily)
    const writer = new Writer(64)
    const at = beginMessage(writer, family, 0)
    ovsHeader.write(writer, { cmd: commands.GET, version: flowFamily.version, dpIfindex: this.#dpIfindex })
    flowFamily.body.write(writer, terse ? { ufidFlags: ufidFlags.OMIT_ALL } : {})
    endMessage(writer, at)
    for await (const page of this.#transport.dump('generic', writer.take())) {
      for (const message of messagesOf(page)) {
        const flow = new KernelFlow(message)
        // The kernel leaves out actions that do not fit in its buffer (ovs_flow_cmd_fill_actions()); a get has more room.
        if (terse || flow.complete) yield flow
        else {
          const [whole] = await this.operate([{ verb: 'get', id: flow, key: flow.key }])
          if (whole?.flow !== undefined) yield whole.flow as KernelFlow
        }
      }
    }
  }

  /** The kernel's rules are the kernel's to judge: here, only what it is known to refuse. */
  objections(flow: FlowView): Failure[] {
    return violationsOf(flow.key, flow.mask).map(({ path, problem }) => ({
      code: 'INVALID',
      message: problem,
      path,
      backend: 'ovs',
    }))
  }

  async flush(): Promise<void> {
    const flows: BackendOp[] = []
    for await (const flow of this.dump({ terse: true })) {
      flows.push({
        verb: 'del',
        id: flow,
        ...(flow.ufidPresent ? {} : { key: flow.key }),
        wantStats: false,
      })
    }
    // One by one rather than the kernel's flush, so that what others put meanwhile stays.
    await inSlices(flows, async (slice) => throwFirst(await this.operate(slice)))
  }

  /** Flows of a port that is gone match nothing any more, and stay until they are deleted. */
  async portLeaving(): Promise<void> {}

  portsChanged(): void {}
}

const ENOENT = 2
const ENODEV = 19
const EINVAL = 22

const succeeded: BackendResult = {}

/** CREATE makes NEW exclusive: genetlink used to take EXCL for a dump flag (ovs_flow_cmd_new()). */
const EXCLUSIVELY = flags.CREATE

const idOf = (op: BackendOp): FlowId => ('flow' in op ? op.flow : op.id)
const verbOf = ({ verb }: BackendOp): string => (verb === 'create' ? 'put' : verb)

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

function writeNested<T>(writer: Writer, id: number, codec: Pick<Codec<T>, 'write'>, value: T): void {
  const at = writer.begin(id)
  codec.write(writer, value)
  writer.end(at)
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

/** A flow in a reply or a dump. Keeps the bytes it came in and decodes what is asked for. */
class KernelFlow implements DumpedFlow {
  readonly backend = 'ovs'
  readonly offloaded = false
  readonly #bytes: Uint8Array
  readonly #spans: Partial<Record<number, readonly [start: number, end: number]>> = {}
  #id: FlowId | undefined
  #ufid: Ufid | undefined
  #key: FlowKey | undefined
  #mask: FlowKey | undefined
  #actions: readonly Action[] | undefined

  constructor(message: Message) {
    this.#bytes = message.bytes
    eachAttribute(message.bytes, message.start + HEADERS, message.end, (id, start, end) => {
      this.#spans[id] = [start, end]
    })
  }

  get ufidPresent(): boolean {
    const span = this.#spans[ids.ufid]
    return span !== undefined && span[1] - span[0] === 16
  }

  get #named(): FlowId {
    this.#id ??= this.ufidPresent
      ? new UfidInBytes(this.#bytes, this.#spans[ids.ufid]?.[0] ?? 0)
      : new ParsedUfid(ufidFor(this.key))
    return this.#id
  }

  get ufid(): Ufid {
    this.#ufid ??= this.#named.ufid
    return this.#ufid
  }

  get w0(): number {
    return this.#named.w0
  }

  get w1(): number {
    return this.#named.w1
  }

  get w2(): number {
    return this.#named.w2
  }

  get w3(): number {
    return this.#named.w3
  }

  /** False when the kernel had no room for the actions. */
  get complete(): boolean {
    return this.#spans[ids.actions] !== undefined
  }

  get key(): FlowKey {
    this.#key ??= this.#read(ids.key, flowKey) ?? {}
    return this.#key
  }

  get mask(): FlowKey {
    this.#mask ??= this.#read(ids.mask, flowKey) ?? {}
    return this.#mask
  }

  get actions(): readonly Action[] {
    this.#actions ??= this.#read(ids.actions, actionList) ?? []
    return this.#actions
  }

  get stats(): FlowStats {
    const counters = this.#read(ids.stats, row(ids.stats))
    const { packets = 0n, bytes = 0n } = (counters ?? {}) as { packets?: bigint; bytes?: bigint }
    return {
      packets,
      bytes,
      used: Number(this.#read(ids.used, row(ids.used)) ?? 0),
      tcpFlags: Number(this.#read(ids.tcpFlags, row(ids.tcpFlags)) ?? 0),
    }
  }

  #read<T>(id: number, codec: { read(bytes: Uint8Array, start: number, end: number): T }): T | undefined {
    const span = this.#spans[id]
    return span === undefined ? undefined : codec.read(this.#bytes, span[0], span[1])
  }
}

/** nlmsghdr, genlmsghdr, ovs_header. */
const HEADERS = 16 + ovsHeader.size

function row(id: number): { read(bytes: Uint8Array, start: number, end: number): unknown } {
  return flowFamily.body.row(id)?.codec ?? flowKey
}
