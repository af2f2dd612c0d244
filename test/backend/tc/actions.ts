import type { Action, CtAction, SetMasked } from '../../../types/action.js'
import type { FlowKey, TunnelKey } from '../../../types/flow.js'
import type { Port } from '../../../types/port.js'
import type { Abilities, Frame, PortTable } from '../../../lib/backend/tc/action/index.js'

// What tests of actions share: a datapath, frames to act on, a generator of actions, and what a list of actions looks like once it
// has been through TC.

const port = (number: number, type: Port['type'] = 'netdev'): Port => {
  return { number, name: `p${number}`, type, ifindex: 100 + number }
}
const list = [port(0, 'internal'), port(1), port(2), port(3), port(4, 'vxlan')]

const table: PortTable = {
  byNumber: (number) => list.find((one) => one.number === number),
  byIfindex: (ifindex) => list.find((one) => one.ifindex === ifindex),
}

export const ownMac = '02:00:00:00:00:10'

/** Everything a backend may come to know. */
export const everything: Abilities = {
  chains: true,
  supports: new Set(['tunnelNoFrag', 'ctHelper']),
  meters: {
    indexOf: (meter) => (meter < 8 ? 0x10000000 + meter : undefined),
    meterOf: (index) => (index >= 0x10000000 && index < 0x10000008 ? index - 0x10000000 : undefined),
  },
  macOf: () => ownMac,
}

const exact = 'ff:ff:ff:ff:ff:ff'
const l3 = (etherType: number, name: string, header: object, mask: object): [FlowKey, FlowKey] => [
  { etherType, [name]: header },
  { etherType: 0xffff, [name]: mask },
]
const [tcpKey, tcpMask] = l3(0x0800, 'ipv4', { proto: 6, ttl: 64 }, { proto: 0xff, ttl: 0xff, frag: 0xff })
const [udpKey, udpMask] = l3(
  0x86dd,
  'ipv6',
  { proto: 17, hlimit: 3 },
  { proto: 0xff, hlimit: 0xff, frag: 0xff },
)
const cookie = new Uint8Array(16).fill(7)

const frame = (key: FlowKey, mask: FlowKey): Frame => ({
  key: { inPort: 1, ethernet: { dst: ownMac }, ...key },
  mask: { inPort: 0xffffffff, ethernet: { dst: exact }, ...mask },
  cookie,
})
const tagged = (key: FlowKey): FlowKey => ({ etherType: 0x8100, vlan: { vid: 5, cfi: 1 }, encap: key })
const tagMask = (mask: FlowKey): FlowKey => ({ etherType: 0xffff, vlan: { vid: 0xfff, cfi: 1 }, encap: mask })

export const frames = {
  tcp: frame(tcpKey, tcpMask),
  udp6: frame({ ...udpKey, udp: {} }, { ...udpMask, udp: {} }),
  ip: frame({ etherType: 0x0800, ipv4: { proto: 6 } }, { etherType: 0xffff, ipv4: {} }),
  arp: frame({ etherType: 0x0806, arp: {} }, { etherType: 0xffff, arp: {} }),
  mpls: frame({ etherType: 0x8847, mpls: [{}] }, { etherType: 0xffff, mpls: [{}] }),
  tagged: frame(tagged(tcpKey), tagMask(tcpMask)),
  twice: frame(tagged(tagged(tcpKey)), tagMask(tagMask(tcpMask))),
  decap: frame({ tunnel: { id: 7n, ttl: 64 }, ...tcpKey }, { tunnel: { id: 0xffffn, ttl: 0 }, ...tcpMask }),
} as const

/** The ports, for a backend that knows as much as `abilities` says. */
export const portsWith = (abilities: Abilities = everything): PortTable => ({ ...table, abilities })

/** The same numbers for the same seed. */
export function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below
  }
}

type Pick = (below: number) => number

const mac = (pick: Pick) => `02:00:00:00:00:${(16 + pick(200)).toString(16)}`
const ipv4 = (pick: Pick) => `10.${pick(256)}.0.${pick(256)}`
const ipv6 = (pick: Pick) => `fd00::${(1 + pick(65535)).toString(16)}`
const maybe = <T extends object>(pick: Pick, part: T): Partial<T> => (pick(2) === 0 ? {} : part)
const ones = (pick: Pick, all: number): number => (pick(3) === 0 ? 0 : pick(3) === 0 ? pick(all + 1) : all)
const masked = (pick: Pick, all: number) => {
  const mask = ones(pick, all)
  return { value: (pick(all) & mask) >>> 0, mask }
}
/** Bytes of GENEVE options. */
const geneve = (pick: Pick) =>
  Uint8Array.from(
    Array.from({ length: 1 + pick(3) }, () => {
      const words = pick(12) === 0 ? 0 : 1 + pick(4)
      return [
        1,
        2,
        pick(9) === 0 ? 0x80 : pick(128),
        words,
        ...Array.from({ length: words * 4 }, () => pick(256)),
      ]
    }).flat(),
  )
const erspans = [
  Uint8Array.of(1, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0),
  Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0xf8),
  Uint8Array.of(2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0),
]

function tunnel(pick: Pick): TunnelKey {
  const options = [{ geneve: geneve(pick) }, { vxlan: { gbp: pick(9) === 0 ? 0x1000000 : 0x80007 } }]
  const more = [...options, { erspan: erspans[pick(3)] as Uint8Array }, {}, {}, {}][pick(6)] as TunnelKey
  const ends =
    pick(2) === 0 ? { dst: ipv4(pick), ...maybe(pick, { src: ipv4(pick) }) } : { ipv6Dst: ipv6(pick) }
  return {
    ...maybe(pick, { id: pick(9) === 0 ? 1n << 40n : BigInt(pick(1 << 24)) }),
    ...ends,
    ...maybe(pick, { tos: pick(256) }),
    ttl: pick(256),
    ...maybe(pick, { tpDst: pick(65536) }),
    ...maybe(pick, { df: true as const }),
    ...maybe(pick, { csum: true as const }),
    ...(pick(12) === 0 ? { oam: true as const } : {}),
    ...more,
  }
}

function ct(pick: Pick): CtAction {
  const commit = [{ commit: true as const }, { forceCommit: true as const }, {}][pick(3)] as CtAction
  const bits = masked(pick, 0xffffffff)
  const v6 = pick(3) === 0
  const ip = v6
    ? { ipMin: 'fd00::1', ipMax: 'fd00::9' }
    : { ipMin: '10.0.0.1', ipMax: ['10.0.0.1', '10.0.0.9'][pick(2)] as string }
  const nat = {
    ...([{ src: true }, { dst: true }, {}][pick(3)] as object),
    ...maybe(pick, ip),
    ...maybe(pick, { protoMin: 1 + pick(9) }),
  }
  return {
    ...commit,
    ...maybe(pick, { zone: pick(65536) }),
    ...maybe(pick, { mark: bits }),
    ...maybe(pick, { labels: { value: BigInt(pick(1 << 20)) << 90n, mask: 0xfffffn << 90n } }),
    ...(pick(8) === 0 ? { helper: 'ftp' } : {}),
    ...(pick(12) === 0 ? { timeout: 'long' } : {}),
    ...maybe(pick, { nat }),
  }
}

function setMasked(pick: Pick): SetMasked {
  const all = { src: '255.255.255.255', dst: '255.255.255.255' }
  const tos = masked(pick, 0xff)
  const port = masked(pick, 0xffff)
  const label = masked(pick, 0xfffff)
  const mark = masked(pick, 0xffffffff)
  const choices: readonly SetMasked[] = [
    { key: { ethernet: { src: mac(pick) } }, mask: { ethernet: { src: exact } } },
    { key: { ipv4: { src: ipv4(pick), tos: tos.value } }, mask: { ipv4: { src: all.src, tos: tos.mask } } },
    { key: { ipv4: { ttl: 9 } }, mask: { ipv4: { ttl: 0xff } } },
    {
      key: { ipv6: { label: label.value, tclass: tos.value } },
      mask: { ipv6: { label: label.mask, tclass: tos.mask } },
    },
    { key: { tcp: { dst: port.value } }, mask: { tcp: { dst: port.mask } } },
    { key: { udp: { src: port.value } }, mask: { udp: { src: port.mask } } },
    { key: { skbMark: mark.value }, mask: { skbMark: mark.mask } },
    { key: { skbPriority: 5 }, mask: { skbPriority: pick(4) === 0 ? 7 : 0xffffffff } },
    {
      key: { mpls: [{ label: 100 + pick(9), ttl: 64 }] },
      mask: { mpls: [{ label: 0xfffff, ttl: pick(2) * 0xff }] },
    },
    { key: { sctp: { src: 5 } }, mask: { sctp: { src: 0xffff } } },
  ]
  return choices[pick(choices.length)] as SetMasked
}

const label = (pick: Pick) => ({
  label: pick(9),
  tc: pick(8),
  ttl: pick(256),
  bos: pick(2),
  etherType: pick(9) === 0 ? 0x0800 : 0x8847,
})

/** Every action there is, well or badly formed. */
function anyAction(pick: Pick, depth: number): Action {
  const nested = () => (depth > 1 ? [] : anyActions(pick, depth + 1))
  const choices: readonly (() => Action)[] = [
    () => ({ output: pick(12) === 0 ? pick(6) : 1 + pick(3) }),
    () => ({ output: 1 + pick(3) }),
    () => ({ setMasked: setMasked(pick) }),
    () => ({ setMasked: setMasked(pick) }),
    () => ({
      set: [
        { udp: { src: 1, dst: 2 } },
        { ethernet: { src: mac(pick) } },
        { skbMark: 7 },
        { ipv4: { ttl: 9, proto: 6 } },
      ][pick(4)] as FlowKey,
    }),
    () => ({ set: { tunnel: tunnel(pick) } }),
    () => ({ ct: ct(pick) }),
    () => ({ ct: ct(pick) }),
    () => ({ ctClear: true }),
    () => ({ pushVlan: { vid: pick(4096), pcp: pick(8), ...maybe(pick, { tpid: 0x88a8 }) } }),
    () => ({ popVlan: true }),
    () => ({ pushMpls: label(pick) }),
    () => ({ popMpls: pick(3) === 0 ? 0x8847 : 0x0800 }),
    () => ({ addMpls: { ...label(pick), flags: pick(2) } }),
    () => ({ popEth: true }),
    () => ({ pushEth: { src: mac(pick), dst: mac(pick) } }),
    () => ({ meter: pick(9) }),
    () => ({ decTtl: { action: pick(4) === 0 ? [{ output: 1 }] : [] } }),
    () => ({ psample: { group: pick(9), ...(pick(6) === 0 ? { cookie: Uint8Array.of(1) } : {}) } }),
    () => ({ sample: { probability: pick(2) === 0 ? 0xffffffff : 5, actions: nested() } }),
    () => ({ clone: nested() }),
    () => ({ checkPktLen: { size: pick(2000), greater: nested(), lessEqual: nested() } }),
    () => ({ drop: pick(4) === 0 ? 1 : 0 }),
    () => ({ recirc: pick(9) === 0 ? 1 << 28 : pick(9) }),
    () => [{ trunc: 99 }, { hash: {} }, { userspace: { pid: 5 } }, { popNsh: true }][pick(4)] as Action,
  ]
  return (choices[pick(choices.length)] as () => Action)()
}

export function anyActions(pick: Pick, depth = 0): Action[] {
  const actions = Array.from({ length: pick(4) }, () => anyAction(pick, depth))
  return pick(2) === 0
    ? actions
    : [...actions, pick(4) === 0 ? { recirc: 1 + pick(9) } : { output: 1 + pick(3) }]
}

/** A list as it is read back: spelled as openvswitch reports it, copies that make no difference taken apart. */
export function canonicalActions(actions: readonly Action[]): Action[] {
  return actions.flatMap((action): Action[] => {
    if (action.drop !== undefined) return []
    if (action.clone) return canonicalActions(action.clone)
    if (action.sample) return canonicalActions(action.sample.actions ?? [])
    if (action.checkPktLen) {
      const { size, greater = [], lessEqual = [] } = action.checkPktLen
      const branch = (part: readonly Action[]) => canonicalActions(part)
      return [{ checkPktLen: { size: size ?? 0, greater: branch(greater), lessEqual: branch(lessEqual) } }]
    }
    if (action.addMpls?.flags === 1) {
      const { flags: _, ...pushMpls } = action.addMpls
      return [{ pushMpls }]
    }
    if (action.pushVlan) return [{ pushVlan: { tpid: 0x8100, vid: 0, pcp: 0, cfi: 1, ...action.pushVlan } }]
    if (action.pushEth) return [{ pushEth: { ...blanks.ethernet, ...action.pushEth } }]
    if (action.ct) return [{ ct: canonicalCt(action.ct) }]
    if (action.set?.tunnel) return [{ set: { tunnel: canonicalTunnel(action.set.tunnel) } }]
    const masked = action.setMasked ?? (action.set && wholeOf(action.set))
    return masked ? canonicalSet(masked) : [action]
  })
}

function canonicalCt({ commit, forceCommit, zone = 0, nat, ...more }: CtAction): CtAction {
  const { ipMax, protoMax, ...from } = nat ?? {}
  const to = {
    ...(ipMax === undefined || ipMax === from.ipMin ? {} : { ipMax }),
    ...(protoMax === undefined || protoMax === from.protoMin ? {} : { protoMax }),
  }
  const how: CtAction = forceCommit ? { forceCommit: true } : commit ? { commit: true } : {}
  return { ...how, zone, ...more, ...(nat === undefined ? {} : { nat: { ...from, ...to } }) }
}

function canonicalTunnel(tunnel: TunnelKey): TunnelKey {
  const said = Object.entries(tunnel).filter(([part, value]) => value !== 0 || part === 'ttl')
  return { ttl: 0, ...Object.fromEntries(said) }
}

/** The parts of a header that can be written, and nothing of each. */
const blanks: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ethernet: { src: '00:00:00:00:00:00', dst: '00:00:00:00:00:00' },
  ipv4: { src: '0.0.0.0', dst: '0.0.0.0', ttl: 0, tos: 0 },
  ipv6: { src: '::', dst: '::', hlimit: 0, tclass: 0, label: 0 },
  tcp: { src: 0, dst: 0 },
  udp: { src: 0, dst: 0 },
}
const ones6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
const wholes: Readonly<Record<string, unknown>> = {
  ethernet: { src: exact, dst: exact },
  ipv4: { src: '255.255.255.255', dst: '255.255.255.255', ttl: 0xff, tos: 0xff },
  ipv6: { src: ones6, dst: ones6, hlimit: 0xff, tclass: 0xff, label: 0xfffff },
  tcp: { src: 0xffff, dst: 0xffff },
  udp: { src: 0xffff, dst: 0xffff },
  mpls: [{ label: 0xfffff, tc: 7, ttl: 0xff, bos: 1 }],
  skbMark: 0xffffffff,
  skbPriority: 0xffffffff,
}

function wholeOf(key: FlowKey): SetMasked {
  const [name = ''] = Object.keys(key)
  return { key, mask: { [name]: wholes[name] } }
}

function canonicalSet({ key, mask }: SetMasked): Action[] {
  const [name = '', value] = Object.entries(key)[0] ?? []
  const bits = (mask as Record<string, unknown>)[name]
  const blank = blanks[name]
  const fill = (part: unknown): unknown => {
    if (name === 'mpls') return [{ label: 0, tc: 0, ttl: 0, bos: 0, ...(part as readonly object[])[0] }]
    if (blank === undefined) return part
    const said = part as Record<string, unknown>
    return Object.fromEntries(Object.keys(blank).map((field) => [field, said[field] ?? blank[field]]))
  }
  const full = fill(bits)
  const nothing =
    typeof full === 'number' ? full === 0 : JSON.stringify(full) === JSON.stringify(fill(blank ?? [{}]))
  if (nothing) return []
  return [{ setMasked: { key: { [name]: cut(fill(value), full) }, mask: { [name]: full } } }]
}

/** What is not written does not count. */
function cut(value: unknown, mask: unknown): unknown {
  if (Array.isArray(value)) return value.map((part, at) => cut(part, (mask as readonly unknown[])[at]))
  if (typeof value === 'number') return (value & (mask as number)) >>> 0
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([part, said]) => [part, cut(said, (mask as Record<string, unknown>)[part])]),
  )
}
