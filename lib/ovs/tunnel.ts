import type { TunnelKey, VxlanKey } from '../../types/flow.js'
import { ipv4, ipv6 } from '../netlink/addresses.js'
import { spelled } from '../netlink/codec.js'
import { be16, be64, hex, u8, u32 } from '../netlink/integers.js'
import { AttributeSet, bytes, flag } from '../netlink/table.js'

const u8x = spelled(u8, { format: hex })
// Always with 0x, also zero.
const tunnelId = spelled(be64, { format: (id) => `0x${id.toString(16)}` })

// biome-ignore format: one row per line
export const vxlanKey: AttributeSet<VxlanKey> = new AttributeSet<VxlanKey>('vxlan', {
  gbp: { uapi: 'OVS_VXLAN_EXT_GBP', id: 1, codec: u32, since: '4.0', doc: 'Group policy.' },
})

/** A tunnel, in the order in which the kernel writes it (`__ip_tun_to_nlattr()`, net/openvswitch/flow_netlink.c). */
// biome-ignore format: one row per line
export const tunnelKey: AttributeSet<TunnelKey> = new AttributeSet<TunnelKey>('tunnel', {
  id: { uapi: 'OVS_TUNNEL_KEY_ATTR_ID', id: 0, codec: tunnelId, text: 'tun_id', doc: 'VNI or GRE key.' },
  ipv4InfoBridge: { uapi: 'OVS_TUNNEL_KEY_ATTR_IPV4_INFO_BRIDGE', id: 16, codec: flag, since: '5.2', doc: 'Only the id is set; the device knows the rest.' },
  src: { uapi: 'OVS_TUNNEL_KEY_ATTR_IPV4_SRC', id: 1, codec: ipv4, text: 'src', doc: 'Outer IPv4 source.' },
  dst: { uapi: 'OVS_TUNNEL_KEY_ATTR_IPV4_DST', id: 2, codec: ipv4, text: 'dst', doc: 'Outer IPv4 destination.' },
  ipv6Src: { uapi: 'OVS_TUNNEL_KEY_ATTR_IPV6_SRC', id: 12, codec: ipv6, text: 'ipv6_src', since: '4.4', doc: 'Outer IPv6 source.' },
  ipv6Dst: { uapi: 'OVS_TUNNEL_KEY_ATTR_IPV6_DST', id: 13, codec: ipv6, text: 'ipv6_dst', since: '4.4', doc: 'Outer IPv6 destination.' },
  tos: { uapi: 'OVS_TUNNEL_KEY_ATTR_TOS', id: 3, codec: u8x, text: 'tos', doc: 'Outer TOS.' },
  ttl: { uapi: 'OVS_TUNNEL_KEY_ATTR_TTL', id: 4, codec: u8, text: 'ttl', doc: 'Outer TTL.' },
  df: { uapi: 'OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT', id: 5, codec: flag, doc: "Outer don't fragment bit." },
  csum: { uapi: 'OVS_TUNNEL_KEY_ATTR_CSUM', id: 6, codec: flag, doc: 'Outer checksum.' },
  tpSrc: { uapi: 'OVS_TUNNEL_KEY_ATTR_TP_SRC', id: 9, codec: be16, text: 'tp_src', since: '3.19', doc: 'Outer UDP source port.' },
  tpDst: { uapi: 'OVS_TUNNEL_KEY_ATTR_TP_DST', id: 10, codec: be16, text: 'tp_dst', since: '3.19', doc: 'Outer UDP destination port.' },
  oam: { uapi: 'OVS_TUNNEL_KEY_ATTR_OAM', id: 7, codec: flag, since: '3.18', doc: 'A packet of operations and maintenance.' },
  geneve: { uapi: 'OVS_TUNNEL_KEY_ATTR_GENEVE_OPTS', id: 8, codec: bytes, since: '3.18', doc: 'GENEVE options.' },
  vxlan: { uapi: 'OVS_TUNNEL_KEY_ATTR_VXLAN_OPTS', id: 11, codec: vxlanKey, since: '4.0', doc: 'VXLAN extensions.' },
  erspan: { uapi: 'OVS_TUNNEL_KEY_ATTR_ERSPAN_OPTS', id: 15, codec: bytes, since: '4.16', doc: 'ERSPAN metadata.' },
}, { pad: 14 })
