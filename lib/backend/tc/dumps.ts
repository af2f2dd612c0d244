import type { Port } from '../../../types/port.js'
import type { Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { CounterColumns } from '../../memory/counters.js'
import { beginMessage, endMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { ufidOfWords } from '../../ovs/ufid.js'
import { hooks, tcMessage, types } from '../../tc/message.js'
import { FilterFlow, monotonicMs } from './filter.js'
import type { Identities } from './identity.js'
import type { Ports } from './ports.js'
import { sweepFilters } from './sweep.js'
import { portObjection } from './action/index.js'

/** What the kernel has of filters on the ports, read page by page. */
export class Dumps {
  readonly #transport: Transport
  readonly #ports: Ports
  readonly #identities: Identities
  #columns: CounterColumns | undefined

  constructor(transport: Transport, ports: Ports, identities: Identities) {
    this.#transport = transport
    this.#ports = ports
    this.#identities = identities
  }

  /** Every flow on every port. */
  async *all(terse: boolean): AsyncIterable<readonly FilterFlow[]> {
    for (const port of this.#ports.all()) {
      if (portObjection(port) === undefined) yield* this.of(port, terse)
    }
  }

  /** Every flow on one port. What is seen on the way is remembered: identities and taken priorities. */
  async *of(port: Port, terse: boolean): AsyncIterable<readonly FilterFlow[]> {
    for await (const page of this.#pages(port, terse)) {
      // A page is taken in whole before anybody can act on it, so that nothing is remembered that was deleted meanwhile.
      yield this.#takeIn(page, terse)
    }
  }

  async *#pages(port: Port, terse: boolean): AsyncIterable<Uint8Array> {
    const writer = new Writer(64)
    const at = beginMessage(writer, types.GETTFILTER, 0)
    tcMessage.header.write(writer, { ifindex: port.ifindex, parent: hooks.INGRESS })
    tcMessage.body.write(writer, terse ? { dumpFlags: { value: 1, selector: 1 } } : {})
    endMessage(writer, at)
    try {
      yield* this.#transport.dump('route', writer.take())
    } catch (error) {
      // A port can vanish at any time, and its filters with it.
      if (!(error instanceof DpifError) || error.errno !== ENODEV) throw error
    }
  }

  #takeIn(page: Uint8Array, terse: boolean): FilterFlow[] {
    const now = monotonicMs()
    const flows: FilterFlow[] = []
    for (const message of messagesOf(page)) {
      const flow = new FilterFlow(message, this.#ports, now, terse)
      this.#identities.seen(flow.place, flow.isFlower)
      if (!flow.isFlow) continue
      this.#identities.set(flow.id, flow.place)
      flows.push(flow)
    }
    return flows
  }

  async *sweep(): AsyncIterable<CounterColumns> {
    const columns = this.#columns ?? new CounterColumns('tc', ufidOfWords)
    // Another sweep meanwhile has to make do with columns of its own.
    this.#columns = undefined
    try {
      for (const port of this.#ports.all()) {
        if (portObjection(port) !== undefined) continue
        const { moves } = this.#ports
        const look = moves.look(port.ifindex)
        for await (const page of this.#pages(port, true)) {
          look.at(monotonicMs())
          sweepFilters(page, columns, look)
          yield columns
        }
        moves.keep(port.ifindex, look)
      }
    } finally {
      this.#columns = columns
    }
  }
}

const ENODEV = 19
