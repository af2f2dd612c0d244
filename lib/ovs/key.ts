import type {
  ArpKey,
  EthernetKey,
  FlowKey,
  IcmpKey,
  Ipv4Key,
  Ipv6Key,
  PortsKey,
  VlanKey,
} from '../../types/flow.js'
import { ipv4, ipv6, mac } from '../netlink/addresses.js'
import { spelled } from '../netlink/codec.js'
import { be16, be32, hex, u8, u16, u32, u128 } from '../netlink/integers.js'
import { bitFields, struct } from '../netlink/struct.js'
import { AttributeSet, lazy } from '../netlink/table.js'

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

/**
 * The key of a flow, in the order in which the kernel writes it (`__ovs_nla_put_key()`, net/openvswitch/flow_netlink.c), which is
 * the order ovs-dpctl prints. A mask is the same set.
 */
// biome-ignore format: one row per line
export const flowKey: AttributeSet<FlowKey> = new AttributeSet<FlowKey>('key', {
  recircId: { uapi: 'OVS_KEY_ATTR_RECIRC_ID', id: 20, codec: u32x, text: 'recirc_id', doc: 'Which pass through the table this is.' },
  dpHash: { uapi: 'OVS_KEY_ATTR_DP_HASH', id: 19, codec: u32x, text: 'dp_hash', doc: 'Hash computed by a hash action.' },
  skbPriority: { uapi: 'OVS_KEY_ATTR_PRIORITY', id: 2, codec: u32x, text: 'skb_priority', doc: 'QoS priority of the packet.' },
  inPort: { uapi: 'OVS_KEY_ATTR_IN_PORT', id: 3, codec: u32, text: 'in_port', doc: 'Datapath port the packet came in on.' },
  skbMark: { uapi: 'OVS_KEY_ATTR_SKB_MARK', id: 15, codec: u32x, text: 'skb_mark', doc: 'Mark of the packet.' },
  ctState: { uapi: 'OVS_KEY_ATTR_CT_STATE', id: 22, codec: u32x, text: 'ct_state', since: '4.3', doc: 'Conntrack state bits.' },
  ctZone: { uapi: 'OVS_KEY_ATTR_CT_ZONE', id: 23, codec: u16x, text: 'ct_zone', since: '4.3', doc: 'Conntrack zone.' },
  ctMark: { uapi: 'OVS_KEY_ATTR_CT_MARK', id: 24, codec: u32x, text: 'ct_mark', since: '4.3', doc: 'Conntrack mark.' },
  ctLabels: { uapi: 'OVS_KEY_ATTR_CT_LABELS', id: 25, codec: u128, text: 'ct_label', since: '4.3', doc: 'Conntrack label, 128 bits.' },
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
  arp: { uapi: 'OVS_KEY_ATTR_ARP', id: 13, codec: struct<ArpKey>({ sip: ipv4, tip: ipv4, op: be16, sha: mac, tha: mac }, { tail: 2 }), text: 'arp', doc: 'ARP or RARP packet.' },
  tcp: { uapi: 'OVS_KEY_ATTR_TCP', id: 9, codec: ports, text: 'tcp', doc: 'TCP ports.' },
  tcpFlags: { uapi: 'OVS_KEY_ATTR_TCP_FLAGS', id: 18, codec: be16, text: 'tcp_flags', since: '3.13', doc: 'TCP flags, 12 bits.' },
  udp: { uapi: 'OVS_KEY_ATTR_UDP', id: 10, codec: ports, text: 'udp', doc: 'UDP ports.' },
  icmp: { uapi: 'OVS_KEY_ATTR_ICMP', id: 11, codec: icmp, text: 'icmp', doc: 'ICMP type and code.' },
  icmpv6: { uapi: 'OVS_KEY_ATTR_ICMPV6', id: 12, codec: icmp, text: 'icmpv6', doc: 'ICMPv6 type and code.' },
})
