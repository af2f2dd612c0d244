import t from 'tap'
import type { FlowKey } from '../../types/flow.js'
import { violationsOf } from '../../lib/ovs/rules.js'
import { parseKey } from '../../lib/ovs/text.js'
import { exactMask } from '../../lib/ovs/view.js'

const paths = ({ key, mask }: { key: FlowKey; mask: FlowKey }) =>
  violationsOf(key, mask).map(({ path }) => path)
const of = (text: string) => paths(parseKey(text))

const eth = 'in_port(1),eth(),'
const ip6 = `${eth}eth_type(0x86dd),ipv6(proto=58,frag=no),`
const tunnel = 'tun_id=7,src=10.0.0.1,dst=10.0.0.2,ttl=64'

t.test('the kernel takes these', async (t) => {
  for (const text of [
    `tunnel(${tunnel},flags(-df+csum+key)),${eth}eth_type(0x0800),ipv4()`,
    `tunnel(dst=10.0.0.2,geneve({class=1,type=2,len=4,0xff/0xf})),${eth}eth_type(0x0800),ipv4()`,
    `tunnel(ipv6_dst=fe80::1,vxlan(gbp(id=1,flags=0))),${eth}eth_type(0x0800),ipv4()`,
    `tunnel(key16(),tun_id=7),${eth}eth_type(0x0800),ipv4()`,
    `${eth}eth_type(0x8847),mpls(label=1,tc=0,ttl=1,bos=0,label=2,tc=0,ttl=1,bos=1)`,
    `${eth}eth_type(0x894f),nsh(mdtype=1,np=1,spi=1,si=1,c1=1)`,
    `${eth}eth_type(0x894f),nsh(mdtype=2,spi=1)`,
    `${eth}eth_type(0x0800),ipv4(proto=132,frag=no),sctp(dst=1)`,
    `${ip6}icmpv6(type=135,code=0),nd(target=fe80::1)`,
    `ct_state(+trk),ct_tuple4(src=10.0.0.1),${eth}eth_type(0x0800),ipv4()`,
    `ct_tuple4(src=10.0.0.1),${eth}eth_type(0x8100),vlan(vid=1),encap(eth_type(0x0800),ipv4())`,
    `ct_tuple6(proto=6),${eth}eth_type(0x86dd),ipv6()`,
    `ct_tuple6(proto=6/0),${ip6}icmpv6(type=135),nd()`,
  ])
    t.same(of(text), [], text)
})

t.test('the kernel refuses these, and the path says where', async (t) => {
  const ip = `${eth}eth_type(0x0800),ipv4()`
  for (const [text, ...expected] of [
    [`tunnel(tun_id=7,ttl=64),${ip}`, 'tunnel.dst'],
    [`tunnel(dst=0.0.0.0,ttl=64),${ip}`, 'tunnel.dst'],
    [`tunnel(ipv6_src=fe80::1,ttl=64),${ip}`, 'tunnel.ipv6Dst'],
    [`tunnel(${tunnel},ipv6_dst=fe80::1),${ip}`, 'tunnel', 'tunnel'],
    [
      `tunnel(${tunnel},vxlan(gbp(id=1)),geneve({class=1,type=1,len=0})),${ip}`,
      'tunnel.vxlan',
      'tunnel.vxlan',
    ],
    [`tunnel(${tunnel},gtpu(flags=1,msgtype=1)),${ip}`, 'tunnel.unknown', 'tunnel.unknown'],
    [`tunnel(${tunnel},key16()),${ip}`, 'tunnel.ipv4InfoBridge'],
    [`tunnel(${tunnel},vxlan(key2(00))),${ip}`, 'tunnel.vxlan.unknown', 'tunnel.vxlan.unknown'],
    [`packet_type(ns=0,id=0),${ip}`, 'packetType'],
    [`nd_ext(nd_reserved=0),${ip}`, 'ndExtensions'],
    [`${eth}eth_type(0x8847)`, 'mpls'],
    [`${eth}eth_type(0x894f)`, 'nsh'],
    [`${eth}eth_type(0x894f/0),nsh(spi=1)`, 'nsh'],
    [`${eth}eth_type(0x894f),nsh(mdtype=2,c1=1)`, 'nsh.md1'],
    [`${ip},mpls(label=1)`, 'mpls'],
    [`${eth}eth_type(0x0800),ipv4(proto=132,frag=no)`, 'sctp'],
    [`${eth}eth_type(0x0800),ipv4(proto=132/0x7f,frag=no),sctp(dst=1)`, 'sctp'],
    [`${ip6}icmpv6(type=136,code=0)`, 'nd'],
    [`${ip6}icmpv6(type=136/0xf),nd(target=fe80::1)`, 'nd'],
    [`ct_tuple6(proto=6),${ip6}icmpv6(type=135),nd()`, 'ctTuple6'],
    [`ct_tuple4(proto=6),${eth}eth_type(0x86dd),ipv6()`, 'ctTuple4'],
    [`ct_state(new),${ip}`, 'ctState'],
  ] as const)
    t.same(of(text), expected, text)
})

t.test('the kernel refuses these, as random flows found', async (t) => {
  const tag = `${eth}eth_type(0x8100),vlan(vid=1),`
  const tcp = 'ipv4(proto=6,frag=no),tcp(),tcp_flags(0/0)'
  for (const [text, ...expected] of [
    [`${eth}eth_type(0x017d)`, 'etherType'],
    [`${tag}encap(eth_type(0x0800/0),ipv4())`],
    [`${tag}encap()`, 'encap'],
    [`${eth}eth_type(0x8100/0xff),vlan(vid=1),encap(eth_type(0x88b5))`, 'etherType'],
    [`${eth}eth_type(0x0800),${tcp},udp(dst=1)`, 'udp'],
    [`${eth}eth_type(0x0800),ipv4(proto=17,frag=later),udp(dst=1)`, 'udp'],
    [`tcp_flags(0/0),${tag}encap(eth_type(0x0800),${tcp})`, 'tcpFlags'],
  ] as const)
    t.same(of(text), expected, text)
  const plain: FlowKey = { ethernet: {}, etherType: 0x88b5 }
  t.same(paths({ key: plain, mask: { vlan: { vid: 1 } } }), ['vlan'])
  const truncated: FlowKey = { ethernet: {}, etherType: 0x8100, vlan: { cfi: 0 }, encap: {} }
  t.same(paths({ key: truncated, mask: { etherType: 0xffff } }), [])
  t.same(paths({ key: truncated, mask: { etherType: 0xffff, vlan: { vid: 0xfff } } }), ['vlan'])
})

t.test('what text cannot say', async (t) => {
  const ip: FlowKey = { ethernet: {}, etherType: 0x0800, ipv4: {} }
  const both = (key: FlowKey, mask: FlowKey = exactMask(key)) => paths({ key: { ...ip, ...key }, mask })
  t.same(both({ tunnel: { dst: '1.2.3.4' } }), ['tunnel.ttl'])
  t.same(both({ tunnel: { dst: '1.2.3.4', ttl: 1, geneve: new Uint8Array(3) } }), [
    'tunnel.geneve',
    'tunnel.geneve',
  ])
  t.same(both({ tunnel: { dst: '1.2.3.4', ttl: 1, erspan: new Uint8Array(256) } }, {}), ['tunnel.erspan'])
  t.same(both({ tunnel: { dst: '1.2.3.4', ttl: 1 } }, { tunnel: { geneve: new Uint8Array(4) } }), [
    'tunnel.geneve',
  ])
  t.same(both({}, { tunnel: { ttl: 0 } }), [], 'the mask every dump has')
  t.same(both({}, { sctp: { dst: 1 }, ipv4: { proto: 0xff }, etherType: 0xffff }), ['sctp'])
  const mpls = { etherType: 0x8847, ipv4: undefined as never, mpls: [{}, {}, {}, {}] }
  t.same(paths({ key: { ethernet: {}, ...mpls }, mask: {} }), ['mpls'])
  t.same(paths({ key: { ethernet: {}, ...mpls, mpls: [] }, mask: {} }), ['mpls'])
  t.same(
    paths({
      key: { ethernet: {}, etherType: 0x894f, nsh: { base: { mdtype: 2 }, md2: new Uint8Array(4) } },
      mask: {},
    }),
    ['nsh.md2'],
  )
})

t.test('no attribute is both before a tag and behind it, in a mask either', async (t) => {
  const key: FlowKey = {
    inPort: 1,
    ethernet: {},
    etherType: 0x8100,
    vlan: { vid: 1 },
    encap: { etherType: 0x86dd, ipv6: {}, ipv6Exthdrs: 1 },
  }
  const mask: FlowKey = {
    etherType: 0xffff,
    vlan: { cfi: 1 },
    encap: { etherType: 0xffff, ipv6: {}, ipv6Exthdrs: 0xff },
  }
  t.same(paths({ key, mask }), [])
  t.same(paths({ key, mask: { ...mask, ipv6Exthdrs: 0xffff } }), ['ipv6Exthdrs'])
})
