import type { BackendOp, BackendResult } from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowId } from '../../../types/flow.js'
import type { Exchange, MessageFailure, Transport } from '../../../types/transport.js'
import { codeOf, DpifError } from '../../errors.js'
import { messagesOf } from '../../netlink/reader.js'
import type { Writer } from '../../netlink/writer.js'
import { kernelFailure } from '../failure.js'
import { idOf, verbOf } from '../op.js'
import { Templates } from '../templates.js'
import type { Jump } from './chains.js'
import { FilterFlow, type FilterPorts, monotonicMs } from './filter.js'
import type { FilterTemplate } from './template.js'

/** Messages of one exchange, and the number of each. */
export class Batch {
  readonly writer: Writer
  count = 0
  readonly templates = new Templates<FilterTemplate>()
  /** The flows that got a name in this batch. */
  readonly named: FlowId[] = []
  /** The flows of this batch that send packets to other chains. */
  readonly jumps: Jump[] = []
  /** The ingress qdiscs this batch asks for: ifindex, and the number of the message. */
  readonly qdiscs = new Map<number, number>()

  /** `writer` is empty, and is so again once the batch is sent. */
  constructor(writer: Writer) {
    this.writer = writer
  }

  /** Sends the messages. A batch is read before the call returns, so the writer is free for the next one at once. */
  send(transport: Transport, lane = 0): Promise<Exchange> {
    if (this.count === 0) return Promise.resolve(nothing)
    const exchange = transport.exchange('route', this.writer.view(), lane)
    this.writer.reset()
    return exchange
  }

  /** Writes one message and answers its number. */
  add(write: (writer: Writer) => void): number {
    const start = this.writer.length
    const at = this.begin()
    try {
      write(this.writer)
    } catch (error) {
      this.takeBack(start)
      throw error
    }
    return at
  }

  /** The number of the message that is written next. */
  begin(): number {
    return this.count++
  }

  /** Undoes {@link begin}, and what was written since the writer was `length` long. */
  takeBack(length: number): void {
    this.writer.truncate(length)
    this.count--
  }
}

/** What the kernel said to each message of a batch. */
export class Answers {
  readonly #failures: ReadonlyMap<number, MessageFailure>
  readonly #flows = new Map<number, FilterFlow>()

  constructor({ failures, replies }: Exchange, ports: FilterPorts) {
    this.#failures = new Map(failures.map((failure) => [failure.index, failure]))
    if (replies.length === 0) return
    const now = monotonicMs()
    for (const message of messagesOf(replies))
      this.#flows.set(message.seq, new FilterFlow(message, ports, now))
  }

  /** In the order of the messages. */
  failures(): Iterable<MessageFailure> {
    return this.#failures.values()
  }

  failure(at: number): MessageFailure | undefined {
    return this.#failures.get(at)
  }

  error(at: number, op: BackendOp): { readonly error: Failure } | undefined {
    const failure = this.#failures.get(at)
    return failure === undefined ? undefined : { error: refusal(op, failure) }
  }

  /** The filter in the answer, if there is one. */
  found(at: number): FilterFlow | undefined {
    return this.#flows.get(at)
  }

  flow(at: number): FilterFlow {
    const flow = this.#flows.get(at)
    if (flow === undefined)
      throw new DpifError('BAD_MESSAGE', 'the kernel answered a request for a filter with none')
    return flow
  }

  /** The counters in the answer to a get; empty when the filter could not be read. */
  stats(at: number | undefined): Pick<BackendResult, 'stats'> {
    const flow = at === undefined ? undefined : this.#flows.get(at)
    return flow === undefined ? {} : { stats: flow.stats }
  }
}

/** A refusal of the kernel, told as what became of the op. */
export function refusal(op: BackendOp, failure: Pick<MessageFailure, 'errno' | 'text'>): Failure {
  const { ufid } = idOf(op)
  const attempt = `${verbOf(op)} flow ${ufid} in tc`
  if (failure.errno === ENOENT && 'flow' in op) {
    // Modules load by themselves; when one cannot, the look-up by its name ends in ENOENT with these words.
    const missing = modules.find(([words]) => failure.text?.includes(words))
    if (missing !== undefined) {
      const hint = `the kernel lacks a module; load it with \`modprobe ${missing[1]}\``
      return kernelFailure(attempt, failure, { backend: 'tc', code: 'NO_MODULE', hint })
    }
  }
  return kernelFailure(attempt, failure, {
    backend: 'tc',
    code: isGone(failure) ? 'NOT_FOUND' : codeOf(failure.errno),
  })
}

/** Whether there is no such filter: with the last filter of a port its chain goes too, which the kernel tells by EINVAL. */
export function isGone({ errno, text }: Pick<MessageFailure, 'errno' | 'text'>): boolean {
  return errno === ENOENT || (errno === EINVAL && text === NO_CHAIN)
}

const ENOENT = 2
const EINVAL = 22
/** tc_get_tfilter() and tc_new_tfilter(), net/sched/cls_api.c. */
const NO_CHAIN = 'Cannot find specified filter chain'
const nothing: Exchange = { count: 0, failures: [], replies: new Uint8Array(0) }

/** What the kernel says of a missing module (net/sched/sch_api.c, cls_api.c, act_api.c), and what to load. */
const modules = [
  ['qdisc kind is unknown', 'sch_ingress'],
  ['TC classifier not found', 'cls_flower'],
  ['Failed to load TC action module', 'act_mirred act_gact act_vlan act_pedit act_csum'],
] as const
