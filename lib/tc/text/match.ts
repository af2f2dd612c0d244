import type { UnknownAttribute } from '../../../types/flow.js'
import { ipv4, ipv6, mac } from '../../netlink/addresses.js'
import { be32, u8, u16, u32 } from '../../netlink/integers.js'
import { eachAttribute } from '../../netlink/reader.js'
import { matchRows, oddRows } from '../match.js'
import { ctFlags, ctState } from '../match-ct.js'
import { mplsOpts, mplsRows } from '../match-mpls.js'
import { type Take, taker } from '../match-row.js'
import { encFlags } from '../match-tunnel.js'
import { encOpts } from '../match-tunnel-options.js'
import { bytesOf, hexOf, type Phrase, protocolName } from './phrase.js'

/*
 * The attributes of flower in the words of `tc`, iproute2 6.1 (tc/f_flower.c). It reads some numbers as decimal and some as
 * hexadecimal, wants types and protocols before what depends on them, and knows masks for some fields only.
 */

/** Says one attribute: its bytes, and those of its mask where there is one. */
type Form = (word: string, value: Uint8Array, mask: Uint8Array | undefined, phrase: Phrase) => void

const numberOf = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0)
const isWhole = (mask: Uint8Array | undefined): mask is undefined =>
  mask?.every((byte) => byte === 0xff) ?? true

/** A value and its mask, written by `write`; the mask is left out where all of it counts. */
const masked =
  (write: (bytes: Uint8Array) => string): Form =>
  (word, value, mask, phrase) =>
    phrase.say(word, isWhole(mask) ? write(value) : `${write(value)}/${write(mask)}`)

const decimal = masked((bytes) => String(numberOf(bytes)))
const hex = masked((bytes) => hexOf(numberOf(bytes)))
const macs = masked((bytes) => mac.read(bytes, 0, bytes.length))
const host16 = masked((bytes) => hexOf(u16.read(bytes, 0, bytes.length)))
const host32 = masked((bytes) => hexOf(u32.read(bytes, 0, bytes.length)))
const raw = masked(bytesOf)

/** A port of 0 has to have a mask, or it is taken for none. */
const port: Form = (word, value, mask = new Uint8Array(2).fill(0xff), phrase) =>
  phrase.say(
    word,
    isWhole(mask) && numberOf(value) > 0 ? numberOf(value) : `${numberOf(value)}/${hexOf(numberOf(mask))}`,
  )

/** Masks are prefixes. */
const address: Form = (word, value, mask, phrase) => {
  const codec = value.length === 4 ? ipv4 : ipv6
  const text = codec.read(value, 0, value.length)
  if (isWhole(mask)) return phrase.say(word, text)
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('')
  if (/^1*0*$/.test(bits)) return phrase.say(word, `${text}/${bits.lastIndexOf('1') + 1}`)
  phrase.lack(`${word} ${text}/${codec.read(mask, 0, mask.length)}: a mask that is no prefix`)
}

const whole =
  (write: (bytes: Uint8Array) => string): Form =>
  (word, value, mask, phrase) => {
    if (isWhole(mask)) phrase.say(word, write(value))
    else phrase.lack(`${word} ${write(value)}/${hexOf(numberOf(mask))}: it takes no mask`)
  }

const number = whole((bytes) => String(numberOf(bytes)))

/** Twelve bits; of the other four no packet has one (__skb_flow_dissect_tcp()), so a mask loses nothing. */
const tcpFlags: Form = (word, value, mask = new Uint8Array(2).fill(0xff), phrase) => {
  const bits = numberOf(mask)
  const flags = numberOf(value)
  if (flags & ~0xfff) phrase.lack(`${word} ${hexOf(flags)}/${hexOf(bits)}: more than twelve bits`)
  else phrase.say(word, `${hexOf(flags)}/${hexOf(bits & 0xfff)}`)
}

const arpOp: Form = (word, value, mask, phrase) => {
  const op = numberOf(value)
  if (op <= 2) decimal(word, value, mask, phrase)
  else phrase.lack(`${word} ${op}: only 0, request (1) and reply (2)`)
}

/** Names where there are any; numbers are read as hexadecimal. */
const ipProto: Form = (word, value, _, phrase) => {
  const proto = numberOf(value)
  phrase.say(word, { 6: 'tcp', 17: 'udp', 132: 'sctp' }[proto] ?? hexOf(proto))
}

const unspoken =
  (why: string): Form =>
  (word, value, _, phrase) =>
    phrase.lack(`${word} ${bytesOf(value)}: ${why}`)

const type: Form = (word, value, _, phrase) => phrase.say(word, protocolName(numberOf(value)))
const host: Form = (word, value, _, phrase) => phrase.say(word, u16.read(value, 0, value.length))

const states = ['trk', 'new', 'est', 'rel', 'inv', 'rpl'] as const
const stateNames: Readonly<Record<string, (typeof states)[number]>> = {
  NEW: 'new',
  ESTABLISHED: 'est',
  RELATED: 'rel',
  TRACKED: 'trk',
  INVALID: 'inv',
  REPLY: 'rpl',
}

const state: Form = (word, value, mask, phrase) => {
  const bits = mask === undefined ? 0x3f : u16.read(mask, 0, mask.length)
  const flags = u16.read(value, 0, value.length)
  const known = ctFlags.filter(({ flower }) => bits & flower)
  phrase.say(
    word,
    known.map(({ name, flower }) => `${flags & flower ? '+' : '-'}${stateNames[name]}`).join(''),
  )
}

/** What flower's flags say of fragments (TCA_FLOWER_KEY_FLAGS_*). */
const fragments: Form = (word, value, mask = new Uint8Array(4), phrase) => {
  const bits = numberOf(mask)
  const flags = numberOf(value)
  const named = [
    { bit: 1, name: 'frag' },
    { bit: 2, name: 'firstfrag' },
  ].filter(({ bit }) => bits & bit)
  phrase.say(word, named.map(({ bit, name }) => (flags & bit ? name : `no${name}`)).join('/'))
}

/** Several labels, from the outermost. */
const labels: Form = (word, value, _, phrase) => {
  phrase.say(word)
  eachAttribute(value, 0, value.length, (_id, start, end) => {
    const take = taker(value.subarray(start, end))
    phrase.say('lse', 'depth', take(mplsOpts.depth.id, u8) ?? 0)
    for (const { name, lseId, codec } of mplsRows) {
      const part = take(lseId, codec)
      if (part !== undefined) phrase.say(name, part)
    }
  })
}

/** Options of a tunnel that are one nest. TC carries no others: see `geneveLength` in features.ts. */
interface Options {
  readonly id: number
  readonly word: string
  readonly write: (take: Take) => string
}

const colons = (parts: readonly (string | number | undefined)[]): string =>
  parts.map((part) => part ?? '').join(':')

// biome-ignore format: one row per line
const optionSorts: readonly Options[] = [
  { id: encOpts.vxlan.id, word: 'vxlan_opts', write: (take) => hexOf(take(encOpts.gbp.id, u32) ?? 0) },
  { id: encOpts.erspan.id, word: 'erspan_opts', write: (take) => colons([take(encOpts.version.id, u8), take(encOpts.index.id, be32), take(encOpts.dir.id, u8), take(encOpts.hwid.id, u8)]).replace(/:+$/, '') },
]

function nestsOf(list: Uint8Array): { id: number; nest: Uint8Array }[] {
  const nests: { id: number; nest: Uint8Array }[] = []
  eachAttribute(list, 0, list.length, (id, start, end) => nests.push({ id, nest: list.subarray(start, end) }))
  return nests
}

const options: Form = (word, value, mask = new Uint8Array(0), phrase) => {
  const [key] = nestsOf(value)
  const [bits] = nestsOf(mask)
  const sort = optionSorts.find(({ id }) => id === key?.id)
  if (key === undefined || bits?.id !== key.id || sort === undefined)
    return phrase.lack(`${word} ${bytesOf(value)}: options of another kind`)
  phrase.say(sort.word, `${sort.write(taker(key.nest))}/${sort.write(taker(bits.nest))}`)
}

interface TextRow {
  readonly id: number
  readonly maskId?: number
  readonly word: string
  readonly form: Form
}

const noSource = 'it matches the destination port only'

/** Words and forms of the fields that are one attribute, by the kernel's name without TCA_FLOWER_KEY_. */
// biome-ignore format: one row per line
const fields: Readonly<Record<string, readonly [word: string, form: Form]>> = {
  IP_PROTO:         ['ip_proto', ipProto],
  ETH_DST:          ['dst_mac', macs],
  ETH_SRC:          ['src_mac', macs],
  ARP_SIP:          ['arp_sip', address],
  ARP_TIP:          ['arp_tip', address],
  ARP_OP:           ['arp_op', arpOp],
  ARP_SHA:          ['arp_sha', macs],
  ARP_THA:          ['arp_tha', macs],
  IPV4_SRC:         ['src_ip', address],
  IPV4_DST:         ['dst_ip', address],
  IPV6_SRC:         ['src_ip', address],
  IPV6_DST:         ['dst_ip', address],
  IP_TOS:           ['ip_tos', hex],
  IP_TTL:           ['ip_ttl', hex],
  TCP_SRC:          ['src_port', port],
  TCP_DST:          ['dst_port', port],
  UDP_SRC:          ['src_port', port],
  UDP_DST:          ['dst_port', port],
  SCTP_SRC:         ['src_port', port],
  SCTP_DST:         ['dst_port', port],
  TCP_FLAGS:        ['tcp_flags', tcpFlags],
  ICMPV4_TYPE:      ['type', decimal],
  ICMPV4_CODE:      ['code', decimal],
  ICMPV6_TYPE:      ['type', decimal],
  ICMPV6_CODE:      ['code', decimal],
  CT_ZONE:          ['ct_zone', host16],
  CT_MARK:          ['ct_mark', host32],
  CT_LABELS:        ['ct_label', raw],
  ENC_KEY_ID:       ['enc_key_id', number],
  ENC_IPV4_SRC:     ['enc_src_ip', address],
  ENC_IPV4_DST:     ['enc_dst_ip', address],
  ENC_IPV6_SRC:     ['enc_src_ip', address],
  ENC_IPV6_DST:     ['enc_dst_ip', address],
  ENC_IP_TOS:       ['enc_tos', hex],
  ENC_IP_TTL:       ['enc_ttl', hex],
  ENC_UDP_SRC_PORT: ['enc_src_port', unspoken(noSource)],
  ENC_UDP_DST_PORT: ['enc_dst_port', number],
}

const fieldRows: readonly TextRow[] = Object.entries(fields).flatMap(([name, [word, form]]) => {
  const row = matchRows.find(({ uapi }) => uapi === `TCA_FLOWER_KEY_${name}`)
  if (row === undefined) return []
  return [{ id: row.id, ...(row.maskId === undefined ? {} : { maskId: row.maskId }), word, form }]
})

/** Every attribute of a match in the order in which `tc` is to be told of it. */
// biome-ignore format: one row per line
export const textRows: readonly TextRow[] = [
  { id: oddRows.numOfVlans.id, word: 'num_of_vlans', form: decimal },
  { id: oddRows.vlanEthType.id, word: 'vlan_ethtype', form: type },
  { id: oddRows.vlanId.id, word: 'vlan_id', form: host },
  { id: oddRows.vlanPrio.id, word: 'vlan_prio', form: decimal },
  { id: oddRows.cvlanEthType.id, word: 'cvlan_ethtype', form: type },
  { id: oddRows.cvlanId.id, word: 'cvlan_id', form: host },
  { id: oddRows.cvlanPrio.id, word: 'cvlan_prio', form: decimal },
  { id: oddRows.flags.id, maskId: oddRows.flagsMask.id, word: 'ip_flags', form: fragments },
  ...mplsRows.map(({ name, id, codec }) => ({ id, word: `mpls_${name}`, form: whole((bytes) => String(codec.read(bytes, 0, bytes.length))) })),
  { id: mplsOpts.opts.id, word: 'mpls', form: labels },
  ...fieldRows,
  { id: ctState.id, maskId: ctState.maskId, word: 'ct_state', form: state },
  { id: encFlags.flags.id, maskId: encFlags.mask.id, word: 'enc_flags', form: unspoken('iproute2 knows it from 6.11 on') },
  { id: encOpts.opts.id, maskId: encOpts.mask.id, word: 'enc_opts', form: options },
]

/** Says the match of a filter: what a flower body has beside its actions and flags. */
export function sayMatch(attributes: readonly UnknownAttribute[], phrase: Phrase): void {
  const found = new Map(attributes.map(({ id, data }) => [id, data]))
  const tags = [oddRows.vlanEthType, oddRows.cvlanEthType].map(({ id }) => found.get(id))
  for (const { id, maskId, word, form } of textRows) {
    const value = found.get(id)
    if (value !== undefined) form(word, value, maskId === undefined ? undefined : found.get(maskId), phrase)
    found.delete(id)
    if (maskId !== undefined) found.delete(maskId)
  }
  // Said by the protocol of the filter; behind tags the kernel reports the payload's type.
  found.delete(oddRows.ethType.id)
  if (tags[0] === undefined && tags[1] !== undefined) phrase.lack('a second tag behind one of any type')
  for (const [id, data] of found) phrase.lack(`attribute ${id}, ${bytesOf(data)}: unknown here`)
}
