import { u32 } from '../../netlink/integers.js'
import type { Writer } from '../../netlink/writer.js'
import { Layout } from './layout.js'
import { nest, put } from './request.js'

/** The fields of openvswitch's sw_flow_key that have an attribute here; everything in the byte order of its attribute. */
// biome-ignore format: a table
export const flowLayout = new Layout({
  recircId: 4, dpHash: 4, priority: 4, inPort: 2, skbMark: 4, ctState: 4, ctZone: 2, ctMark: 4, ctLabels: 16,
  macProto: 1, tunProto: 1, ethSrc: 6, ethDst: 6, vlanTpid: 2, vlanTci: 2, cvlanTpid: 2, cvlanTci: 2, ethType: 2,
  ipProto: 1, tos: 1, ttl: 1, frag: 1, label: 4, exthdrs: 2, src: 16, dst: 16, sha: 6, tha: 6,
  tpSrc: 2, tpDst: 2, tcpFlags: 2, ndTarget: 16, ndSll: 6, ndTll: 6,
})

type FieldName = Parameters<(typeof flowLayout)['field']>[1]

/** One attribute of a key: its length, and which bytes of its payload are which field. */
interface KeyAttribute {
  readonly size: number
  readonly parts: readonly (readonly [at: number, size: number, field: FieldName, into?: number])[]
}

// The payloads of enum ovs_key_attr (linux/openvswitch.h); IN_PORT is the odd one, 4 bytes on the wire and 2 in the key.
// biome-ignore format: one row per line
export const keyAttributes: Readonly<Record<number, KeyAttribute>> = {
  2: { size: 4, parts: [[0, 4, 'priority']] },
  4: { size: 12, parts: [[0, 6, 'ethSrc'], [6, 6, 'ethDst']] },
  6: { size: 2, parts: [[0, 2, 'ethType']] },
  7: { size: 12, parts: [[0, 4, 'src'], [4, 4, 'dst'], [8, 1, 'ipProto'], [9, 1, 'tos'], [10, 1, 'ttl'], [11, 1, 'frag']] },
  8: { size: 40, parts: [[0, 16, 'src'], [16, 16, 'dst'], [32, 4, 'label'], [36, 1, 'ipProto'], [37, 1, 'tos'], [38, 1, 'ttl'], [39, 1, 'frag']] },
  9: { size: 4, parts: [[0, 2, 'tpSrc'], [2, 2, 'tpDst']] },
  10: { size: 4, parts: [[0, 2, 'tpSrc'], [2, 2, 'tpDst']] },
  11: { size: 2, parts: [[0, 1, 'tpSrc', 1], [1, 1, 'tpDst', 1]] },
  12: { size: 2, parts: [[0, 1, 'tpSrc', 1], [1, 1, 'tpDst', 1]] },
  13: { size: 24, parts: [[0, 4, 'src'], [4, 4, 'dst'], [9, 1, 'ipProto'], [10, 6, 'sha'], [16, 6, 'tha']] },
  14: { size: 28, parts: [[0, 16, 'ndTarget'], [16, 6, 'ndSll'], [22, 6, 'ndTll']] },
  15: { size: 4, parts: [[0, 4, 'skbMark']] },
  17: { size: 4, parts: [[0, 2, 'tpSrc'], [2, 2, 'tpDst']] },
  18: { size: 2, parts: [[0, 2, 'tcpFlags']] },
  19: { size: 4, parts: [[0, 4, 'dpHash']] },
  20: { size: 4, parts: [[0, 4, 'recircId']] },
  22: { size: 4, parts: [[0, 4, 'ctState']] },
  23: { size: 2, parts: [[0, 2, 'ctZone']] },
  24: { size: 4, parts: [[0, 4, 'ctMark']] },
  25: { size: 16, parts: [[0, 16, 'ctLabels']] },
  32: { size: 2, parts: [[0, 2, 'exthdrs']] },
}

/** OVS_KEY_ATTR_* that code has to name. */
// biome-ignore format: a table
export const attr = {
  ENCAP: 1, IN_PORT: 3, ETHERNET: 4, VLAN: 5, ETHERTYPE: 6, IPV4: 7, IPV6: 8, TCP: 9, UDP: 10, ICMP: 11, ICMPV6: 12, ARP: 13, ND: 14,
  TUNNEL: 16, SCTP: 17, TCP_FLAGS: 18, MPLS: 21, CT_STATE: 22, CT_ORIG_TUPLE_IPV4: 26, CT_ORIG_TUPLE_IPV6: 27, NSH: 28,
  PACKET_TYPE: 29, ND_EXTENSIONS: 30, TUNNEL_INFO: 31, IPV6_EXTHDRS: 32,
} as const

/** What the key calls a packet that came from no port (DP_MAX_PORTS). */
export const NO_PORT = 0xffff

/** ETH_P_802_2, which stands for "no Ethernet type" inside the key only. */
export const TYPE_802_2 = 0x0004

export const isVlanType = (type: number): boolean => type === 0x8100 || type === 0x88a8

/** Copies an attribute's payload into its fields. */
export function readInto(vector: Uint8Array, id: number, data: Uint8Array): void {
  for (const [at, size, field, into = 0] of keyAttributes[id]?.parts ?? []) {
    flowLayout.field(vector, field).set(data.subarray(at, at + size), into)
  }
}

function dump(writer: Writer, id: number, vector: Uint8Array): void {
  const { size, parts } = keyAttributes[id] as KeyAttribute
  const data = new Uint8Array(size)
  for (const [at, size, field, into = 0] of parts) {
    data.set(flowLayout.field(vector, field).subarray(into, into + size), at)
  }
  put(writer, id, data)
}

/**
 * Writes a key, or the mask `output` of key `swkey`, as __ovs_nla_put_key() does: what is there depends on the key alone, and
 * much is there that nobody sent.
 */
export function putKey(writer: Writer, swkey: Uint8Array, output: Uint8Array, isMask: boolean): void {
  const number = (name: FieldName) => flowLayout.number(swkey, name)
  for (const id of [20, 19, 2]) dump(writer, id, output)
  // A mask always has the tunnel's TTL, zero without a tunnel (ip_tun_to_nlattr()).
  if (isMask) nest(writer, attr.TUNNEL, () => put(writer, 4, [0]))
  putInPort(writer, number('inPort'), flowLayout.number(output, 'inPort'), isMask)
  for (const id of [15, 22, 23, 24, 25]) dump(writer, id, output)

  if (number('macProto') === 0) return putLayers(writer, swkey, output)
  dump(writer, attr.ETHERNET, output)
  const truncated = isVlanType(number('ethType'))
  const tags = [
    { tci: number('vlanTci'), fields: ['vlanTpid', 'vlanTci'] as const },
    { tci: number('cvlanTci'), fields: ['cvlanTpid', 'cvlanTci'] as const },
  ]
  const open: number[] = []
  let cut = false
  for (const { tci, fields } of tags) {
    if (cut || (tci === 0 && !truncated)) break
    put(writer, attr.ETHERTYPE, isMask ? [0xff, 0xff] : flowLayout.field(output, fields[0]))
    put(writer, attr.VLAN, flowLayout.field(output, fields[1]))
    open.push(writer.begin(attr.ENCAP))
    cut = tci === 0
  }
  if (!cut && number('ethType') === TYPE_802_2) {
    // In a key its absence says it all; a mask has it where it counts.
    if (isMask && flowLayout.number(output, 'ethType') !== 0) dump(writer, attr.ETHERTYPE, output)
  } else if (!cut) putLayers(writer, swkey, output)
  for (const at of open.reverse()) writer.end(at)
}

function putInPort(writer: Writer, inPort: number, output: number, isMask: boolean): void {
  const word = new Uint8Array(4)
  if (inPort === NO_PORT) {
    if (!isMask || output !== 0xffff) return
    u32.put(word, 0, 0xffffffff)
  } else u32.put(word, 0, isMask ? (0xffff0000 | output) >>> 0 : output)
  put(writer, attr.IN_PORT, word)
}

function putLayers(writer: Writer, swkey: Uint8Array, output: Uint8Array): void {
  const type = flowLayout.number(swkey, 'ethType')
  dump(writer, attr.ETHERTYPE, output)
  if (type === 0x0800) dump(writer, attr.IPV4, output)
  if (type === 0x86dd) {
    dump(writer, attr.IPV6, output)
    dump(writer, attr.IPV6_EXTHDRS, output)
  }
  if (type === 0x0806 || type === 0x8035) dump(writer, attr.ARP, output)
  if ((type !== 0x0800 && type !== 0x86dd) || flowLayout.number(swkey, 'frag') === 2) return
  for (const id of transportOf(type, flowLayout.number(swkey, 'ipProto'))) dump(writer, id, output)
  if (isNeighbour(swkey)) dump(writer, attr.ND, output)
}

/** The attributes that go with an IP protocol. */
export function transportOf(type: number, proto: number): readonly number[] {
  if (proto === 6) return [attr.TCP, attr.TCP_FLAGS]
  if (proto === 17) return [attr.UDP]
  if (proto === 132) return [attr.SCTP]
  if (proto === 1 && type === 0x0800) return [attr.ICMP]
  if (proto === 58 && type === 0x86dd) return [attr.ICMPV6]
  return []
}

/** Neighbour solicitations and advertisements have an attribute more. */
export function isNeighbour(swkey: Uint8Array): boolean {
  if (flowLayout.number(swkey, 'ethType') !== 0x86dd || flowLayout.number(swkey, 'ipProto') !== 58)
    return false
  const type = flowLayout.number(swkey, 'tpSrc')
  return type === 135 || type === 136
}
