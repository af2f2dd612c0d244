import { isIPv4, isIPv6 } from 'node:net'
import type { Connection, ConnectionCounters, ConnectionTuple, ZoneLimits } from '../../types/conntrack.js'
import { DpifError } from '../errors.js'
import { ipv4, ipv6 } from '../netlink/addresses.js'
import { LITTLE } from '../netlink/writer.js'
import { icmpProtocols, statusNames } from './connection.js'

// Connections as ovs-dpctl prints them and reads them, and its names for what the kernel has others for.

export interface FormatConnectionOptions {
  /** As with `-m`: id, status, both ends of TCP, and the connection it was expected by. */
  readonly verbose?: boolean
  /** As with `-s`: counters, time and timeout. */
  readonly statistics?: boolean
}

/** A line of `ovs-dpctl dump-conntrack`. */
export function formatConnection(
  connection: Connection,
  { verbose = false, statistics = false }: FormatConnectionOptions = {},
): string {
  const { original, reply, parent, originalCounters, replyCounters, start = 0n, stop = 0n } = connection
  const { id, zone, status, timeout = 0, mark, labels, helper } = connection
  const { proto } = original
  const counted = (counters: ConnectionCounters | undefined) => (statistics ? countersText(counters) : '')
  return [
    protocolNames[proto] ?? String(proto),
    `,orig=(${formatTuple(original)}${counted(originalCounters)})`,
    `,reply=(${formatTuple(reply)}${counted(replyCounters)})`,
    statistics && (start || stop) ? `,start=${timeText(start)}` : '',
    statistics && stop ? `,stop=${timeText(stop)}` : '',
    verbose ? `,id=${id}` : '',
    zone === 0 ? '' : `,zone=${zone}`,
    // Those that OVS has names for.
    verbose ? `,status=${flagsText(status.filter((name) => statusNames.indexOf(name) <= LAST_STATUS))}` : '',
    statistics ? `,timeout=${timeout}` : '',
    mark === 0 ? '' : `,mark=${mark}`,
    labels === 0n ? '' : `,labels=0x${labels.toString(16)}`,
    protoInfoText(connection, verbose),
    helper === undefined ? '' : `,helper=${helper}`,
    verbose && parent !== undefined ? `,parent=(${formatTuple(parent)})` : '',
  ].join('')
}

/** OVS's names of IP protocols that are tracked. */
export const protocolNames: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  58: 'icmpv6',
  132: 'sctp',
  136: 'udplite',
}

/** `src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2`, or with `id`, `type` and `code` for ICMP. */
export function formatTuple({ src, dst, proto, ...rest }: ConnectionTuple): string {
  const { srcPort = 0, dstPort = 0, icmpId = 0, icmpType = 0, icmpCode = 0 } = rest
  const more = icmpProtocols.has(proto)
    ? `id=${icmpId},type=${icmpType},code=${icmpCode}`
    : `sport=${srcPort},dport=${dstPort}`
  return `src=${src},dst=${dst},${more}`
}

function countersText({ packets, bytes }: ConnectionCounters = { packets: 0n, bytes: 0n }): string {
  return packets || bytes ? `,packets=${packets},bytes=${bytes}` : ''
}

/** Local time, to the millisecond. */
function timeText(nanoseconds: bigint): string {
  const time = new Date(Number(nanoseconds / 1_000_000n))
  const digits = (value: number, width = 2) => String(value).padStart(width, '0')
  const date = [digits(time.getFullYear(), 4), digits(time.getMonth() + 1), digits(time.getDate())]
  const clock = [digits(time.getHours()), digits(time.getMinutes()), digits(time.getSeconds())]
  return `${date.join('-')}T${clock.join(':')}.${digits(time.getMilliseconds(), 3)}`
}

const flagsText = (names: readonly string[]): string => names.join('|') || '0'
const LAST_STATUS = statusNames.indexOf('UNTRACKED')

/** OVS's name of a state; `[N]` of one it has none for. */
const stateText = (names: Readonly<Record<string, string>>, state: string | number): string =>
  names[state] ?? (typeof state === 'number' ? `[${state}]` : state)

function protoInfoText({ tcp, sctp }: Connection, verbose: boolean): string {
  if (tcp !== undefined) {
    const state = tcpStateName(tcp.state)
    if (!verbose) return `,protoinfo=(state=${coalesced[state] ?? state})`
    const { originalScale = 0, replyScale = 0, originalFlags = [], replyFlags = [] } = tcp
    const scales =
      originalScale || replyScale ? `,wscale_orig=${originalScale},wscale_reply=${replyScale}` : ''
    const flags = `,flags_orig=${flagsText(originalFlags)},flags_reply=${flagsText(replyFlags)}`
    return `,protoinfo=(state_orig=${state},state_reply=${state}${scales}${flags})`
  }
  if (sctp === undefined) return ''
  const { state, originalTag, replyTag } = sctp
  const name = stateText(sctpNames, typeof state === 'number' ? 'CLOSED' : state)
  return `,protoinfo=(state=${name},vtag_orig=${asOvs(originalTag)},vtag_reply=${asOvs(replyTag)})`
}

/** What OVS calls a state of TCP. */
export function tcpStateName(state: string | number): string {
  return typeof state === 'number' ? 'CLOSED' : (tcpNames[state] ?? state)
}

// What the kernel tells apart and OVS does not, or calls by another name.
const tcpNames: Readonly<Record<string, string>> = {
  NONE: 'CLOSED',
  SYN_SENT2: 'SYN_SENT',
  FIN_WAIT: 'FIN_WAIT_1',
  CLOSE: 'CLOSING',
}
const sctpNames: Readonly<Record<string, string>> = { NONE: 'CLOSED' }
/** Where OVS's own tracker and the kernel's differ, short lines do not. */
export const coalesced: Readonly<Record<string, string>> = {
  FIN_WAIT_2: 'TIME_WAIT',
  SYN_RECV: 'ESTABLISHED',
}

/** OVS prints a number in network order as if it were one in the host's. */
function asOvs(tag: number): number {
  if (!LITTLE) return tag
  const bytes = new DataView(new ArrayBuffer(4))
  bytes.setUint32(0, tag)
  return bytes.getUint32(0, true)
}

/** The lines of `ovs-dpctl ct-get-limits`. */
export function formatLimits({ default: standard, zones }: ZoneLimits): string {
  const lines = zones.map(({ zone, limit, count }) => `zone=${zone},limit=${limit},count=${count}`)
  return [`default limit=${standard}`, ...lines].join('\n')
}

/** Whether a tuple says everything of a direction, so that there can be one such connection in a zone. */
export function isWholeTuple(tuple: Partial<ConnectionTuple>): tuple is ConnectionTuple {
  const { src, dst, proto, srcPort, dstPort, icmpId, icmpType, icmpCode } = tuple
  if (src === undefined || dst === undefined || proto === undefined) return false
  const rest = icmpProtocols.has(proto) ? [icmpId, icmpType, icmpCode] : [srcPort, dstPort]
  return rest.every((part) => part !== undefined)
}

type Reader = (value: string, key: string) => Partial<ConnectionTuple>

function address(name: 'src' | 'dst', version: 4 | 6): Reader {
  const [is, codec, kind] = version === 4 ? [isIPv4, ipv4, 'IPv4'] : [isIPv6, ipv6, 'IPv6']
  return (value, key) => {
    if (!is(value)) throw new DpifError('SYNTAX', `${key}: '${value}' is no ${kind} address`)
    const text = codec.format(value)
    // To OVS it is as good as nothing.
    return text === codec.zero ? {} : { [name]: text }
  }
}

function number(name: keyof ConnectionTuple, most: number, zeroIsAny = false): Reader {
  return (value, key) => {
    const parsed = /^(0x[0-9a-f]+|[0-9]+)$/i.test(value) ? Number(value) : Number.NaN
    if (!(parsed <= most)) throw new DpifError('SYNTAX', `${key}: '${value}' is no number from 0 to ${most}`)
    return zeroIsAny && parsed === 0 ? {} : { [name]: parsed }
  }
}

const readers: Readonly<Record<string, Reader>> = {
  ct_nw_src: address('src', 4),
  ct_nw_dst: address('dst', 4),
  ct_ipv6_src: address('src', 6),
  ct_ipv6_dst: address('dst', 6),
  ct_nw_proto: number('proto', 255, true),
  ct_tp_src: number('srcPort', 65535, true),
  ct_tp_dst: number('dstPort', 65535, true),
  icmp_id: number('icmpId', 65535),
  icmp_type: number('icmpType', 255),
  icmp_code: number('icmpCode', 255),
}

/**
 * Reads a tuple as `ovs-dpctl flush-conntrack` takes it: `ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_dst=80`. `proto` is what another tuple
 * of the same connection said of it. Throws SYNTAX.
 */
export function parseTuple(text: string, proto?: number): Partial<ConnectionTuple> {
  let tuple: Partial<ConnectionTuple> = proto === undefined ? {} : { proto }
  const seen = new Set<string>()
  for (const word of text.split(/[, \t]+/)) {
    if (word === '') continue
    const [, key = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(word) ?? []
    const reader = Object.hasOwn(readers, key) ? readers[key] : undefined
    if (reader === undefined) {
      const known = Object.keys(readers).join(', ')
      throw new DpifError('SYNTAX', `'${key}' is no field of a connection; there are ${known}`)
    }
    if (value === '') throw new DpifError('SYNTAX', `${key}: a value is missing`)
    if (seen.has(key)) throw new DpifError('SYNTAX', `${key} is there twice`)
    seen.add(key)
    tuple = { ...tuple, ...reader(value, key) }
  }
  const versions = new Set([...seen].flatMap((key) => /^ct_(nw|ipv6)_(?:src|dst)$/.exec(key)?.[1] ?? []))
  if (versions.size > 1) throw new DpifError('SYNTAX', 'a connection has addresses of one version')
  const isIcmp = tuple.proto !== undefined && icmpProtocols.has(tuple.proto)
  const hasPorts = tuple.srcPort !== undefined || tuple.dstPort !== undefined
  if (hasPorts && tuple.proto === undefined)
    throw new DpifError('SYNTAX', 'ports need a protocol; add ct_nw_proto=')
  if (!isIcmp && [...seen].some((key) => key.startsWith('icmp_')))
    throw new DpifError('SYNTAX', 'icmp_id, icmp_type and icmp_code need ct_nw_proto=1 or 58')
  return tuple
}
