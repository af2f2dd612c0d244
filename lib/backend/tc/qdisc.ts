import type { MessageFailure, Transport } from '../../../types/transport.js'
import { beginMessage, endMessage, flags } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { hooks, tcMessage, types } from '../../tc/message.js'
import type { Answers, Batch } from './batch.js'

/**
 * The ingress qdiscs filters need to hang on. One is made where none is, and only what we made is ever removed; one that was there
 * before (ingress or clsact) serves as it is.
 */
export class Qdiscs {
  readonly #present = new Set<number>()
  readonly #ours = new Set<number>()

  /** Asks for the qdisc in `batch`, unless it is known to be there. Returns the number of the message that does. */
  ensure(batch: Batch, ifindex: number): number | undefined {
    if (this.#present.has(ifindex)) return undefined
    let at = batch.qdiscs.get(ifindex)
    if (at === undefined) {
      at = batch.add((writer) => writeQdisc(writer, types.NEWQDISC, flags.CREATE | flags.EXCL, ifindex))
      batch.qdiscs.set(ifindex, at)
    }
    return at
  }

  /** Takes in what became of the qdiscs a batch asked for. */
  settle(batch: Batch, answers: Answers): void {
    for (const [ifindex, at] of batch.qdiscs) {
      const failure = answers.failure(at)
      if (failure === undefined) this.#ours.add(ifindex)
      if (failure === undefined || failure.errno === EEXIST) this.#present.add(ifindex)
    }
  }

  /** The qdisc of a port turned out to be gone. */
  forget(ifindex: number): void {
    this.#present.delete(ifindex)
    this.#ours.delete(ifindex)
  }

  /** Forgets the ports that are not among `ifindexes`: their qdiscs went with them. */
  keep(ifindexes: ReadonlySet<number>): void {
    for (const ifindex of this.#present) if (!ifindexes.has(ifindex)) this.forget(ifindex)
  }

  /** Why there is no qdisc; undefined when there is one. */
  failure(answers: Answers, at: number): MessageFailure | undefined {
    const failure = answers.failure(at)
    return failure?.errno === EEXIST ? undefined : failure
  }

  /** Removes the qdiscs we made, save those on which others have filters by now. */
  async removeOurs(transport: Transport): Promise<void> {
    for (const ifindex of [...this.#ours]) await this.remove(transport, ifindex)
  }

  /** Removes the qdisc of a port, if we made it and nobody else has filters on it. */
  async remove(transport: Transport, ifindex: number): Promise<void> {
    if (!this.#ours.has(ifindex) || (await hasFilters(transport, ifindex))) return
    const writer = new Writer(64)
    writeQdisc(writer, types.DELQDISC, 0, ifindex)
    // A qdisc that is gone already, alone or with its device, is what was wanted.
    await transport.exchange('route', writer.take())
    this.forget(ifindex)
  }
}

const EEXIST = 17

function writeQdisc(writer: Writer, type: number, messageFlags: number, ifindex: number): void {
  const at = beginMessage(writer, type, messageFlags)
  tcMessage.header.write(writer, { ifindex, handle: hooks.QDISC_HANDLE, parent: hooks.QDISC })
  tcMessage.body.write(writer, { kind: 'ingress' })
  endMessage(writer, at)
}

async function hasFilters(transport: Transport, ifindex: number): Promise<boolean> {
  const writer = new Writer(64)
  const at = beginMessage(writer, types.GETTFILTER, 0)
  tcMessage.header.write(writer, { ifindex, parent: hooks.INGRESS })
  endMessage(writer, at)
  for await (const page of transport.dump('route', writer.take())) {
    for (const _ of messagesOf(page)) return true
  }
  return false
}
