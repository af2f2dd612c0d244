import type { MessageFailure, Transport } from '../../../types/transport.js'
import { beginMessage, endMessage, flags } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { hooks, tcMessage, types } from '../../tc/message.js'
import { inSlices } from '../failure.js'
import type { Answers, Batch } from './batch.js'

/**
 * The ingress qdiscs filters need to hang on. One is made where none is, and only what we made is ever removed; one that was there
 * before (ingress or clsact) serves as it is.
 *
 * A qdisc has no room for a name. Ours get an empty chain of a number that is our own, which no packet is sent to and which goes with
 * the qdisc: so any later process knows them (`tc chain show` lists it). A kernel before 4.19 has no such chains, and one that was made
 * by a process that died at that moment has none either: those stay.
 */
export class Qdiscs {
  readonly #present = new Set<number>()
  /** The one that was found to be there last. */
  #lastPresent: number | undefined
  readonly #ours = new Set<number>()
  /** Made, and not marked yet. */
  #unmarked: number[] = []

  /** Asks for the qdisc in `batch`, unless it is known to be there. Returns the number of the message that does. */
  ensure(batch: Batch, ifindex: number): number | undefined {
    if (ifindex === this.#lastPresent) return undefined
    if (this.#present.has(ifindex)) {
      this.#lastPresent = ifindex
      return undefined
    }
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
      if (failure === undefined) {
        this.#ours.add(ifindex)
        this.#unmarked.push(ifindex)
      }
      if (failure === undefined || failure.errno === EEXIST) this.#present.add(ifindex)
    }
  }

  /** Marks the qdiscs that were made since the last time as ours. */
  async mark(transport: Transport): Promise<void> {
    if (this.#unmarked.length === 0) return
    const writer = new Writer(256)
    for (const ifindex of this.#unmarked.splice(0))
      writeMark(writer, types.NEWCHAIN, flags.CREATE | flags.EXCL, ifindex)
    // What cannot be marked is known to be ours as long as this object lives.
    await transport.exchange('route', writer.take())
  }

  /** The qdisc of a port turned out to be gone. */
  forget(ifindex: number): void {
    this.#lastPresent = undefined
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
    await removeQdisc(transport, ifindex)
    this.forget(ifindex)
  }
}

/** Which of these devices have a qdisc that carries our mark. */
export async function markedQdiscs(transport: Transport, ifindexes: readonly number[]): Promise<number[]> {
  const marked: number[] = []
  await inSlices(ifindexes, async (slice) => {
    const writer = new Writer(1024)
    for (const ifindex of slice) writeMark(writer, types.GETCHAIN, 0, ifindex)
    const failed = new Set(
      (await transport.exchange('route', writer.take())).failures.map(({ index }) => index),
    )
    marked.push(...slice.filter((_, index) => !failed.has(index)))
  })
  return marked
}

/** Removes a qdisc; one that is gone already, alone or with its device, is what was wanted. */
export async function removeQdisc(transport: Transport, ifindex: number): Promise<void> {
  const writer = new Writer(64)
  writeQdisc(writer, types.DELQDISC, 0, ifindex)
  await transport.exchange('route', writer.take())
}

const EEXIST = 17
/** No recirculation id gets there: it is the last but some of those that a chain can have (TC_ACT_EXT_VAL_MASK). */
const MARK = 0x0f766d71

function writeMark(writer: Writer, type: number, messageFlags: number, ifindex: number): void {
  const at = beginMessage(writer, type, messageFlags)
  tcMessage.header.write(writer, { ifindex, parent: hooks.INGRESS })
  tcMessage.body.write(writer, { chain: MARK })
  endMessage(writer, at)
}

function writeQdisc(writer: Writer, type: number, messageFlags: number, ifindex: number): void {
  const at = beginMessage(writer, type, messageFlags)
  tcMessage.header.write(writer, { ifindex, handle: hooks.QDISC_HANDLE, parent: hooks.QDISC })
  tcMessage.body.write(writer, { kind: 'ingress' })
  endMessage(writer, at)
}

/** Whether there is any filter on the ingress of a device, whoever's. */
export async function hasFilters(transport: Transport, ifindex: number): Promise<boolean> {
  const writer = new Writer(64)
  const at = beginMessage(writer, types.GETTFILTER, 0)
  tcMessage.header.write(writer, { ifindex, parent: hooks.INGRESS })
  endMessage(writer, at)
  for await (const page of transport.dump('route', writer.take())) {
    for (const _ of messagesOf(page)) return true
  }
  return false
}
