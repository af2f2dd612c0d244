import type { BackendOp, BackendResult } from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { Exchange, MessageFailure } from '../../../types/transport.js'
import { codeOf, DpifError } from '../../errors.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { kernelFailure } from '../failure.js'
import { FilterFlow } from './filter.js'
import type { PortTable } from './translate.js'

/** Messages of one exchange, and the number of each. */
export class Batch {
  readonly writer = new Writer(16 * 1024)
  count = 0
  /** The ingress qdiscs this batch asks for: ifindex, and the number of the message. */
  readonly qdiscs = new Map<number, number>()

  add(write: (writer: Writer) => void): number {
    write(this.writer)
    return this.count++
  }
}

/** What the kernel said to each message of a batch. */
export class Answers {
  readonly #failures: ReadonlyMap<number, MessageFailure>
  readonly #flows = new Map<number, FilterFlow>()

  constructor({ failures, replies }: Exchange, ports: PortTable) {
    this.#failures = new Map(failures.map((failure) => [failure.index, failure]))
    for (const message of messagesOf(replies)) this.#flows.set(message.seq, new FilterFlow(message, ports))
  }

  failure(at: number): MessageFailure | undefined {
    return this.#failures.get(at)
  }

  error(at: number, op: BackendOp): { readonly error: Failure } | undefined {
    const failure = this.#failures.get(at)
    return failure === undefined ? undefined : { error: refusal(op, failure) }
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
  const ufid = 'flow' in op ? op.flow.ufid : op.ufid
  const attempt = `${op.verb === 'create' ? 'put' : op.verb} flow ${ufid} in tc`
  // The module autoloads; when it cannot, the lookup of the classifier or action by name ends in ENOENT with these words.
  const missing =
    failure.errno === ENOENT && /not found|failed to load/i.test(failure.text ?? '') && op.verb === 'create'
  return kernelFailure(attempt, failure, {
    backend: 'tc',
    code: missing ? 'NO_MODULE' : codeOf(failure.errno),
  })
}

const ENOENT = 2
