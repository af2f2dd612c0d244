import type { BackendOp, BackendResult, FlowView } from '../../../types/backend.js'
import type { Transport } from '../../../types/transport.js'
import type { Writer } from '../../netlink/writer.js'
import { types } from '../../tc/message.js'
import { Answers, Batch, isGone, refusal } from './batch.js'
import type { Create } from './create.js'
import type { FilterId, Identities } from './identity.js'
import { writeFilter } from './message.js'
import type { Ports } from './ports.js'

export type Replace = BackendOp & { readonly verb: 'replace' }

interface Parts {
  readonly transport: Transport
  readonly identities: Identities
  readonly ports: Ports
  readonly writer: Writer
  /** Puts a filter, under a name of its own. */
  create(op: Create): Promise<BackendResult>
}

/** Changes flows whose filters cannot be changed in place, by another filter under another name. */
export class Renamer {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Puts the new filter, and only then deletes the old one. Where that fails the new one goes again, so that no two of one flow stay;
   * where that fails, too, the error says so.
   */
  async change(op: Replace): Promise<BackendResult> {
    const { identities, create } = this.#parts
    const { flow, choice } = op
    const old = identities.get(flow) as FilterId
    const giveBack = identities.setAside(flow, old)
    try {
      const created = await create({ verb: 'create', flow, choice })
      if (created.error !== undefined) {
        giveBack()
        return created
      }
    } catch (error) {
      giveBack()
      throw error
    }
    const batch = this.#batch()
    const before = batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, old))
    const at = batch.add((writer) => writeFilter(writer, types.DELTFILTER, 0, old))
    const answers = await this.#send(batch)
    const failure = answers.failure(at)
    if (failure === undefined || isGone(failure)) return { ...answers.stats(before), restarted: true }
    const isBack = await this.#takeBack(flow).finally(giveBack)
    const error = refusal(op, failure)
    if (isBack) return { error }
    const both = 'the new filter could not be taken back: both match until one of them is deleted'
    return { error: { ...error, message: `${error.message}; ${both}` } }
  }

  /** Deletes a filter that was just put; false when it is still there. */
  async #takeBack(flow: FlowView): Promise<boolean> {
    const put = this.#parts.identities.get(flow)
    if (put === undefined) return true
    const batch = this.#batch()
    const at = batch.add((writer) => writeFilter(writer, types.DELTFILTER, 0, put))
    const failure = (await this.#send(batch)).failure(at)
    return failure === undefined || isGone(failure)
  }

  #batch(): Batch {
    return new Batch(this.#parts.writer)
  }

  async #send(batch: Batch): Promise<Answers> {
    const { transport, ports } = this.#parts
    return new Answers(await batch.send(transport), ports)
  }
}
