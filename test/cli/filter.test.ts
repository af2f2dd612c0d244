import t from 'tap'
import { parseFilter } from '../../lib/cli/filter.js'
import { parseKey } from '../../lib/index.js'

const ports: Readonly<Record<string, number>> = { eth0: 1 }
const passes = (filter: string, flow: string): boolean =>
  parseFilter(filter, (name) => ports[name])(parseKey(flow))

const web =
  'recirc_id(0),in_port(1),eth(src=02:00:00:00:00:01),eth_type(0x0800),ipv4(dst=10.0.0.0/8,proto=6,tos=0x40/0xfc,frag=no),tcp(dst=80/0xfff0)'
const tagged =
  'in_port(2),eth(),eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x86dd),ipv6(dst=fe80::/ffc0::,proto=17,frag=no),udp(src=53))'
const arp = 'in_port(1),eth(),eth_type(0x0806),arp(tip=10.0.0.1,op=1)'

// What ovs-dpctl lets pass was looked at beside it (test/kernel/dpctl.test.ts).
const rows: readonly (readonly [filter: string, passes: readonly string[]])[] = [
  ['', [web, tagged, arp]],
  ['ip', [web]],
  ['tcp', [web]],
  ['tcp,tp_dst=80', [web]],
  ['tcp,tp_dst=95', [web]],
  ['tcp,tcp_dst=96', []],
  ['tcp,tp_src=1234', [web]],
  ['udp', []],
  ['ip,nw_dst=10.1.2.3', [web]],
  ['ip,nw_dst=11.1.2.3', []],
  ['ip,nw_tos=64', [web]],
  ['ip,nw_tos=128', []],
  ['in_port=1', [web, arp]],
  ['in_port=eth0', [web, arp]],
  ['in_port=2', [tagged]],
  ['dl_src=02:00:00:00:00:01', [web, tagged, arp]],
  ['dl_src=02:00:00:00:00:02', [tagged, arp]],
  ['ipv6', [tagged]],
  ['udp6,tp_src=53', [tagged]],
  ['udp6,ipv6_dst=fe80::1:2', [tagged]],
  ['udp6,ipv6_dst=fd80::1:2', []],
  ['dl_vlan=7', [tagged]],
  ['dl_vlan=8', []],
  ['dl_vlan_pcp=3', [tagged]],
  ['dl_vlan=0xffff', [web, arp]],
  ['arp', [arp]],
  ['arp,arp_tpa=10.0.0.1,arp_op=1', [arp]],
  ['arp,arp_op=2', []],
  ['dl_type=0x0806', [arp]],
  ['recirc_id=1', [tagged, arp]],
  ['tun_id=5', [web, tagged, arp]],
]

t.test('a filter lets pass what its packets may meet', async (t) => {
  for (const [filter, expected] of rows) {
    t.same(
      [web, tagged, arp].filter((flow) => passes(filter, flow)),
      expected,
      filter,
    )
  }
})

t.test('a frame without Ethernet type is of none', async (t) => {
  const frame = { key: { inPort: 1, ethernet: {} }, mask: { inPort: 0xffffffff, etherType: 0xffff } }
  t.equal(parseFilter('ip', () => undefined)(frame), false)
  t.equal(parseFilter('in_port=1', () => undefined)(frame), true)
})

t.test('a filter that is none is named', async (t) => {
  for (const [filter, words] of [
    ['zork', /unknown field zork/],
    ['tp_dst=80', /prerequisites not met for setting tp_dst/],
    ['tcp,udp', /udp is set multiple times/],
    ['in_port=1,in_port=2', /in_port is set multiple times/],
    ['ip,nw_dst=10.0.0.0/8', /bad value for nw_dst/],
    ['in_port', /in_port needs a value/],
    ['in_port=many', /bad value for in_port/],
    ['dl_vlan=5000', /bad value for dl_vlan/],
  ] as const) {
    t.throws(() => parseFilter(filter, () => undefined), words, filter)
  }
})
