import type { Flow, FlowKey } from '../index.js'
import { CliError } from './error.js'

// `dump-flows filter=`: a flow as OpenFlow spells it, `tcp,nw_dst=10.0.0.1,tp_dst=80`, every named field exact. As in ovs-dpctl a field
// the flow does not look at does not speak against it, and of one it looks at in part that part counts.

/** Whether a flow passes. */
export type Filter = (flow: Pick<Flow, 'key' | 'mask'>) => boolean

/** Reads a filter; throws a {@link CliError} that names the word that is none. */
export function parseFilter(
  text: string,
  portNumber: ((name: string) => number | undefined) | undefined,
): Filter {
  const wanted = new Map<string, bigint>()
  const set = (field: string, value: bigint, word: string) => {
    if (wanted.has(field)) throw bad(text, `${word} is set multiple times`)
    wanted.set(field, value)
  }
  for (const item of text.split(/[\s,]+/).filter((word) => word !== '')) {
    const [, word = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(item) ?? []
    const protocol = Object.hasOwn(protocols, word) ? protocols[word] : undefined
    if (protocol !== undefined && value === undefined) {
      set('etherType', BigInt(protocol[0]), word)
      if (protocol[1] !== undefined) set('proto', BigInt(protocol[1]), word)
      continue
    }
    const row = Object.hasOwn(fields, word) ? fields[word] : undefined
    if (row === undefined)
      throw bad(text, `unknown field ${word}; there are ${Object.keys(fields).join(', ')}`)
    if (value === undefined) throw bad(text, `${word} needs a value`)
    const field = row.fieldFor(wanted)
    if (field === undefined) throw bad(text, `prerequisites not met for setting ${word}`)
    const number = word === 'in_port' ? portNumber?.(value) : undefined
    set(field, number === undefined ? row.parse(value, word, text) : BigInt(number), word)
  }
  return (flow) => passes(wanted, flow)
}

function passes(wanted: ReadonlyMap<string, bigint>, { key, mask }: Pick<Flow, 'key' | 'mask'>): boolean {
  const values = flattened(key, mask)
  for (const [name, value] of wanted) {
    const found = values.get(name)
    if (found === undefined) continue
    const bits = found.mask & (significant[name] ?? ALL)
    if ((found.value & bits) !== (value & bits)) return false
  }
  return true
}

/** One field of a flow, as numbers. */
interface Bits {
  readonly value: bigint
  readonly mask: bigint
}

/** What a flow matches, by the names of {@link fields}: packets without a tag and without an Ethernet type are matches, too. */
function flattened(key: FlowKey, mask: FlowKey): ReadonlyMap<string, Bits> {
  const found = new Map<string, Bits>()
  const vlan = key.vlan ?? {}
  const vlanMask = mask.vlan ?? {}
  const isTagged = key.vlan !== undefined
  const tag = isTagged ? { value: tci(vlan), mask: tci(vlanMask) } : { value: 0n, mask: 0xffffn }
  for (const part of ['vlan', 'vid', 'pcp']) found.set(part, tag)
  let [inner, innerMask] = [key, mask]
  while (inner.vlan !== undefined) [inner, innerMask] = [inner.encap ?? {}, innerMask.encap ?? {}]
  collect(found, '', key, mask)
  collect(found, '', inner, innerMask)
  const type = inner.etherType
  // An 802.2 frame is no packet of any type (FLOW_DL_TYPE_NONE of OVS).
  if (type === undefined) found.set('etherType', { value: 0x05ffn, mask: 0xffffn })
  const ip = inner.ipv4 === undefined ? 'ipv6.' : 'ipv4.'
  for (const part of ['proto', 'tos', 'ttl']) {
    const bits = found.get(`${ip}${ip === 'ipv4.' ? part : (sixth[part] ?? part)}`)
    if (bits !== undefined) found.set(part, bits)
  }
  return found
}

const sixth: Readonly<Record<string, string>> = { tos: 'tclass', ttl: 'hlimit' }

const tci = ({ vid = 0, pcp = 0, cfi = 1 }): bigint => BigInt((pcp << 13) | (cfi << 12) | vid)

/** Every part of a key under its path. What the mask does not have counts in no bit. */
function collect(found: Map<string, Bits>, path: string, key: object, mask: object): void {
  for (const [name, value] of Object.entries(key)) {
    const bits = (mask as Record<string, unknown>)[name]
    if (name === 'encap' || name === 'unknown' || name === 'vlan') continue
    if (
      value !== null &&
      typeof value === 'object' &&
      !Array.isArray(value) &&
      !(value instanceof Uint8Array)
    )
      collect(found, `${path}${name}.`, value, (bits as object | undefined) ?? {})
    else if (['number', 'bigint', 'string'].includes(typeof value))
      found.set(`${path}${name}`, { value: numberOf(value), mask: bits === undefined ? 0n : numberOf(bits) })
  }
}

/** A number, a MAC or an IP address. */
function numberOf(value: unknown): bigint {
  if (typeof value !== 'string') return BigInt(value as number | bigint)
  if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(value)) return BigInt(`0x${value.replaceAll(':', '')}`)
  if (/^\d+(\.\d+){3}$/.test(value))
    return value.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
  return addressOf(value)
}

/** The 128 bits of an IPv6 address. */
function addressOf(text: string): bigint {
  const plain = text.replace(/[^:]*\.[^:]*$/, (ipv4) => {
    const bits = numberOf(ipv4)
    return `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`
  })
  const [head = '', tail] = plain.split('::')
  const words = (part = '') => (part === '' ? [] : part.split(':'))
  const before = words(head)
  const after = words(tail)
  const zeros = new Array(Math.max(0, 8 - before.length - after.length)).fill('0')
  return [...before, ...(tail === undefined ? [] : zeros), ...after].reduce(
    (sum, word) => (sum << 16n) | BigInt(`0x${word}`),
    0n,
  )
}

const ALL = (1n << 128n) - 1n
/** Fields of OpenFlow that are a part of what a flow has. */
const significant: Readonly<Record<string, bigint>> = { tos: 0xfcn, vid: 0x1fffn, pcp: 0xf000n }

// Ethernet type and, where there is one, protocol.
const protocols: Readonly<Record<string, readonly [type: number, proto?: number]>> = {
  ip: [0x0800],
  ipv4: [0x0800],
  ip4: [0x0800],
  icmp: [0x0800, 1],
  tcp: [0x0800, 6],
  udp: [0x0800, 17],
  sctp: [0x0800, 132],
  arp: [0x0806],
  rarp: [0x8035],
  ipv6: [0x86dd],
  ip6: [0x86dd],
  icmp6: [0x86dd, 58],
  tcp6: [0x86dd, 6],
  udp6: [0x86dd, 17],
  sctp6: [0x86dd, 132],
  mpls: [0x8847],
  mplsm: [0x8848],
}

interface Field {
  /** Where the flow has it, given what the filter said before; undefined when it is not a field of such packets. */
  readonly fieldFor: (wanted: ReadonlyMap<string, bigint>) => string | undefined
  readonly parse: (value: string, word: string, text: string) => bigint
}

type Requirement = (wanted: ReadonlyMap<string, bigint>) => boolean

const always: Requirement = () => true
const isType =
  (...types: readonly number[]): Requirement =>
  (wanted) =>
    types.includes(Number(wanted.get('etherType') ?? -1))
const isIp = isType(0x0800, 0x86dd)
const isProto =
  (...protos: readonly number[]): Requirement =>
  (wanted) =>
    isIp(wanted) && protos.includes(Number(wanted.get('proto') ?? -1))

const field = (name: string, parse: Field['parse'], requires: Requirement = always): Field => ({
  fieldFor: (wanted) => (requires(wanted) ? name : undefined),
  parse,
})

const number =
  (max: bigint): Field['parse'] =>
  (value, word, text) => {
    const parsed = /^(0x[0-9a-f]+|\d+)$/i.test(value) ? BigInt(value) : undefined
    if (parsed === undefined || parsed > max) throw bad(text, `bad value for ${word}: '${value}'`)
    return parsed
  }
const [u8, u16, u32] = [number(0xffn), number(0xffffn), number(0xffffffffn)]

/** The bit of a tag that says that there is one. */
const PRESENT = 0x1000n
/** OFP10_VLAN_NONE: no tag. */
const NO_TAG = 0xffffn
const vid: Field['parse'] = (value, word, text) => {
  const parsed = u16(value, word, text)
  if (parsed === NO_TAG) return 0n
  if (parsed > 0xfffn) throw bad(text, `bad value for ${word}: '${value}'`)
  return parsed | PRESENT
}

const address =
  (pattern: RegExp): Field['parse'] =>
  (value, word, text) => {
    if (!pattern.test(value))
      throw bad(text, `bad value for ${word}: '${value}'; it is exact, without a mask`)
    return numberOf(value)
  }
const mac = address(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i)
const ipv4 = address(/^(\d{1,3}\.){3}\d{1,3}$/)
const ipv6 = address(/^[0-9a-f:]*:[0-9a-f:.]*$/i)

/** A port of whichever protocol the filter is about. */
const port = (side: 'src' | 'dst'): Field => ({
  fieldFor: (wanted) => {
    const name = isIp(wanted) ? portsOf[Number(wanted.get('proto') ?? -1)] : undefined
    return name === undefined ? undefined : `${name}.${side}`
  },
  parse: u16,
})
const portsOf: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }

const icmp = (part: 'type' | 'code'): Field => ({
  fieldFor: (wanted) => {
    if (isType(0x0800)(wanted) && isProto(1)(wanted)) return `icmp.${part}`
    return isType(0x86dd)(wanted) && isProto(58)(wanted) ? `icmpv6.${part}` : undefined
  },
  parse: u8,
})

const isArp = isType(0x0806, 0x8035)

// biome-ignore format: one row per line
const fields: Readonly<Record<string, Field>> = {
  in_port:      field('inPort', u16),
  recirc_id:    field('recircId', u32),
  dp_hash:      field('dpHash', u32),
  pkt_mark:     field('skbMark', u32),
  skb_priority: field('skbPriority', u32),
  tun_id:       field('tunnel.id', number(0xffffffffffffffffn)),
  tun_src:      field('tunnel.src', ipv4),
  tun_dst:      field('tunnel.dst', ipv4),
  tun_ipv6_src: field('tunnel.ipv6Src', ipv6),
  tun_ipv6_dst: field('tunnel.ipv6Dst', ipv6),
  ct_zone:      field('ctZone', u16),
  ct_mark:      field('ctMark', u32),
  ct_label:     field('ctLabels', number(ALL)),
  dl_src:       field('ethernet.src', mac),
  eth_src:      field('ethernet.src', mac),
  dl_dst:       field('ethernet.dst', mac),
  eth_dst:      field('ethernet.dst', mac),
  dl_type:      field('etherType', u16),
  eth_type:     field('etherType', u16),
  vlan_tci:     field('vlan', u16),
  dl_vlan:      field('vid', vid),
  dl_vlan_pcp:  field('pcp', (value, word, text) => (number(7n)(value, word, text) << 13n) | PRESENT),
  nw_src:       field('ipv4.src', ipv4, isType(0x0800)),
  ip_src:       field('ipv4.src', ipv4, isType(0x0800)),
  nw_dst:       field('ipv4.dst', ipv4, isType(0x0800)),
  ip_dst:       field('ipv4.dst', ipv4, isType(0x0800)),
  ipv6_src:     field('ipv6.src', ipv6, isType(0x86dd)),
  ipv6_dst:     field('ipv6.dst', ipv6, isType(0x86dd)),
  ipv6_label:   field('ipv6.label', number(0xfffffn), isType(0x86dd)),
  nw_proto:     field('proto', u8, isIp),
  ip_proto:     field('proto', u8, isIp),
  nw_tos:       field('tos', u8, isIp),
  nw_ttl:       field('ttl', u8, isIp),
  tp_src:       port('src'),
  tp_dst:       port('dst'),
  tcp_src:      field('tcp.src', u16, isProto(6)),
  tcp_dst:      field('tcp.dst', u16, isProto(6)),
  udp_src:      field('udp.src', u16, isProto(17)),
  udp_dst:      field('udp.dst', u16, isProto(17)),
  sctp_src:     field('sctp.src', u16, isProto(132)),
  sctp_dst:     field('sctp.dst', u16, isProto(132)),
  icmp_type:    icmp('type'),
  icmp_code:    icmp('code'),
  icmpv6_type:  icmp('type'),
  icmpv6_code:  icmp('code'),
  arp_op:       field('arp.op', u16, isArp),
  arp_spa:      field('arp.sip', ipv4, isArp),
  arp_tpa:      field('arp.tip', ipv4, isArp),
  arp_sha:      field('arp.sha', mac, isArp),
  arp_tha:      field('arp.tha', mac, isArp),
  nd_target:    field('nd.target', ipv6, isProto(58)),
}

function bad(text: string, why: string): CliError {
  return new CliError(`cannot read the filter '${text}': ${why}`)
}
