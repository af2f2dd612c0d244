import { type Frame, type PortTable, translateActions } from '../../lib/backend/tc/action/index.js'
import type { Codec, Scalar } from '../../lib/netlink/codec.js'
import { u32 } from '../../lib/netlink/integers.js'
import { eachAttribute } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'
import type { Packet } from '../../lib/ovs/action-rules-packet.js'
import { setViolations } from '../../lib/ovs/action-rules-set.js'
import { flowKey } from '../../lib/ovs/key.js'
import { type Feature, features, type Supports } from '../../lib/tc/features.js'
import { matchRows, oddRows, writeMatch } from '../../lib/tc/match.js'
import { ctState } from '../../lib/tc/match-ct.js'
import { mplsOpts, mplsRows } from '../../lib/tc/match-mpls.js'
import { encFlags } from '../../lib/tc/match-tunnel.js'
import { encOpts } from '../../lib/tc/match-tunnel-options.js'
import { matchObjections } from '../../lib/tc/objections.js'
import type { Action } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'
import type { Port } from '../../types/port.js'
import { code } from './cell.js'

/*
 * What TC does with a field is nowhere written down by hand: every field is put to the same functions a flow goes through
 * (`matchObjections()`, `writeMatch()`, `translateActions()`), and what they answer is what the reference says.
 */

/** The least value that is not zero, which is also a mask with one bit. */
export function lowest({ ones, size, take }: Scalar<unknown>): unknown {
  if (typeof ones === 'number') return 1
  if (typeof ones === 'bigint') return 1n
  const bytes = new Uint8Array(size)
  bytes[size - 1] = 1
  return take(bytes, 0)
}

export interface Match {
  readonly key: FlowKey
  readonly mask: FlowKey
}

const address = { src: '00:00:00:00:00:00', dst: '00:00:00:00:00:00' }
export const behind = (etherType: number, key: FlowKey = {}, mask: FlowKey = {}): Match => ({
  key: { inPort: 1, ethernet: address, etherType, ...key },
  mask: { inPort: 0xffffffff, ethernet: address, etherType: 0xffff, ...mask },
})
const ipv4 = (proto = 0) =>
  behind(0x0800, { ipv4: { proto } }, { ipv4: { proto: proto && 0xff, frag: 0xff } })
const ipv6 = (proto = 0) =>
  behind(0x86dd, { ipv6: { proto } }, { ipv6: { proto: proto && 0xff, frag: 0xff } })
const tunnelTo = (name: 'dst' | 'ipv6Dst', dst: string, ones: string): Match =>
  behind(0x0800, { ipv4: {}, tunnel: { [name]: dst, ttl: 64 } }, { ipv4: {}, tunnel: { [name]: ones } })
const tunnel4 = tunnelTo('dst', '10.0.0.1', '255.255.255.255')
const tunnel6 = tunnelTo('ipv6Dst', 'fd00::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')
export const tagged: Match = {
  key: { ...behind(0x8100).key, vlan: { vid: 0, pcp: 0, cfi: 1 }, encap: { etherType: 0x0800, ipv4: {} } },
  mask: { ...behind(0x8100).mask, vlan: { vid: 0, pcp: 0, cfi: 1 }, encap: { etherType: 0xffff, ipv4: {} } },
}

/** The least match in which an attribute can be matched; for others, any IPv4 packet. */
export const surroundings: { readonly [K in keyof FlowKey]?: Match } = {
  tunnel: tunnel4,
  vlan: tagged,
  encap: tagged,
  ipv4: behind(0x0800, { ipv4: {} }, { ipv4: {} }),
  ipv6: behind(0x86dd, { ipv6: {} }, { ipv6: {} }),
  ipv6Exthdrs: ipv6(),
  ctTuple6: ipv6(),
  nsh: behind(0x894f),
  arp: behind(0x0806, { arp: { op: 1 } }, { arp: { op: 0xffff } }),
  mpls: behind(0x8847, { mpls: [{}] }, { mpls: [{}] }),
  tcp: ipv4(6),
  tcpFlags: ipv4(6),
  udp: ipv4(17),
  sctp: ipv4(132),
  icmp: ipv4(1),
  icmpv6: ipv6(58),
  nd: ipv6(58),
  ndExtensions: ipv6(58),
}

/** What of a flow TC has in another place than in a key of flower. */
const elsewhere: Readonly<Record<string, string>> = {
  recircId: 'the chain of the filter',
  inPort: 'the port of the filter',
  etherType: code(oddRows.ethType.uapi),
  'vlan.cfi': 'implied by a tag',
}

/** Where the kernel compares something else than the bits of the mask (net/openvswitch/flow_netlink.c). */
export const oddMasks: Readonly<Record<string, string>> = {
  inPort: 'whole',
  etherType: 'whole',
  'vlan.cfi': 'must be 1',
  packetType: '–',
  ndExtensions: '–',
  'nsh.md2': '–',
}

/** Values that are not to be had from the codec. */
const samples: Readonly<Record<string, readonly Probe[]>> = {
  'tunnel.geneve': [
    {
      value: Uint8Array.of(1, 2, 3, 1, 9, 9, 9, 9),
      mask: Uint8Array.of(255, 255, 255, 31, 255, 255, 255, 255),
    },
  ],
  'tunnel.erspan': [
    { value: erspan(1, [0, 0, 0, 5]), mask: erspan(0xffffffff, [255, 255, 255, 255]) },
    { value: erspan(2, [0, 0, 0, 0, 0, 0, 3, 0xf8]), mask: erspan(0xffffffff, [0, 0, 0, 0, 0, 0, 3, 0xf8]) },
  ],
  etherType: [
    { value: 0x0800, mask: 0xffff },
    { value: 0x0800, mask: 1, partial: true },
  ],
  'nsh.md2': [{ value: Uint8Array.of(0, 1, 2, 0), mask: new Uint8Array(4).fill(255) }],
}

/** struct erspan_metadata, whose version is in host order. */
function erspan(version: number, rest: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(12)
  u32.put(bytes, 0, version)
  bytes.set(rest, 4)
  return bytes
}

export interface Probe {
  readonly value: unknown
  readonly mask: unknown
  /** Some of the bits. */
  readonly partial?: boolean
}

/** An address that looks like one, by its size. */
const addresses: Readonly<Record<number, string>> = { 4: '10.0.0.1', 6: '02:00:00:00:00:01', 16: 'fd00::1' }

export function probesOf(path: string, codec: Codec<unknown>): readonly Probe[] {
  const own = samples[path]
  if (own !== undefined) return own
  if (codec.size === 0) return [{ value: true, mask: true }]
  const { zero, ones, size } = codec as Scalar<unknown>
  const one = lowest(codec as Scalar<unknown>)
  const values = [typeof ones === 'string' ? addresses[size] : one, zero]
  const exact = values.map((value) => ({ value, mask: ones }))
  return one === ones ? exact : [...exact, ...values.map((value) => ({ value, mask: one, partial: true }))]
}

export interface PartOf {
  readonly name: string
  readonly codec: Codec<unknown>
}

/** A match with one more field in it. */
export function withField(
  match: Match,
  attribute: string,
  part: string | undefined,
  { value, mask }: Probe,
): Match {
  return {
    key: put(match.key, attribute, part, value) as FlowKey,
    mask: put(match.mask, attribute, part, mask) as FlowKey,
  }
}

function put(into: unknown, name: string, part: string | undefined, value: unknown): unknown {
  const all = (into ?? {}) as Record<string, unknown>
  if (part === undefined) return { ...all, [name]: value }
  const [first = '', rest] = part.split('.')
  if (name !== 'mpls') return { ...all, [name]: put(all[name], first, rest, value) }
  const [entry] = (all[name] ?? []) as readonly object[]
  return { ...all, [name]: [put(entry, first, rest, value)] }
}

const nothing: Supports = new Set()
export const everything: Supports = new Set(
  (Object.keys(features) as Feature[]).filter((name) => /^\d/.test(features[name].since)),
)

interface Objection {
  readonly reason: string
  readonly problem: string
}

export function tcMatch(attribute: string, part: string | undefined, codec: Codec<unknown>): string {
  const path = part === undefined ? attribute : `${attribute}.${part}`
  const base =
    part?.startsWith('ipv6') && attribute === 'tunnel'
      ? tunnel6
      : (surroundings[attribute as keyof FlowKey] ?? ipv4())
  const probes = probesOf(path, codec)
  const before = new Set(matchObjections(base.key, base.mask, { supports: everything }).map(spoken))
  const against = (probe: Probe, supports: Supports) => {
    const { key, mask } = withField(base, attribute, part, probe)
    return matchObjections(key, mask, { supports }).filter((objection) => !before.has(spoken(objection)))
  }
  const results = probes.map((probe) => ({ probe, objections: against(probe, everything) }))
  const where = (): string => {
    const written = results
      .filter(({ objections }) => objections.length === 0)
      .flatMap(({ probe }) => namesOf(withField(base, attribute, part, probe), base, attribute, part, codec))
    const names = elsewhere[path] ?? [...new Set(written)].map(code).join(' ')
    return names + fromLinux(probes.flatMap((probe) => against(probe, nothing)))
  }
  return verdict(results, where)
}

/** The kernel that one which knows nothing new is told to be older than. */
function fromLinux(objections: readonly Objection[]): string {
  const needs = objections.find(({ reason }) => reason === 'NEEDS_KERNEL')?.problem ?? ''
  const version = /(?:Linux|before) (\d+\.\d+)/.exec(needs)?.[1]
  return version === undefined ? '' : `, from Linux ${version}`
}

const spoken = ({ reason, problem }: Objection): string => `${reason} ${problem}`

/** Yes, whole, some or no, and why. */
export function verdict(
  results: readonly { readonly probe?: Probe; readonly objections: readonly Objection[] }[],
  where: () => string,
): string {
  const refused = results.filter(({ objections }) => objections.length > 0)
  if (refused.length === 0) return `yes: ${where()}`
  const why = new Map<string, Set<string>>()
  for (const { reason, problem } of refused.flatMap(({ objections }) => objections))
    why.set(reason, (why.get(reason) ?? new Set()).add(problem))
  const sentences = [...why]
    .map(([reason, problems]) => `${[...problems].join('; ')} (${code(reason)})`)
    .join('; ')
  if (refused.length === results.length) return `no: ${sentences}`
  const partial = refused.every(({ probe }) => probe?.partial) && why.size === 1 && why.has('PARTIAL_MASK')
  return partial ? `whole: ${where()}` : `some: ${where()}; ${sentences}`
}

const flowerNames = new Map<number, string>([
  ...matchRows.flatMap(({ uapi, id }) => [[id, uapi] as const]),
  ...Object.values(oddRows).map(({ uapi, id }) => [id, uapi] as const),
  ...mplsRows.map(({ uapi, id }) => [id, `TCA_FLOWER_KEY_MPLS_${uapi}`] as const),
  [ctState.id, ctState.uapi],
  [mplsOpts.opts.id, mplsOpts.opts.uapi],
  [encFlags.flags.id, encFlags.flags.uapi],
  [encOpts.opts.id, encOpts.opts.uapi],
])

/** The attributes of flower, without those of masks, that are there because of the field. */
function namesOf(
  match: Match,
  base: Match,
  attribute: string,
  part: string | undefined,
  codec: Codec<unknown>,
): string[] {
  const zero = 'zero' in codec ? (codec as Scalar<unknown>).zero : undefined
  const named = (without: Match) => {
    const others = new Set([...idsOf(without), oddRows.flagsMask.id])
    return idsOf(match).flatMap((id) => (others.has(id) ? [] : (flowerNames.get(id) ?? [])))
  }
  // A nest is there because of the attribute, whatever counts of the field.
  const names = named(withField(base, attribute, part, { value: zero, mask: zero }))
  return names.length > 0 ? names : named(base)
}

function idsOf({ key, mask }: Match): number[] {
  const writer = new Writer(256)
  writeMatch(writer, key, mask)
  const bytes = writer.take()
  const ids: number[] = []
  eachAttribute(bytes, 0, bytes.length, (id) => ids.push(id))
  return ids
}

const cookie = new Uint8Array(16)
export const port = (number: number): Port => ({
  number,
  name: `p${number}`,
  type: 'netdev',
  ifindex: number,
})
const meters = { indexOf: (meter: number) => meter, meterOf: (index: number) => index }
const able: PortTable = {
  byNumber: port,
  byIfindex: port,
  abilities: { chains: true, supports: everything, meters },
}

/** Whether openvswitch sets a field, and whether TC does. */
export function settable(attribute: string, part?: PartOf): [string, string] {
  const path = part === undefined ? attribute : `${attribute}.${part.name}`
  const codec = part?.codec ?? flowKey.rows.find(({ name }) => name === attribute)?.codec
  const [probe] = codec === undefined ? [] : probesOf(path, codec)
  if (probe === undefined || oddMasks[path] === '–') return ['–', '–']
  const frame = rewritten[attribute as keyof FlowKey] ?? surroundings[attribute as keyof FlowKey] ?? ipv4(6)
  const { key, mask } = withField({ key: {}, mask: {} }, attribute, part?.name, probe)
  const rules: string[] = []
  const packet = { etherType: frame.key.etherType, ethernet: true, flow: { proto: 6, frag: 0 } } as Packet
  setViolations(key, attribute === 'tunnel' ? undefined : mask, packet, (_, problem) => rules.push(problem))
  if (rules.some((problem) => /cannot be (set|changed)$/.test(problem))) return ['–', '–']
  const ends = part?.name.startsWith('ipv6') ? { ipv6Dst: 'fd00::1' } : { dst: '10.0.0.1' }
  const action: Action =
    key.tunnel === undefined
      ? { setMasked: { key, mask } }
      : { set: { tunnel: { ...ends, ttl: 64, ...key.tunnel } } }
  const { kinds, objections } = translate([action], frame)
  const older = translate([action], frame, { ...able, abilities: {} }).objections
  return ['yes', verdict([{ objections }], () => kinds + fromLinux(older))]
}

/** Where more has to be known of a packet to rewrite it than to match. */
const rewritten: { readonly [K in keyof FlowKey]?: Match } = { ipv4: ipv4(6), ipv6: ipv6(6), tunnel: ipv4(6) }

export function translate(actions: readonly Action[], { key, mask }: Match, ports = able) {
  const frame: Frame = { key, mask, cookie }
  const result = translateActions(actions, frame, ports)
  const kinds = [...new Set(result.actions.map(({ kind }) => kind))]
  // The end of a list is an action of its own, which stands for nothing else where there is more.
  const more = kinds.filter((kind) => kind !== 'gact')
  return {
    kinds: (more.length > 0 ? more : kinds).map((kind) => code(`act_${kind}`)).join(' '),
    objections: result.objections,
  }
}
