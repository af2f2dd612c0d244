import type { FlowKey, TunnelKey } from '../../types/flow.js'
import { ipv4, ipv6 } from '../netlink/addresses.js'
import type { Scalar } from '../netlink/codec.js'
import { be16, be32, u8, u64 } from '../netlink/integers.js'
import type { Found } from '../netlink/reader.js'
import type { Writer } from '../netlink/writer.js'
import { type Supports } from './features.js'
import { counts, put, row, type Take, writeRow } from './match-row.js'
import { optionObjections, readOptions, writeOptions } from './match-tunnel-options.js'
import type { Report } from './reasons.js'

/*
 * The tunnel a packet came through. A tunnel in the mask says three things to openvswitch: which bits count, which flags count (those
 * that are there), and that the outer packet is of the key's family. flower compares the family as soon as a bit of an address counts,
 * and not before (fl_init_dissector()); and a filter without it would take packets that came through no tunnel at all for ones
 * whose every field is 0. So a tunnel is matched with an address or not at all.
 *
 * Without a mask for the tunnel both match packets of any tunnel and of none.
 */

/** The key of a tunnel: flower has its lower 32 bits. */
const tunnelId: Scalar<bigint> = {
  ...u64,
  size: 4,
  put: (to, at, value) => be32.put(to, at, Number(value)),
  take: (bytes, at) => BigInt(be32.take(bytes, at)),
  write: (writer, value) => be32.write(writer, Number(value)),
  read: (bytes, start, end) => BigInt(be32.read(bytes, start, end)),
  samples: [0n, 1n, 0xffffffn, 0xffffffffn],
}

// biome-ignore format: one row per line
export const tunnelRows = [
  row('tunnel.id',      'ENC_KEY_ID',       26, undefined, tunnelId),
  row('tunnel.src',     'ENC_IPV4_SRC',     27, 28, ipv4),
  row('tunnel.dst',     'ENC_IPV4_DST',     29, 30, ipv4),
  row('tunnel.ipv6Src', 'ENC_IPV6_SRC',     31, 32, ipv6),
  row('tunnel.ipv6Dst', 'ENC_IPV6_DST',     33, 34, ipv6),
  row('tunnel.tos',     'ENC_IP_TOS',       80, 81, u8),
  row('tunnel.ttl',     'ENC_IP_TTL',       82, 83, u8),
  row('tunnel.tpSrc',   'ENC_UDP_SRC_PORT', 43, 44, be16),
  row('tunnel.tpDst',   'ENC_UDP_DST_PORT', 45, 46, be16),
] as const

/** The flags of a tunnel, and where flower has them (TCA_FLOWER_KEY_FLAGS_TUNNEL_*). */
// biome-ignore format: one row per line
export const tunnelFlags = [
  { name: 'csum', uapi: 'CSUM',          bit: 4 },
  { name: 'df',   uapi: 'DONT_FRAGMENT', bit: 8 },
  { name: 'oam',  uapi: 'OAM',           bit: 16 },
] as const

export const encFlags = {
  flags: { uapi: 'TCA_FLOWER_KEY_ENC_FLAGS', id: 110, since: '6.11' },
  mask: { uapi: 'TCA_FLOWER_KEY_ENC_FLAGS_MASK', id: 111, since: '6.11' },
} as const

const flagsOf = (tunnel: TunnelKey): number =>
  tunnelFlags.reduce((bits, { name, bit }) => (tunnel[name] ? bits | bit : bits), 0)

/** Whether the mask says anything of a tunnel the key has. */
export function matchesTunnel(key: FlowKey, mask: FlowKey): boolean {
  return key.tunnel !== undefined && namesTunnel(mask)
}

/**
 * Whether the mask says anything of tunnels, were it only that there is none. openvswitch passes over an empty one, as over all that is
 * zero throughout (__parse_flow_nlattrs()), and over no other.
 */
export function namesTunnel({ tunnel = {} }: FlowKey): boolean {
  for (const _ in tunnel) return true
  return false
}

/** For a key without a tunnel under a mask with one. On a port that is no tunnel it would be exact, but nobody knows that here. */
export function reportNoTunnel(report: Report): void {
  report('tunnel', 'NO_FLOWER_KEY', 'flower cannot match that a packet came through no tunnel')
}

/** For a key and a mask that {@link matchesTunnel} is true of. */
export function writeTunnel(writer: Writer, key: FlowKey, mask: FlowKey): void {
  const { tunnel = {} } = key
  const { tunnel: bits = {} } = mask
  for (const row of tunnelRows) writeRow(writer, row, key, mask)
  const flags = flagsOf(bits)
  if (flags !== 0) {
    put(writer, encFlags.flags.id, be32, flagsOf(tunnel) & flags)
    put(writer, encFlags.mask.id, be32, flags)
  }
  writeOptions(writer, tunnel, bits)
}

/** The parts that are matched; and the TTL always, since openvswitch wants it in a key. Empty when nothing of a tunnel is matched. */
export function readTunnel(take: Take, found: Found): { key: FlowKey; mask: FlowKey } {
  const key: Record<string, unknown> = {}
  const mask: Record<string, unknown> = {}
  for (const { part = '', id, maskId, codec } of tunnelRows) {
    const value = take(id, codec, maskId)
    if (value === undefined) continue
    key[part] = value
    mask[part] = (maskId === undefined ? undefined : take(maskId, codec)) ?? codec.ones
  }
  const bits = take(encFlags.mask.id, be32) ?? 0
  const flags = take(encFlags.flags.id, be32) ?? 0
  for (const { name, bit } of tunnelFlags) {
    if (bits & bit) mask[name] = true
    if (bits & flags & bit) key[name] = true
  }
  readOptions(found, key, mask)
  for (const _ in mask) return { key: { tunnel: { ttl: 0, ...key } }, mask: { tunnel: mask } }
  return { key: {}, mask: {} }
}

/** For a key and a mask that {@link matchesTunnel} is true of. */
export function reportTunnel(
  { tunnel: key = {} }: FlowKey,
  { tunnel: mask = {} }: FlowKey,
  supports: Supports,
  report: Report,
): void {
  const isV6 = key.ipv6Src !== undefined || key.ipv6Dst !== undefined
  const [own, other] = isV6 ? ([v6, v4] as const) : ([v4, v6] as const)
  for (const name of other) {
    if (counts(mask[name]))
      report(`tunnel.${name}`, 'KERNEL_RULE', `the tunnel of the key is ${isV6 ? 'IPv6' : 'IPv4'}`)
  }
  if (!own.some((name) => counts(mask[name]))) {
    const problem = 'flower tells an IPv4 tunnel, an IPv6 tunnel and none apart by an address only'
    report('tunnel', 'TOO_WIDE', `${problem}; match some of src or dst`)
  }
  if (mask.id !== undefined) reportId(key.id, mask.id, report)
  if (!supports.has('encFlags')) {
    for (const { name } of tunnelFlags)
      if (mask[name]) report(`tunnel.${name}`, 'NEEDS_KERNEL', 'flower matches tunnel flags from Linux 6.11')
  }
  if (mask.ipv4InfoBridge) report('tunnel.ipv4InfoBridge', 'NO_FLOWER_KEY', 'flower has no such match')
  if (mask.unknown?.length) report('tunnel.unknown', 'NO_FLOWER_KEY', 'flower has no such match')
  optionObjections(key, mask, supports, report)
}

const v4 = ['src', 'dst'] as const
const v6 = ['ipv6Src', 'ipv6Dst'] as const

/** An id in the mask also says that the tunnel has one, and flower takes none for 0. */
function reportId(id: bigint | undefined, bits: bigint, report: Report): void {
  const path = 'tunnel.id'
  if (id === undefined) report(path, 'NO_FLOWER_KEY', 'flower cannot match that a tunnel has no key')
  else if (bits !== tunnelId.ones) report(path, 'PARTIAL_MASK', 'some of its 64 bits; all or none')
  else if (id > 0xffffffffn) report(path, 'VALUE_TOO_LARGE', 'flower has 32 bits of it')
  else if (id === 0n) report(path, 'TOO_WIDE', 'flower takes a tunnel without a key for one whose key is 0')
}

/** Whether what stands against `b` is what stands against `a`, given the same mask; the rows of the two may differ. */
export function sameTunnelShape(a: TunnelKey | undefined, b: TunnelKey | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return (
    (a.id === undefined) === (b.id === undefined) &&
    (b.id === undefined || (b.id > 0n && b.id <= 0xffffffffn)) &&
    (a.ipv6Src === undefined) === (b.ipv6Src === undefined) &&
    (a.ipv6Dst === undefined) === (b.ipv6Dst === undefined) &&
    flagsOf(a) === flagsOf(b) &&
    a.geneve === b.geneve &&
    a.vxlan === b.vxlan &&
    a.erspan === b.erspan &&
    a.ipv4InfoBridge === b.ipv4InfoBridge &&
    a.unknown === b.unknown
  )
}
