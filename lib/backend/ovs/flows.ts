import type { Action } from '../../../types/action.js'
import type { Backend, BackendOp, BackendResult, FlowView } from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowKey, FlowStats, Ufid } from '../../../types/flow.js'
import type { Flow } from '../../../types/op.js'
import type { MessageFailure, Transport } from '../../../types/transport.js'
import { beginMessage, endMessage, flags } from '../../netlink/message.js'
import { eachAttribute, type Message, messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { actionList } from '../../ovs/action.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { flow as flowFamily, ufidFlags } from '../../ovs/flow.js'
import { flowKey } from '../../ovs/key.js'
import { violationsOf } from '../../ovs/rules.js'
import { putUfid, ufidFromBytes } from '../../ovs/ufid.js'
import { ufidFor } from '../../ovs/view.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'

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
    const writer = new Writer(ops.length * 256)
    for (const op of ops) this.#writeOp(writer, family, op, by)
    // The transport stamps what it is given; the refused ones are looked at again below.
    const { failures, replies } = await this.#transport.exchange('generic', writer.view())
    const results: BackendResult[] = ops.map(() => succeeded)
    for (const message of messagesOf(replies)) {
      const op = ops[message.seq]
      if (op === undefined) continue
      const flow = new KernelFlow(message)
      results[message.seq] = op.verb === 'get' ? { flow, stats: flow.stats } : { stats: flow.stats }
    }
    for (const failure of failures) {
      const op = ops[failure.index]
      if (op !== undefined) results[failure.index] = { error: this.#failureOf(op, failure) }
    }
    return results
  }

  #writeOp(writer: Writer, family: number, op: BackendOp, by: 'ufid' | 'key'): void {
    const { cmd, messageFlags } = requestOf(op)
    const at = beginMessage(writer, family, messageFlags)
    ovsHeader.write(writer, { cmd, version: flowFamily.version, dpIfindex: this.#dpIfindex })
    if (by === 'ufid') {
      const ufid = writer.begin(ids.ufid)
      putUfid(
        writer.bytes,
        writer.reserve(16),
        op.verb === 'create' || op.verb === 'replace' ? op.flow.ufid : op.ufid,
      )
      writer.end(ufid)
    }
    if (op.verb === 'create' || op.verb === 'replace') writeFlow(writer, op.flow)
    else if (by === 'key') writeNested(writer, ids.key, () => flowKey.write(writer, op.key ?? {}))
    if (op.verb === 'replace' && op.zeroStats) writer.end(writer.begin(ids.clear))
    endMessage(writer, at)
  }

  #failureOf(op: BackendOp, failure: MessageFailure): Failure {
    const ufid = 'flow' in op ? op.flow.ufid : op.ufid
    const attempt = `${op.verb === 'create' ? 'put' : op.verb} flow ${ufid} in openvswitch`
    if (failure.errno === ENODEV)
      return kernelFailure(attempt, failure, { backend: 'ovs', code: 'NO_DATAPATH' })
    if (failure.errno !== EINVAL || !('flow' in op))
      return kernelFailure(attempt, failure, { backend: 'ovs' })
    const [violation] = violationsOf(op.flow.key, op.flow.mask)
    if (violation === undefined) return kernelFailure(attempt, failure, { backend: 'ovs' })
    return kernelFailure(attempt, failure, { backend: 'ovs', path: violation.path, hint: violation.problem })
  }

  async *dump({ terse }: { readonly terse: boolean }): AsyncIterable<Flow> {
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
          const [whole] = await this.operate([{ verb: 'get', ufid: flow.ufid, key: flow.key }])
          if (whole?.flow !== undefined) yield whole.flow
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
        ufid: flow.ufid,
        ...(flow.ufidPresent ? {} : { key: flow.key }),
        wantStats: false,
      })
    }
    // One by one rather than the kernel's flush, so that what others put meanwhile stays.
    if (flows.length > 0) await this.operate(flows)
  }

  portsChanged(): void {}
}

const ENOENT = 2
const ENODEV = 19
const EINVAL = 22

const succeeded: BackendResult = {}

const { ids } = flowFamily.body

/** The key a flow without a ufid of its own can be found by. */
function keyOf(op: BackendOp): FlowKey | undefined {
  if (op.verb === 'create') return undefined
  if (op.verb === 'replace') return op.flow.ufidGiven ? undefined : op.flow.key
  return op.key
}

function requestOf(op: BackendOp): { cmd: number; messageFlags: number } {
  // CREATE makes NEW exclusive: genetlink used to take EXCL for a dump flag (ovs_flow_cmd_new()).
  if (op.verb === 'create') return { cmd: commands.NEW, messageFlags: flags.CREATE }
  if (op.verb === 'get') return { cmd: commands.GET, messageFlags: 0 }
  return { cmd: op.verb === 'del' ? commands.DEL : commands.SET, messageFlags: op.wantStats ? flags.ECHO : 0 }
}

function writeNested(writer: Writer, id: number, write: () => void): void {
  const at = writer.begin(id)
  write()
  writer.end(at)
}

function writeFlow(writer: Writer, flow: FlowView): void {
  const { raw } = flow
  if (raw === undefined) {
    writeNested(writer, ids.key, () => flowKey.write(writer, flow.key))
    writeNested(writer, ids.mask, () => flowKey.write(writer, flow.mask))
    writeNested(writer, ids.actions, () => actionList.write(writer, flow.actions))
    return
  }
  const { key, mask, actions } = raw
  writeNested(writer, ids.key, () => writer.append(key))
  if (mask !== undefined) writeNested(writer, ids.mask, () => writer.append(mask))
  writeNested(writer, ids.actions, () => writer.append(actions))
}

/** A flow in a reply or a dump. Keeps the bytes it came in and decodes what is asked for. */
class KernelFlow implements Flow {
  readonly backend = 'ovs'
  readonly offloaded = false
  readonly #bytes: Uint8Array
  readonly #spans: Partial<Record<number, readonly [start: number, end: number]>> = {}
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

  get ufid(): Ufid {
    this.#ufid ??= this.ufidPresent
      ? ufidFromBytes(this.#bytes, this.#spans[ids.ufid]?.[0])
      : ufidFor(this.key)
    return this.#ufid
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
