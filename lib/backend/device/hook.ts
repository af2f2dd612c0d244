import type { Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import type { Message } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { ALL_PROTOCOLS, hooks, tcMessage, types } from '../../tc/message.js'
import { collect } from '../collect.js'
import { FilterFlow, monotonicMs } from '../tc/filter.js'
import { type FilterId, Identities } from '../tc/identity.js'
import { Ports } from '../tc/ports.js'

/** What hangs on the ingress of a device. */
export interface Hook {
  /** `ingress` or `clsact`; absent when there is neither. */
  readonly qdisc?: string
  /** Filters that carry no flow and see packets before new flows would, by priority. */
  readonly foreign: readonly ForeignFilter[]
}

export interface ForeignFilter {
  readonly prio: number
  /** Which classifier, as `tc` calls it. */
  readonly kind: string
}

/** The ingress qdiscs of all devices, by ifindex: what kind each is. */
export async function ingressQdiscs(transport: Transport): Promise<ReadonlyMap<number, string>> {
  const found = await dump(transport, types.GETQDISC, { ifindex: 0 }, (message) =>
    readMessage(tcMessage, message),
  )
  return new Map(
    found
      .filter(({ header }) => header.parent === hooks.QDISC)
      .map(({ header, body }) => [header.ifindex, body.kind ?? '']),
  )
}

/** What would see packets of a device before our flows do. */
export async function foreignFilters(transport: Transport, ifindex: number): Promise<ForeignFilter[]> {
  const identities = new Identities()
  const now = monotonicMs()
  const ports = new Ports()
  const header = { ifindex, parent: hooks.INGRESS }
  const foreign = await dump(transport, types.GETTFILTER, header, (message) => {
    const { place, isFlow, isFlower } = new FilterFlow(message, ports, now, true)
    identities.seen(place, isFlower)
    // Flower introduces a priority by a record without a handle, which sees no packet.
    if (place.chain !== 0 || isFlow || (isFlower && place.handle === 0)) return undefined
    return { kind: readMessage(tcMessage, message).body.kind ?? '', place }
  })
  const before = (place: FilterId) => {
    // What sees every packet is before all flows that come behind it.
    const protocol = place.protocol === ALL_PROTOCOLS ? UNUSED_PROTOCOL : place.protocol
    return place.prio < (identities.prioOf(ifindex, protocol) ?? Number.POSITIVE_INFINITY)
  }
  const first = foreign.filter(({ place }) => before(place))
  const byPrio = new Map(first.map(({ place, kind }) => [place.prio, { prio: place.prio, kind }]))
  return [...byPrio.values()].sort((a, b) => a.prio - b.prio)
}

async function dump<T>(
  transport: Transport,
  type: number,
  header: Parameters<typeof tcMessage.header.write>[1],
  read: (message: Message) => T | undefined,
): Promise<T[]> {
  const writer = new Writer(64)
  writeMessage(writer, tcMessage, { type, flags: 0, header, body: {} })
  const request = writer.take()
  try {
    return await collect(() => transport.dump('route', request), read)
  } catch (error) {
    // A device can vanish at any time, and its filters with it.
    if (error instanceof DpifError && error.errno === ENODEV) return []
    throw error
  }
}

/** Of local experiments (IEEE 802): no filter of ours has it, so it gets a priority behind the preferred ones. */
const UNUSED_PROTOCOL = 0x88b5
const ENODEV = 19
