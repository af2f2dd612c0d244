import type { FlowView, NewFlows, Unmade } from '../../../types/backend.js'
import type { Exchange, MessageFailure, Transport } from '../../../types/transport.js'
import { retype } from '../../netlink/message.js'
import type { Writer } from '../../netlink/writer.js'
import { inputFailure } from '../../ovs/view.js'
import { Templates } from '../templates.js'
import type { Writers } from '../writers.js'
import { flowFailure } from './flow-failure.js'
import { type Addressee, writeNew } from './flow-message.js'
import { FlowTemplate } from './template.js'

/** What new flows are sent with. */
export interface Sending {
  readonly transport: Transport
  readonly writers: Writers
  /** Whom they are for, with the family as it is known so far: 0 when it is not. */
  readonly to: Addressee
  /** Finds out whom they are for. */
  addressee(): Promise<Addressee>
}

/** New flows for openvswitch's table: a message each, all of them one exchange. */
export class NewOvsFlows implements NewFlows {
  readonly flows: FlowView[]
  readonly #sending: Sending
  readonly #writer: Writer
  readonly #templates = new Templates<FlowTemplate>()
  #count = 0
  /** Those that could not be written, ascending. */
  readonly #unwritten: Unmade[] = []

  constructor(sending: Sending, room: number) {
    this.#sending = sending
    this.#writer = sending.writers.take()
    this.flows = new Array(room)
  }

  add(flow: FlowView): void {
    const start = this.#writer.length
    try {
      this.#write(flow)
    } catch (cause) {
      // A value that does not fit its field is found when it is written.
      this.#writer.truncate(start)
      this.#unwritten.push({ index: this.#count, error: inputFailure(cause) })
    }
    this.flows[this.#count++] = flow
  }

  #write(flow: FlowView): void {
    const writer = this.#writer
    const template = this.#templates.find(flow)
    if (template !== undefined) {
      template.write(writer, flow)
      return
    }
    const at = writer.length
    writeNew(writer, this.#sending.to, flow)
    // Raw attributes are copied anyway.
    if (flow.raw === undefined)
      this.#templates.keep(FlowTemplate.from(writer.bytes.slice(at, writer.length), flow))
  }

  async send(): Promise<readonly Unmade[]> {
    this.flows.length = this.#count
    const unmade = [...this.#unwritten]
    for (const failure of await this.#exchange()) {
      const index = this.#positionOf(failure.index)
      const flow = this.flows[index]
      if (flow !== undefined) unmade.push({ index, error: flowFailure('put', flow, failure, flow) })
    }
    return unmade.sort((a, b) => a.index - b.index)
  }

  async #exchange(): Promise<readonly MessageFailure[]> {
    const { transport, to, writers } = this.#sending
    const writer = this.#writer
    let exchange: Promise<Exchange>
    try {
      if (writer.length === 0) return []
      const { family } = await this.#sending.addressee()
      if (family !== to.family) retype(writer.view(), family)
      exchange = transport.exchange('generic', writer.view())
    } finally {
      // A batch is read before the call returns, so the next one can be written while the kernel works on it.
      writers.give(writer)
    }
    return (await exchange).failures
  }

  /** Which flow a message is of. */
  #positionOf(message: number): number {
    let position = message
    for (const { index } of this.#unwritten) if (index <= position) position++
    return position
  }
}
