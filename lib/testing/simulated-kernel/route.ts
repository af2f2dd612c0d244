import { s32, u32 } from '../../netlink/integers.js'
import { flags, HEADER_SIZE } from '../../netlink/message.js'
import type { Message } from '../../netlink/reader.js'
import { string } from '../../netlink/table.js'
import { type TcHeader, tcMessage, types } from '../../tc/message.js'
import { parse, type Policy, type Span } from './attributes.js'
import { textOf } from './datapath.js'
import type { Device } from './devices.js'
import { refuse } from './errors.js'
import { Filters } from './filters.js'
import { Qdiscs } from './qdisc.js'
import { frame, nest, put, type Request } from './request.js'
import type { State } from './state.js'

/** Rtnetlink: qdiscs, filters, and as much of links as tells their names. */
export class Route {
  readonly #state: State
  readonly #privileged: boolean
  readonly qdiscs: Qdiscs
  readonly #filters: Filters

  constructor(state: State, privileged: boolean, hasFlower: boolean, unknown: ReadonlySet<number>) {
    this.#state = state
    this.#privileged = privileged
    this.qdiscs = new Qdiscs(state.devices)
    this.#filters = new Filters(state, this.qdiscs, hasFlower, unknown)
  }

  handle({ message, reply }: Request): void {
    const reads = message.type % 4 === 2
    if (!handled.has(message.type)) refuse('EOPNOTSUPP')
    if (!reads && !this.#privileged) refuse('EPERM')
    if (message.type === GETLINK) return reply(writeLink(this.#link(message), 0))
    // Every device here is up; asking for it is only an error when there is none.
    if (message.type === NEWLINK) return void this.#link(message)
    const request = read(message)
    const { header, attributes } = request
    const echo = (answer: Uint8Array | undefined): void => {
      if (answer !== undefined && message.flags & flags.ECHO) reply(answer)
    }
    switch (message.type) {
      case types.NEWQDISC:
        return this.qdiscs.create(header, attributes, message.flags)
      case types.DELQDISC:
        return this.qdiscs.remove(header, attributes)
      case types.GETQDISC:
        // Only an echo, unlike every other GET (qdisc_notify()).
        return echo(this.qdiscs.get(header, attributes))
      case types.NEWTFILTER:
        return echo(this.#filters.create(request))
      case types.DELTFILTER:
        return echo(this.#filters.remove(request))
      default:
        return reply(this.#filters.get(request))
    }
  }

  *dump(message: Message): Generator<Uint8Array> {
    if (message.type === GETLINK) {
      for (const device of this.#state.devices.all()) yield writeLink(device, flags.MULTI)
    } else if (message.type === types.GETQDISC) yield* this.qdiscs.dump()
    else if (message.type === types.GETTFILTER) yield* this.#filters.dump(read(message))
    else refuse('EOPNOTSUPP')
  }

  #link(message: Message): Device {
    const start = message.start + HEADER_SIZE
    if (message.end - start < IFINFOMSG) refuse('EINVAL', 'Invalid header for get link')
    const ifindex = s32.take(message.bytes, start + 4)
    const { devices } = this.#state
    if (ifindex !== 0) return devices.byIndex(ifindex) ?? refuse('ENODEV')
    const name = parse({ bytes: message.bytes, start: start + IFINFOMSG, end: message.end }).get(IFNAME)
    return name === undefined ? refuse('EINVAL') : (devices.byName(textOf(name)) ?? refuse('ENODEV'))
  }
}

const NEWLINK = 16
const GETLINK = 18
const IFINFOMSG = 16
const IFNAME = 3
const LINKINFO = 18
const handled: ReadonlySet<number> = new Set([NEWLINK, GETLINK, ...Object.values(types)])

// What rtm_tca_policy asks of TCA_*.
const policy: Policy = { 11: { min: 4 }, 15: { min: 8 } }

function read(message: Message): {
  readonly header: TcHeader
  readonly attributes: Map<number, Span>
  readonly flags: number
  readonly origin: number
} {
  const { bytes, start, end } = message
  const from = start + HEADER_SIZE
  const { header } = tcMessage
  if (end - from < header.size) refuse('EINVAL', 'Invalid header length')
  const attributes = parse({ bytes, start: from + header.size, end }, policy, start)
  return {
    header: header.read(bytes, from, from + header.size),
    attributes,
    flags: message.flags,
    origin: start,
  }
}

function writeLink({ name, ifindex, kind }: Device, messageFlags: number): Uint8Array {
  return frame(NEWLINK, messageFlags, (writer) => {
    const at = writer.reserve(IFINFOMSG)
    // ARPHRD_ETHER, or ARPHRD_LOOPBACK; up and running.
    const type = kind === 'loopback' ? 772 : 1
    writer.bytes.set(new Uint8Array(Uint16Array.of(type).buffer), at + 2)
    s32.put(writer.bytes, at + 4, ifindex)
    u32.put(writer.bytes, at + 8, 0x11043)
    const named = writer.begin(IFNAME)
    string.write(writer, name)
    writer.end(named)
    if (kind === 'loopback') return
    nest(writer, LINKINFO, () => put(writer, 1, new TextEncoder().encode(`${kind}\0`)))
  })
}
