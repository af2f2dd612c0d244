import type {
  ArpKey,
  CtTuple4Key,
  CtTuple6Key,
  EthernetKey,
  FlowKey,
  IcmpKey,
  Ipv4Key,
  Ipv6Key,
  NdExtensionsKey,
  NdKey,
  PacketTypeKey,
  PortsKey,
  VlanKey,
} from '../../types/flow.js'
import { ipv4, ipv6, mac } from '../netlink/addresses.js'
import { spelled } from '../netlink/codec.js'
import { be16, be32, hex, u8, u16, u32, u128 } from '../netlink/integers.js'
import { bitFields, struct } from '../netlink/struct.js'
import { AttributeSet, lazy } from '../netlink/table.js'
import { mplsStack } from './mpls.js'
import { nshKey } from './nsh.js'
import { tunnelKey } from './tunnel.js'

export { mplsEntry, mplsStack } from './mpls.js'
export { nshBase, nshContext, nshKey } from './nsh.js'
export { tunnelKey, vxlanKey } from './tunnel.js'

const u8x = spelled(u8, { format: hex })
const u16x = spelled(u16, { format: hex })
const u32x = spelled(u32, { format: hex })
const be16x = spelled(be16, { format: hex4, formatMask: hex4 })

/** An Ethernet type: always four digits. */
function hex4(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`
}

const fragment = spelled(u8, { format: (value) => ['no', 'first', 'later'][value] ?? hex(value) })
// 20 bits in a 32-bit word.
const label = { ...spelled(be32, { format: hex }), ones: 0xfffff }
const ports = struct<PortsKey>({ src: be16, dst: be16 })
const icmp = struct<IcmpKey>({ type: u8, code: u8 })
const packetType = struct<PacketTypeKey>({ ns: be16, id: spelled(be16, { format: hex }) })
const ctTuple4 = struct<CtTuple4Key>(
  { src: ipv4, dst: ipv4, tpSrc: be16, tpDst: be16, proto: u8 },
  { tail: 3 },
)
const ctTuple6 = struct<CtTuple6Key>(
  { src: ipv6, dst: ipv6, tpSrc: be16, tpDst: be16, proto: u8 },
  { tail: 3 },
)
const nd = struct<NdKey>({ target: ipv6, sll: mac, tll: mac })
const ndExtensions = struct<NdExtensionsKey>({ reserved: be32, optionsType: u8 }, { tail: 3 })

/**
 * The key of a flow, in the order in which the kernel writes it (`__ovs_nla_put_key()`, net/openvswitch/flow_netlink.c), which is
 * the order ovs-dpctl prints. A mask is the same set.
 */
// biome-ignore format: one row per line
export const flowKey: AttributeSet<FlowKey> = new AttributeSet<FlowKey>('key', {
  recircId: { uapi: 'OVS_KEY_ATTR_RECIRC_ID', id: 20, codec: u32x, text: 'recirc_id', doc: 'Which pass through the table this is.' },
  dpHash: { uapi: 'OVS_KEY_ATTR_DP_HASH', id: 19, codec: u32x, text: 'dp_hash', doc: 'Hash computed by a hash action.' },
  skbPriority: { uapi: 'OVS_KEY_ATTR_PRIORITY', id: 2, codec: u32x, text: 'skb_priority', doc: 'QoS priority of the packet.' },
  tunnel: { uapi: 'OVS_KEY_ATTR_TUNNEL', id: 16, codec: tunnelKey, text: 'tunnel', doc: 'The tunnel the packet came through.' },
  inPort: { uapi: 'OVS_KEY_ATTR_IN_PORT', id: 3, codec: u32, text: 'in_port', doc: 'Datapath port the packet came in on.' },
  skbMark: { uapi: 'OVS_KEY_ATTR_SKB_MARK', id: 15, codec: u32x, text: 'skb_mark', doc: 'Mark of the packet.' },
  ctState: { uapi: 'OVS_KEY_ATTR_CT_STATE', id: 22, codec: u32x, text: 'ct_state', since: '4.3', doc: 'Conntrack state bits.' },
  ctZone: { uapi: 'OVS_KEY_ATTR_CT_ZONE', id: 23, codec: u16x, text: 'ct_zone', since: '4.3', doc: 'Conntrack zone.' },
  ctMark: { uapi: 'OVS_KEY_ATTR_CT_MARK', id: 24, codec: u32x, text: 'ct_mark', since: '4.3', doc: 'Conntrack mark.' },
  ctLabels: { uapi: 'OVS_KEY_ATTR_CT_LABELS', id: 25, codec: u128, text: 'ct_label', since: '4.3', doc: 'Conntrack label, 128 bits.' },
  ctTuple4: { uapi: 'OVS_KEY_ATTR_CT_ORIG_TUPLE_IPV4', id: 26, codec: ctTuple4, text: 'ct_tuple4', since: '4.11', doc: 'How the IPv4 connection began.' },
  ctTuple6: { uapi: 'OVS_KEY_ATTR_CT_ORIG_TUPLE_IPV6', id: 27, codec: ctTuple6, text: 'ct_tuple6', since: '4.11', doc: 'How the IPv6 connection began.' },
  packetType: { uapi: 'OVS_KEY_ATTR_PACKET_TYPE', id: 29, codec: packetType, text: 'packet_type', since: '5.18', doc: 'What the packet begins with; not for the kernel.' },
  ethernet: { uapi: 'OVS_KEY_ATTR_ETHERNET', id: 4, codec: struct<EthernetKey>({ src: mac, dst: mac }), text: 'eth', doc: 'Ethernet addresses.' },
  etherType: { uapi: 'OVS_KEY_ATTR_ETHERTYPE', id: 6, codec: be16x, text: 'eth_type', doc: 'Ethernet type, or the type of the outer tag.' },
  vlan: {
    uapi: 'OVS_KEY_ATTR_VLAN',
    id: 5,
    codec: bitFields<VlanKey>(be16, {
      vid: { shift: 0, bits: 12 },
      pcp: { shift: 13, bits: 3 },
      cfi: { shift: 12, bits: 1, standard: 1 },
    }),
    text: 'vlan',
    doc: 'VLAN tag; what follows it is in encap.',
  },
  encap: { uapi: 'OVS_KEY_ATTR_ENCAP', id: 1, codec: lazy(undefined, () => flowKey), text: 'encap', doc: 'What follows the VLAN tag.' },
  ipv4: { uapi: 'OVS_KEY_ATTR_IPV4', id: 7, codec: struct<Ipv4Key>({ src: ipv4, dst: ipv4, proto: u8, tos: u8x, ttl: u8, frag: fragment }), text: 'ipv4', doc: 'IPv4 header.' },
  ipv6: { uapi: 'OVS_KEY_ATTR_IPV6', id: 8, codec: struct<Ipv6Key>({ src: ipv6, dst: ipv6, label, proto: u8, tclass: u8x, hlimit: u8, frag: fragment }), text: 'ipv6', doc: 'IPv6 header.' },
  ipv6Exthdrs: { uapi: 'OVS_KEY_ATTR_IPV6_EXTHDRS', id: 32, codec: u16, since: '5.18', doc: 'IPv6 extension headers seen.' },
  nsh: { uapi: 'OVS_KEY_ATTR_NSH', id: 28, codec: nshKey, text: 'nsh', since: '4.15', doc: 'Network service header.' },
  arp: { uapi: 'OVS_KEY_ATTR_ARP', id: 13, codec: struct<ArpKey>({ sip: ipv4, tip: ipv4, op: be16, sha: mac, tha: mac }, { tail: 2 }), text: 'arp', doc: 'ARP or RARP packet.' },
  mpls: { uapi: 'OVS_KEY_ATTR_MPLS', id: 21, codec: mplsStack, text: 'mpls', since: '3.19', doc: 'Label stack, outermost first.' },
  tcp: { uapi: 'OVS_KEY_ATTR_TCP', id: 9, codec: ports, text: 'tcp', doc: 'TCP ports.' },
  tcpFlags: { uapi: 'OVS_KEY_ATTR_TCP_FLAGS', id: 18, codec: be16, text: 'tcp_flags', since: '3.13', doc: 'TCP flags, 12 bits.' },
  udp: { uapi: 'OVS_KEY_ATTR_UDP', id: 10, codec: ports, text: 'udp', doc: 'UDP ports.' },
  sctp: { uapi: 'OVS_KEY_ATTR_SCTP', id: 17, codec: ports, text: 'sctp', since: '3.12', doc: 'SCTP ports.' },
  icmp: { uapi: 'OVS_KEY_ATTR_ICMP', id: 11, codec: icmp, text: 'icmp', doc: 'ICMP type and code.' },
  icmpv6: { uapi: 'OVS_KEY_ATTR_ICMPV6', id: 12, codec: icmp, text: 'icmpv6', doc: 'ICMPv6 type and code.' },
  nd: { uapi: 'OVS_KEY_ATTR_ND', id: 14, codec: nd, text: 'nd', doc: 'Neighbour discovery.' },
  ndExtensions: { uapi: 'OVS_KEY_ATTR_ND_EXTENSIONS', id: 30, codec: ndExtensions, text: 'nd_ext', since: '5.18', doc: 'Options of neighbour discovery; not for the kernel.' },
})
