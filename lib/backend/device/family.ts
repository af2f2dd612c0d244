import type { MessageFailure, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import type { Family, GenlHeader } from '../../netlink/genl.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { collect } from '../collect.js'
import type { FamilyId } from '../ovs/family.js'

/** What a family answers to one question: what it says, or why it does not. */
export interface Answer<Body> {
  readonly body?: Body
  readonly failure?: MessageFailure
}

/** Asks a generic netlink family whose messages have no header of their own. */
export class GenericFamily<Body> {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #family: Family<GenlHeader, Body>

  constructor(transport: Transport, id: FamilyId, family: Family<GenlHeader, Body>) {
    this.#transport = transport
    this.#id = id
    this.#family = family
  }

  /** Asks everything at once; answers in the order of the questions. Rejects with NO_MODULE when the kernel has no such family. */
  async ask(questions: readonly { readonly cmd: number; readonly body: Body }[]): Promise<Answer<Body>[]> {
    const writer = new Writer(256)
    const type = await this.#id(this.#family)
    for (const { cmd, body } of questions) this.#write(writer, type, cmd, body)
    const { failures, replies } = await this.#transport.exchange('generic', writer.take())
    const answers: Answer<Body>[] = questions.map(() => ({}))
    for (const message of messagesOf(replies))
      answers[message.seq] = { body: readMessage(this.#family, message).body }
    for (const failure of failures) answers[failure.index] = { failure }
    return answers
  }

  /** Everything there is, or what of it `body` is about. Rejects with NO_MODULE when the kernel has no such family. */
  async dump(cmd: number, body: Body): Promise<Body[]> {
    const writer = new Writer(64)
    this.#write(writer, await this.#id(this.#family), cmd, body)
    const request = writer.take()
    return collect(
      () => this.#transport.dump('generic', request),
      (message) => readMessage(this.#family, message).body,
    )
  }

  #write(writer: Writer, type: number, cmd: number, body: Body): void {
    const header = { cmd, version: this.#family.version }
    writeMessage(writer, this.#family, { type, flags: 0, header, body })
  }
}

/** What the work comes to, or `otherwise` on a kernel that does not have the family, or not this part of it. */
export async function ifThere<T>(work: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof DpifError && (error.code === 'NO_MODULE' || error.code === 'UNSUPPORTED'))
      return otherwise
    throw error
  }
}
