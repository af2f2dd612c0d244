import { linkTypes } from '../../device/link.js'
import { flags, HEADER_SIZE } from '../../netlink/message.js'
import type { Message } from '../../netlink/reader.js'
import { actionMessage, actionTypes } from '../../tc/action-message.js'
import { type TcHeader, tcMessage, types } from '../../tc/message.js'
import { parse, type Policy, type Span } from './attributes.js'
import { refuse } from './errors.js'
import { Filters } from './filters.js'
import { Links } from './links.js'
import { Qdiscs } from './qdisc.js'
import type { Request } from './request.js'
import type { State } from './state.js'
import { refuseActions } from './tc-actions.js'

/** Rtnetlink: links, qdiscs and filters. */
export class Route {
  readonly #state: State
  readonly #privileged: boolean
  readonly #links: Links
  readonly qdiscs: Qdiscs
  readonly #filters: Filters

  constructor(state: State, privileged: boolean, unknown: ReadonlySet<number>) {
    this.#state = state
    this.#privileged = privileged
    this.#links = new Links(state)
    this.qdiscs = new Qdiscs(state.devices, state.has('sch_ingress'))
    this.#filters = new Filters(state, this.qdiscs, state.has('cls_flower'), unknown)
  }

  handle({ message, reply }: Request): void {
    const reads = message.type % 4 === 2
    if (!handled.has(message.type)) refuse('EOPNOTSUPP')
    if (!reads && !this.#privileged) refuse('EPERM')
    if (message.type === linkTypes.GETLINK) return reply(this.#links.write(this.#links.get(message), 0))
    if (message.type === linkTypes.NEWLINK) return this.#links.set(message)
    if (message.type === linkTypes.DELLINK) return this.#links.remove(message)
    if (message.type === actionTypes.NEWACTION) return this.#refuseActions(message)
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
      case types.NEWCHAIN:
        return this.#filters.makeChain(request)
      case types.GETCHAIN:
        return reply(this.#filters.getChain(request))
      default:
        return reply(this.#filters.get(request))
    }
  }

  #refuseActions({ bytes, start, end }: Message): never {
    const list = parse({ bytes, start: start + HEADER_SIZE + actionMessage.header.size, end }).get(ACTIONS)
    return list === undefined
      ? refuse('EINVAL', 'Netlink action attributes missing')
      : refuseActions(list, this.#state)
  }

  *dump(message: Message): Generator<Uint8Array> {
    if (message.type === linkTypes.GETLINK) yield* this.#links.dump(message)
    else if (message.type === types.GETQDISC) yield* this.qdiscs.dump()
    else if (message.type === types.GETTFILTER) yield* this.#filters.dump(read(message))
    // No action stands by itself here; a kernel whose kind is not loaded answers so, too.
    else if (message.type !== actionTypes.GETACTION) refuse('EOPNOTSUPP')
  }
}

const handled: ReadonlySet<number> = new Set([
  ...Object.values(linkTypes),
  ...Object.values(types),
  actionTypes.NEWACTION,
])
/** TCA_ACT_TAB. */
const ACTIONS = 1

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
