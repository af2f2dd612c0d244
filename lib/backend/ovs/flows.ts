import type {
  Backend,
  BackendOp,
  BackendResult,
  FlowView,
  NewFlows,
  Rehearsed,
} from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowId, FlowKey } from '../../../types/flow.js'
import type { Choice } from '../../../types/policy.js'
import type { Exchange, Transport } from '../../../types/transport.js'
import { CounterColumns } from '../../memory/counters.js'
import { beginMessage, endMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { flow as flowFamily, ufidFlags } from '../../ovs/flow.js'
import { ufidOfWords } from '../../ovs/ufid.js'
import { inputFailure } from '../../ovs/view.js'
import { clocked } from '../clocked.js'
import { inSlices, throwFirst } from '../failure.js'
import { idOf, verbOf } from '../op.js'
import { Writers } from '../writers.js'
import type { FamilyId } from './family.js'
import { flowFailure, violations } from './flow-failure.js'
import { type Addressee, writeFlow, writeOp } from './flow-message.js'
import { KernelFlow, SharedParts } from './kernel-flow.js'
import { NewOvsFlows } from './new-flows.js'
import { sweepFlows } from './sweep.js'

/**
 * Flows in the table of the openvswitch module, reached over generic netlink.
 *
 * A whole list of ops is one exchange. Flows are named by their ufid; the few that were put without one (by ovs-dpctl) are found
 * by their key when the ufid, computed from that key, finds nothing.
 */
export class OvsBackend implements Backend {
  readonly name = 'ovs'
  readonly weight = 1
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #dpIfindex: number
  /** The number of the family; 0 until it was first asked for. */
  #family = 0
  readonly #writers = new Writers()
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
    const to = await this.#addressee()
    const writer = this.#writers.take()
    let exchange: Promise<Exchange>
    // Positions in the list, in the order of the messages.
    const sent: number[] = []
    try {
      for (const [index, op] of ops.entries()) {
        const start = writer.length
        try {
          writeOp(writer, to, op, by)
          sent.push(index)
        } catch (cause) {
          // A value that does not fit its field is found when it is written.
          writer.truncate(start)
          results[index] = { error: inputFailure(cause) }
        }
      }
      if (sent.length === 0) return results
      exchange = this.#transport.exchange('generic', writer.view())
    } finally {
      // A batch is read before the call returns, so the next one can be written while the kernel works on it.
      this.#writers.give(writer)
    }
    const { failures, replies } = await exchange
    for (const message of messagesOf(replies)) {
      const index = sent[message.seq] ?? -1
      const op = ops[index]
      if (op === undefined) continue
      const flow = new KernelFlow(message.bytes, message.start, message.end)
      results[index] = op.verb === 'get' ? { flow, stats: flow.stats } : { stats: flow.stats }
    }
    for (const failure of failures) {
      const index = sent[failure.index] ?? -1
      const op = ops[index]
      if (op === undefined) continue
      const flow = 'flow' in op ? op.flow : undefined
      results[index] = { error: flowFailure(verbOf(op), idOf(op), failure, flow) }
    }
    return results
  }

  newFlows(_choice: Choice, room: number): NewFlows {
    const sending = {
      transport: this.#transport,
      writers: this.#writers,
      to: { family: this.#family, dpIfindex: this.#dpIfindex },
      addressee: () => this.#addressee(),
    }
    return new NewOvsFlows(sending, room)
  }

  async #addressee(): Promise<Addressee> {
    this.#family = await this.#id(flowFamily)
    return { family: this.#family, dpIfindex: this.#dpIfindex }
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

const ENOENT = 2

const succeeded: BackendResult = {}

/** The key a flow without a ufid of its own can be found by. */
function keyOf(op: BackendOp): FlowKey | undefined {
  if (op.verb === 'create') return undefined
  if (op.verb === 'replace') return op.flow.ufidGiven ? undefined : op.flow.key
  return op.key
}
