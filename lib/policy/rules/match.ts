import type { Action } from '../../../types/action.js'
import type { FlowKey } from '../../../types/flow.js'
import type { TunnelType } from '../../../types/port.js'
import type { EtherTypeName, ProtocolName, RuleMatch, TunnelMatch } from '../../../types/rules.js'
import { actionKinds, kindBits, nestedIn } from '../action-kinds.js'
import type { PortName } from '../labels.js'
import { isTunnel, someOutput, switchOf } from '../outputs.js'
import { isWithin, overlaps, type Prefix, parsePrefix } from './prefix.js'
import { IPV4, IPV6, type MaskedAddress, type Question } from './question.js'
import { inRanges, parseRange, type Range } from './range.js'
import {
  bool,
  either,
  type Field,
  type Fields,
  integer,
  listed,
  mapped,
  named,
  object,
  oneOf,
  oneOrMore,
  type Shape,
  word,
} from './shape.js'

// What a rule can be about: one row for each field, from which come the check of the document, its schema, and the function that is
// asked about a flow. The rows are in the order in which a rule asks, the cheap and telling ones first.

/** Whether something is so of the flow in question. */
export type Test = (question: Question) => boolean

/** Makes a test; `some` as `packets: some`. */
type Make = (some: boolean) => Test

interface MatchParts extends Readonly<Record<Exclude<keyof RuleMatch, 'packets'>, Make>> {
  readonly packets: 'all' | 'some'
}

/** A number, or the name a port has or will have. */
export const portName: Shape<PortName, number | string> = either(
  integer(0, 0xffff),
  word('the name of a port', { minLength: 1, maxLength: 15 }, (name) =>
    name !== '' && Buffer.byteLength(name) <= 15 && !/[\s/]/.test(name) ? name : undefined,
  ),
)

const etherTypes: Readonly<Record<EtherTypeName, number>> = {
  arp: 0x0806,
  ipv4: IPV4,
  ipv6: IPV6,
  lldp: 0x88cc,
  mpls: 0x8847,
}

const protocols: Readonly<Record<ProtocolName, number>> = { icmp: 1, icmpv6: 58, sctp: 132, tcp: 6, udp: 17 }

const tunnelTypes: readonly TunnelType[] = ['vxlan', 'geneve', 'gre', 'ip6gre', 'erspan', 'ip6erspan']

/** The e-switch a name stands for. */
const device: Shape<string | null, string> = mapped(
  word(
    'a switch id, the name of an e-switch, or a name from devices',
    { minLength: 1 },
    (name) => name || undefined,
  ),
  (name, node, reader, path) => {
    const known = reader.devices.get(name) ?? name
    const id = isSwitchId(known) ? known.toLowerCase() : reader.devices.get(known)
    if (id !== undefined) return id
    if (known.includes('/')) {
      reader.unresolved.add(known)
      return null
    }
    const names = [...reader.devices.keys()]
    const there = names.length === 0 ? 'there are no devices' : `there is ${listed(names)}`
    reader.report(
      node,
      path,
      `'${name}' is neither a switch id in hex digits nor a name from devices; ${there}`,
    )
    return undefined
  },
)

export const isSwitchId = (text: string): boolean => /^([0-9a-fA-F]{2})+$/.test(text)

const tenant: Shape<number, string> = mapped(
  word('the name of a tenant', { minLength: 1 }, (name) => name || undefined),
  (name, node, reader, path) => {
    const number = reader.tenants.get(name)
    if (number === undefined) {
      const names = [...reader.tenants.keys()]
      const there = names.length === 0 ? 'there are no tenants' : `there is ${listed(names)}`
      reader.report(node, path, `'${name}' is no tenant; ${there}`)
    }
    return number
  },
)

const prefix = word(
  'an address like 10.0.0.1 or fd00::1, or a prefix like 10.0.0.0/8 that ends in zeros',
  { pattern: '^[0-9a-fA-F:.]+(/[0-9]{1,3})?$' },
  parsePrefix,
)

/** A number up to `most`, or a range. */
function numbers(most: number): Shape<Range, number | string> {
  return either(
    mapped(integer(0, most), (number): Range => ({ from: number, to: number })),
    word('a range like 1-9', { pattern: '^[0-9]+-[0-9]+$' }, (text) => parseRange(text, most)),
  )
}

/** A number up to `most`, or a word for one. */
function numberOrName<Name extends string>(
  most: number,
  names: Readonly<Record<Name, number>>,
): Shape<Range, number | Name> {
  const shape = either(integer(0, most), named(names))
  return mapped(shape, (number): Range => ({ from: number, to: number }))
}

const kinds = mapped(oneOrMore(oneOf(actionKinds)), kindBits)

const MAX_ID = (1n << 64n) - 1n
const tunnelId: Shape<bigint, number | string> = either(
  mapped(integer(0, Number.MAX_SAFE_INTEGER), BigInt),
  word('digits up to 2^64', { pattern: '^[0-9]{1,20}$' }, (text) => {
    if (!/^[0-9]{1,20}$/.test(text)) return undefined
    return BigInt(text) <= MAX_ID ? BigInt(text) : undefined
  }),
)

interface TunnelParts {
  readonly id?: readonly bigint[]
  readonly type?: readonly TunnelType[]
}

const tunnelFields: Fields<TunnelParts, TunnelMatch> = {
  id: { doc: 'VNI or GRE key; beyond 2^53 its digits in quotes.', shape: oneOrMore(tunnelId) },
  type: { doc: 'The kind of the tunnel port.', shape: oneOrMore(oneOf(tunnelTypes)) },
}
const tunnel: Shape<TunnelParts, TunnelMatch> = object(tunnelFields)

/** A row. */
function about<T, In>(
  doc: string,
  shape: Shape<T, In>,
  make: (value: T, some: boolean) => Test,
): Field<Make, In> {
  return {
    doc,
    shape: mapped(
      shape,
      (value): Make =>
        (some) =>
          make(value, some),
    ),
  }
}

const fields: Fields<MatchParts, RuleMatch> = {
  packets: {
    doc: 'Whether the match has to fit all packets of a flow, or whether one that could be among them is enough; all when left out.',
    shape: oneOf(['all', 'some']),
  },
  port: about(
    'The port packets come in through, by number or name. A name may be a port later.',
    oneOrMore(portName),
    (names, some) => {
      const isOne = oneOfPorts(names)
      return (q) => {
        const { inPort } = q.put.key
        return inPort === undefined ? some : isOne(inPort, q)
      }
    },
  ),
  tenant: about(
    'The tenant of the port packets come in through, or else of the first they are sent to that has one.',
    oneOrMore(tenant),
    (labels) => (q) => q.tenant !== undefined && labels.includes(q.tenant),
  ),
  recirculated: about(
    'Whether the flow is behind a recirculation.',
    bool,
    (wanted) => (q) => ((q.put.key.recircId ?? 0) !== 0) === wanted,
  ),
  device: about(
    'The e-switch of the port packets come in through: its switch id, its name in devlink, or a name from devices.',
    oneOrMore(device),
    (ids, some) => (q) =>
      q.put.key.inPort === undefined ? some : ids.includes(q.port?.switchId ?? NO_SWITCH),
  ),
  etherType: about(
    'The Ethernet type, of what is behind tags.',
    oneOrMore(numberOrName(0xffff, etherTypes)),
    (ranges, some) => (q) => {
      // A key without type under a mask that counts is a frame that has none.
      if (q.key.etherType === undefined && (q.mask.etherType ?? 0) !== 0) return false
      return inRanges(ranges, q.key.etherType, q.mask.etherType, 0xffff, some)
    },
  ),
  vlan: about(
    'The outer tag: a number or a range like 100-199.',
    oneOrMore(numbers(0xfff)),
    (ranges, some) => (q) => {
      const { key, mask } = q.put
      // Without a tag but with a type there is no tag.
      if (key.vlan === undefined && (mask.etherType ?? 0) !== 0) return false
      return inRanges(ranges, key.vlan?.vid, mask.vlan?.vid, 0xfff, some)
    },
  ),
  protocol: about('The protocol in IP.', oneOrMore(numberOrName(0xff, protocols)), (ranges, some) => (q) => {
    return q.family !== 0 && inRanges(ranges, q.protocol, q.protocolMask, 0xff, some)
  }),
  sourcePort: about(
    'Of TCP, UDP or SCTP: a number or a range like 8000-8099.',
    oneOrMore(numbers(0xffff)),
    (ranges, some) => l4(ranges, some, 'src'),
  ),
  destinationPort: about(
    'Of TCP, UDP or SCTP: a number or a range like 8000-8099.',
    oneOrMore(numbers(0xffff)),
    (ranges, some) => l4(ranges, some, 'dst'),
  ),
  source: about(
    'Addresses of IPv4 or IPv6, with or without prefix length.',
    oneOrMore(prefix),
    (prefixes, some) => addressed(prefixes, some, (q) => q.source),
  ),
  destination: about(
    'Addresses of IPv4 or IPv6, with or without prefix length.',
    oneOrMore(prefix),
    (prefixes, some) => addressed(prefixes, some, (q) => q.destination),
  ),
  tunnel: about('The tunnel packets come through; {} is any.', tunnel, ({ id, type }, some) => (q) => {
    const { tunnel: key } = q.put.key
    if (key === undefined && (q.port === undefined || !isTunnel(q.port))) return false
    if (type !== undefined && !(type as readonly string[]).includes(q.port?.type ?? '')) return false
    return id === undefined || hasId(id, key?.id, q.put.mask.tunnel?.id, some)
  }),
  toTunnel: about('A tunnel packets are sent into; {} is any.', tunnel, ({ id, type }) => {
    const kind = type as readonly string[] | undefined
    return (q) =>
      someOutput(q.put.actions, (number) => {
        const port = q.facts.port(number)
        return port !== undefined && isTunnel(port) && (kind === undefined || kind.includes(port.type))
      }) &&
      (id === undefined || setsId(q.put.actions, id))
  }),
  actions: about(
    'One of these kinds is among the actions, or within them. A flow without actions is a drop.',
    kinds,
    (bits) => (q) => (q.kinds & bits) !== 0,
  ),
  onlyActions: about('There are no actions of other kinds.', kinds, (bits) => (q) => (q.kinds & ~bits) === 0),
  toPort: about('A port packets are sent to, by number or name.', oneOrMore(portName), (names) => {
    const isOne = oneOfPorts(names)
    return (q) => someOutput(q.put.actions, (port) => isOne(port, q))
  }),
  sameDevice: about(
    'Whether all ports of the flow, tunnels aside, are on one e-switch.',
    bool,
    (wanted) => (q) => (switchOf(q.put, q.facts, true) !== undefined) === wanted,
  ),
}

/** What a rule is about, as tests that all have to hold; the cheap ones first. */
export const match: Shape<readonly Test[], RuleMatch> = mapped(object(fields), (parts) => {
  const { packets = 'all', ...makes } = parts
  const order = Object.keys(fields)
  return (Object.entries(makes) as [string, Make][])
    .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .map(([, make]) => make(packets === 'some'))
})

const NO_SWITCH = '-'

function oneOfPorts(ports: readonly PortName[]): (port: number, q: Question) => boolean {
  const numbers = new Set(ports.filter((port): port is number => typeof port === 'number'))
  const names = new Set(ports.filter((port): port is string => typeof port === 'string'))
  if (names.size === 0) return (port) => numbers.has(port)
  return (port, { facts }) => {
    const name = facts.port(port)?.name
    return (name !== undefined && names.has(name)) || numbers.has(port)
  }
}

function l4(ranges: readonly Range[], some: boolean, end: 'src' | 'dst'): Test {
  const fits = (key: FlowKey, mask: FlowKey): boolean | undefined => {
    const { tcp = key.udp ?? key.sctp } = key
    const bits = key.tcp !== undefined ? mask.tcp : key.udp !== undefined ? mask.udp : mask.sctp
    return tcp === undefined ? undefined : inRanges(ranges, tcp[end], bits?.[end], 0xffff, some)
  }
  return (q) => fits(q.key, q.mask) ?? (some && mayHavePorts(q))
}

/** Of a flow that says nothing of ports: whether its packets can have any. */
function mayHavePorts({ family, protocol, protocolMask }: Question): boolean {
  return family !== 0 && inRanges(withPorts, protocol, protocolMask, 0xff, true)
}

const withPorts: readonly Range[] = [protocols.tcp, protocols.udp, protocols.sctp].map((number) => ({
  from: number,
  to: number,
}))

function addressed(
  prefixes: readonly Prefix[],
  some: boolean,
  addressOf: (q: Question) => MaskedAddress,
): Test {
  const fits = some ? overlaps : isWithin
  return (q) => {
    const { family } = q
    if (family === -1) return some
    // The addresses of a flow that names its type only are any.
    for (let index = 0; index < prefixes.length; index++) {
      const prefix = prefixes[index] as Prefix
      if (prefix.family === family && fits(prefix, addressOf(q))) return true
    }
    return false
  }
}

function hasId(
  ids: readonly bigint[],
  value: bigint | undefined,
  mask: bigint | undefined,
  some: boolean,
): boolean {
  if (mask === MAX_ID) return value !== undefined && ids.includes(value)
  if (!some) return false
  const counts = mask ?? 0n
  return ids.some((id) => ((id ^ (value ?? 0n)) & counts) === 0n)
}

/** Whether an action says that the tunnel has one of the ids. */
function setsId(actions: readonly Action[], ids: readonly bigint[]): boolean {
  for (let index = 0; index < actions.length; index++) {
    const action = actions[index] as Action
    const { tunnel } = action.set ?? action.setMasked?.key ?? none
    if (tunnel?.id !== undefined && ids.includes(tunnel.id)) return true
    for (const nested of nestedIn(action)) if (setsId(nested, ids)) return true
  }
  return false
}

const none: FlowKey = {}
