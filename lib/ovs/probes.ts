import type { Action } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'

/**
 * Part of a flow that only a kernel with the feature can read. Key and actions are judged together, as those of a flow.
 */
export interface FlowProbe {
  /** The kernel that brought it. */
  readonly since: string
  readonly doc: string
  /** As text, or with the mask that is all of it. Absent: only a ufid names the flow. */
  readonly key?: string | FlowKey
  readonly actions?: string | readonly Action[]
}

const ip = 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
/** Without an Ethernet header. */
const bare = 'in_port(1),eth_type(0x0800),ipv4(frag=no)'

/** What every kernel has. A kernel that refuses this is not asked further. */
export const plainProbe: FlowProbe = { since: '3.3', doc: 'Flows.', key: ip, actions: '1' }

// biome-ignore format: one row per line
export const flowProbes = {
  ufid:         { since: '4.0', doc: 'Flows that are named by a ufid.' },
  recirc:       { since: '3.19', doc: 'Recirculation.', key: `recirc_id(1),${ip}`, actions: 'recirc(2)' },
  hash:         { since: '3.18', doc: 'The action hash, by addresses and ports.', key: ip, actions: [{ hash: { alg: 0, basis: 0 } }] },
  hashSymmetric: { since: '6.6', doc: 'The action hash that is the same both ways.', key: ip, actions: [{ hash: { alg: 1, basis: 0 } }] },
  mpls:         { since: '3.19', doc: 'MPLS labels.', key: 'in_port(1),eth(),eth_type(0x8847),mpls(label=16,tc=0,ttl=64,bos=1)', actions: 'pop_mpls(eth_type=0x0800)' },
  mplsLabels:   { since: '5.5', doc: 'Three MPLS labels.', key: { inPort: 1, ethernet: {}, etherType: 0x8847, mpls: [{ label: 16 }, { label: 16 }, { label: 16, bos: 1 }] } },
  addMpls:      { since: '5.5', doc: 'MPLS labels before the Ethernet header.', key: ip, actions: [{ addMpls: { etherType: 0x8847, label: 16, ttl: 64, bos: 1, flags: 0 } }] },
  twoVlans:     { since: '4.9', doc: 'Two VLAN tags.', key: 'in_port(1),eth(),eth_type(0x88a8),vlan(vid=1,pcp=0),encap(eth_type(0x8100),vlan(vid=2,pcp=0),encap(eth_type(0x0800),ipv4(frag=no)))' },
  setMasked:    { since: '3.19', doc: 'Writing some bits of a header.', key: ip, actions: 'set(eth(src=02:00:00:00:00:00/02:00:00:00:00:00))' },
  sample:       { since: '3.3', doc: 'The action sample.', key: ip, actions: 'sample(sample=50.0%,actions(1))' },
  clone:        { since: '4.15', doc: 'The action clone.', key: ip, actions: 'clone(1)' },
  trunc:        { since: '4.8', doc: 'The action trunc.', key: ip, actions: 'trunc(100),1' },
  ct:           { since: '4.3', doc: 'Conntrack and its state.', key: `ct_state(+new+trk),${ip}`, actions: 'ct' },
  ctZone:       { since: '4.3', doc: 'Conntrack zones, where the kernel was built with them.', key: `ct_state(+trk),ct_zone(1),${ip}`, actions: 'ct(zone=2)' },
  ctMark:       { since: '4.3', doc: 'Conntrack marks.', key: `ct_state(+trk),ct_mark(1),${ip}` },
  ctLabels:     { since: '4.3', doc: 'Conntrack labels.', key: `ct_state(+trk),ct_label(0x1),${ip}` },
  ctTuple4:     { since: '4.11', doc: 'How an IPv4 connection began.', key: `ct_state(+trk),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=6,tp_src=1,tp_dst=2),${ip}` },
  ctTuple6:     { since: '4.11', doc: 'How an IPv6 connection began.', key: `ct_state(+trk),ct_tuple6(src=fd00::1,dst=fd00::2,proto=6,tp_src=1,tp_dst=2),in_port(1),eth(),eth_type(0x86dd),ipv6(frag=no)` },
  ctNat:        { since: '4.6', doc: 'Address translation.', key: ip, actions: 'ct(commit,nat(src=10.0.0.1))' },
  ctForceCommit: { since: '4.10', doc: 'Commits of connections that are known the other way round.', key: ip, actions: [{ ct: { commit: true, forceCommit: true } }] },
  ctEventMask:  { since: '4.12', doc: 'Which conntrack events are told.', key: ip, actions: [{ ct: { commit: true, eventMask: 1 } }] },
  ctClear:      { since: '4.15', doc: 'The action ct_clear.', key: ip, actions: 'ct_clear' },
  meter:        { since: '4.15', doc: 'The action meter.', key: ip, actions: 'meter(1),1' },
  pushEth:      { since: '4.10', doc: 'Packets without an Ethernet header.', key: bare, actions: 'push_eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)' },
  nsh:          { since: '4.15', doc: 'Network service headers.', key: ip, actions: 'push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x1,si=255,c1=0x0,c2=0x0,c3=0x0,c4=0x0)' },
  checkPktLen:  { since: '5.2', doc: 'The action check_pkt_len.', key: ip, actions: 'check_pkt_len(size=100,gt(1),le(drop))' },
  decTtl:       { since: '5.12', doc: 'The action dec_ttl.', key: ip, actions: [{ decTtl: { action: [] } }] },
  drop:         { since: '6.6', doc: 'The action drop, with a reason.', key: ip, actions: [{ drop: 0 }] },
  psample:      { since: '6.11', doc: 'The action psample.', key: ip, actions: [{ psample: { group: 1 } }] },
  tunnelIpv6:   { since: '4.4', doc: 'Tunnels over IPv6.', key: `tunnel(tun_id=0x1,ipv6_src=fd00::1,ipv6_dst=fd00::2,ttl=64,flags(key)),${ip}` },
  vxlanGbp:     { since: '4.0', doc: 'VXLAN group policy.', key: `tunnel(tun_id=0x1,src=10.0.0.1,dst=10.0.0.2,ttl=64,vxlan(gbp(id=1,flags=0)),flags(key)),${ip}` },
  erspan:       { since: '4.16', doc: 'ERSPAN.', key: `tunnel(tun_id=0x1,src=10.0.0.1,dst=10.0.0.2,ttl=64,erspan(ver=1,idx=0x1),flags(key)),${ip}` },
  ipv6Exthdrs:  { since: '5.18', doc: 'IPv6 extension headers.', key: { inPort: 1, ethernet: {}, etherType: 0x86dd, ipv6: {}, ipv6Exthdrs: 0 } },
} as const satisfies Readonly<Record<string, FlowProbe>>
