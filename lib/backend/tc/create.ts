import type { BackendOp, BackendResult, FlowView } from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { Choice } from '../../../types/policy.js'
import type { MessageFailure } from '../../../types/transport.js'
import { flags } from '../../netlink/message.js'
import { inputFailure } from '../../ovs/view.js'
import { types } from '../../tc/message.js'
import { type Answers, type Batch, isGone, refusal } from './batch.js'
import type { Features } from './features.js'
import type { FilterId, Identities } from './identity.js'
import { chainOf, notReached, type TranslatedFilter, translateFilter, writeFilter } from './message.js'
import type { Ports } from './ports.js'
import type { Qdiscs } from './qdisc.js'
import { FilterTemplate } from './template.js'

/**
 * A result, or what has to be done first: the same once more, or another filter instead of a changed one. `unreached` is a refusal
 * unless another flow changes it: {@link notReached}.
 */
export type Attempt = BackendResult | Early | 'anew'
/** Nothing was written yet. */
export type Early = 'again' | 'unreached'
/** An op that puts a new flow. */
export type Create = BackendOp & { readonly verb: 'create' }

/** How new filters are asked for, and what it means when one is refused. What it works with is the backend's. */
export class Creation {
  readonly #identities: Identities
  readonly #qdiscs: Qdiscs
  readonly #ports: Ports
  readonly #features: Features
  /** The ports of which has to be known what other processes put there, before something more can be put. */
  readonly questions = new Set<number>()

  constructor(identities: Identities, qdiscs: Qdiscs, ports: Ports, features: Features) {
    this.#identities = identities
    this.#qdiscs = qdiscs
    this.#ports = ports
    this.#features = features
  }

  /** Writes the messages of one op and says how their answers are read. */
  plan(batch: Batch, op: Create): (answers: Answers) => Attempt {
    const { flow } = op
    const known = this.#identities.get(flow)
    if (known !== undefined) return this.#planExisting(batch, op, known)
    const at = this.#write(batch, flow, op.choice)
    if (typeof at === 'string') return () => at
    if (typeof at === 'object') return () => ({ error: at })
    return (answers) => {
      const failure = answers.failure(at)
      return failure === undefined ? succeeded : this.refused(batch, op, answers, failure)
    }
  }

  /** What it means that a new filter was refused. */
  refused(
    batch: Batch,
    op: Create,
    answers: Answers,
    failure: MessageFailure,
  ): { readonly error: Failure } | 'again' {
    const { flow } = op
    // The answer was lost: the filter may be there, under this name.
    if (failure.errno === ENOBUFS) return { error: refusal(op, failure) }
    const id = this.#identities.get(flow)
    // Its port has gone meanwhile, and its name with it.
    if (id === undefined) return { error: refusal(op, failure) }
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

  /**
   * Translates a flow, if what it takes is known: what the kernel has, and whether packets get to its chain. Otherwise something has
   * to be found out first.
   */
  translate(flow: FlowView, choice: Choice): TranslatedFilter | { readonly error: Failure } | Early {
    const filter = translateFilter(flow, choice, this.#ports)
    const port = flow.key.inPort === undefined ? undefined : this.#ports.byNumber(flow.key.inPort)
    if (port !== undefined && this.#features.isMissing(port.ifindex)) return 'again'
    if ('error' in filter) return filter
    return this.#whenReached(filter)
  }

  /** A flow that TC could carry, if packets get to its chain. */
  #whenReached<F extends { readonly ifindex: number; readonly chain: number }>(filter: F): F | Early {
    const state = this.#identities.chains.state(filter.ifindex, filter.chain)
    if (state === 'reached') return filter
    if (state === 'unreached') return state
    if (state === 'unknown') this.questions.add(filter.ifindex)
    return 'again'
  }

  /** What stands against a flow beside what it says: that no packet gets to it. */
  objections(flow: FlowView): Failure[] {
    const port = flow.key.inPort === undefined ? undefined : this.#ports.byNumber(flow.key.inPort)
    if (port === undefined || !this.#ports.abilities.chains) return []
    const state = this.#identities.chains.state(port.ifindex, chainOf(flow))
    return state === 'unreached' || state === 'unknown' ? [notReached(flow)] : []
  }

  /** Writes the message of a new filter. Answers the number of the message, why there is none, or that it is too early. */
  writeOrRefuse(batch: Batch, flow: FlowView, choice: Choice): number | Failure | Early {
    try {
      return this.#write(batch, flow, choice)
    } catch (cause) {
      // A value that does not fit its field is found when it is written.
      return inputFailure(cause)
    }
  }

  /**
   * Writes the message of a new filter under a new name, from the last one's template where it serves. Answers the number of the
   * message, why there is none, or that it is too early.
   */
  #write(batch: Batch, flow: FlowView, choice: Choice): number | Failure | Early {
    const template = batch.templates.find(flow, choice)
    const filter = template === undefined ? this.translate(flow, choice) : this.#whenReached(template)
    if (typeof filter === 'string') return filter
    if ('error' in filter) return filter.error
    const id = this.#identities.allocate(filter.ifindex, filter.protocol, filter.chain)
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
        const { write } = filter as TranslatedFilter
        writeFilter(writer, types.NEWTFILTER, flags.CREATE | flags.EXCL, id, write)
        const message = writer.bytes.slice(start, writer.length)
        batch.templates.keep(FilterTemplate.from(message, flow, choice, id, filter.targets))
      }
    } catch (error) {
      batch.takeBack(start)
      throw error
    }
    this.#identities.set(flow, id)
    batch.named.push(flow)
    if (filter.targets.length > 0) {
      batch.jumps.push(this.#identities.chains.expect(flow, id.ifindex, filter.targets))
    }
    return at
  }
}

const EEXIST = 17
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
/** A name that another process has taken. */
export const handleTaken = { errno: EEXIST, text: HANDLE_TAKEN }

const succeeded: BackendResult = {}
