import assert from 'node:assert/strict'
import { parseActions, parseKey } from '../../ovs/text.js'
import { backends, type Case, collect, ok, other, plain } from './lab.js'

/** A flow both backends carry. `P`, `Q` and `R` stand for the three ports. */
interface Sample {
  readonly name: string
  readonly key: string
  readonly actions: string
}

const ip4 = 'eth_type(0x0800)'
const ip6 = 'eth_type(0x86dd)'

// biome-ignore format: one row per line
const samples: readonly Sample[] = [
  { name: 'drop of everything of one type', key: 'eth(),eth_type(0x88cc)', actions: 'drop' },
  { name: 'output', key: 'eth(),eth_type(0x88b5)', actions: 'Q' },
  { name: 'output to several ports', key: 'eth(),eth_type(0x88b5)', actions: 'Q,R' },
  { name: 'output back to the port it came from', key: 'eth(),eth_type(0x88b5)', actions: 'P' },
  { name: 'exact addresses of the frame', key: 'eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x88b5)', actions: 'Q' },
  { name: 'masked addresses of the frame', key: 'eth(src=02:00:00:00:00:00/ff:ff:ff:00:00:00,dst=01:00:00:00:00:00/01:00:00:00:00:00),eth_type(0x88b5)', actions: 'Q' },
  { name: 'ARP request', key: 'eth(),eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.0/255.255.255.0,op=1,sha=02:00:00:00:00:01)', actions: 'Q' },
  { name: 'ARP reply', key: 'eth(),eth_type(0x0806),arp(op=2,tha=02:00:00:00:00:00/ff:ff:ff:ff:ff:00)', actions: 'Q' },
  { name: 'IPv4 prefix', key: `eth(),${ip4},ipv4(src=10.1.0.0/255.255.0.0,frag=no)`, actions: 'Q' },
  { name: 'IPv4 of any fragment type', key: `eth(),${ip4},ipv4(dst=10.1.2.3)`, actions: 'Q' },
  { name: 'IPv4 TOS and TTL, masked', key: `eth(),${ip4},ipv4(tos=0x10/0xfc,ttl=64,frag=no)`, actions: 'Q' },
  { name: 'first fragment', key: `eth(),${ip4},ipv4(frag=first)`, actions: 'Q' },
  { name: 'later fragment', key: `eth(),${ip4},ipv4(frag=later)`, actions: 'Q' },
  { name: 'TCP', key: `eth(),${ip4},ipv4(proto=6,frag=no),tcp(src=1024/0xfc00,dst=80),tcp_flags(0x2/0x12)`, actions: 'Q' },
  { name: 'UDP', key: `eth(),${ip4},ipv4(proto=17,frag=no),udp(src=5,dst=53)`, actions: 'Q' },
  { name: 'ICMP', key: `eth(),${ip4},ipv4(proto=1,frag=no),icmp(type=8,code=0)`, actions: 'Q' },
  { name: 'another IP protocol', key: `eth(),${ip4},ipv4(proto=47,frag=no)`, actions: 'Q' },
  { name: 'IPv6 prefix', key: `eth(),${ip6},ipv6(src=fd00:1::/ffff:ffff::,frag=no)`, actions: 'Q' },
  { name: 'IPv6 TCP', key: `eth(),${ip6},ipv6(dst=fd00::1,proto=6,tclass=0x8,hlimit=64,frag=no),tcp(dst=443),tcp_flags(0/0)`, actions: 'Q' },
  { name: 'IPv6 UDP', key: `eth(),${ip6},ipv6(proto=17,frag=no),udp(dst=53)`, actions: 'Q' },
  { name: 'ICMPv6', key: `eth(),${ip6},ipv6(proto=58,frag=no),icmpv6(type=128,code=0)`, actions: 'Q' },
  { name: 'VLAN', key: `eth(),eth_type(0x8100),vlan(vid=7),encap(${ip4},ipv4(dst=10.0.0.9,frag=no))`, actions: 'Q' },
  { name: 'VLAN priority', key: `eth(),eth_type(0x8100),vlan(vid=7,pcp=5),encap(${ip6},ipv6(proto=17,frag=no),udp(dst=53))`, actions: 'Q' },
  { name: 'two tags', key: `eth(),eth_type(0x88a8),vlan(vid=7,pcp=1),encap(eth_type(0x8100),vlan(vid=8,pcp=0),encap(${ip4},ipv4(dst=10.0.0.9,frag=no)))`, actions: 'Q' },
  { name: 'pop of a tag', key: `eth(),eth_type(0x8100),vlan(vid=9,pcp=0),encap(${ip4},ipv4(frag=no))`, actions: 'pop_vlan,Q' },
  { name: 'push of a tag', key: `eth(),${ip4},ipv4(dst=10.9.0.1,frag=no)`, actions: 'push_vlan(vid=9,pcp=3),Q' },
  { name: 'push of a service tag', key: `eth(),${ip4},ipv4(dst=10.9.0.2,frag=no)`, actions: 'push_vlan(tpid=0x88a8,vid=9,pcp=0),Q' },
  { name: 'rewrite of the frame', key: `eth(),${ip4},ipv4(dst=10.9.0.3,frag=no)`, actions: 'set(eth(src=02:00:00:00:00:0a/ff:ff:ff:ff:ff:ff,dst=02:00:00:00:00:0b/ff:ff:ff:ff:ff:ff)),Q' },
  { name: 'rewrite of one address of the frame', key: `eth(),${ip4},ipv4(dst=10.9.0.4,frag=no)`, actions: 'set(eth(dst=02:00:00:00:00:0b/ff:ff:ff:ff:ff:ff)),Q' },
  { name: 'rewrite of IPv4', key: `eth(),${ip4},ipv4(dst=10.9.0.5,proto=17,frag=no),udp()`, actions: 'set(ipv4(src=10.8.0.1/255.255.255.255,ttl=63/0xff)),Q' },
  { name: 'rewrite of some bits of the TOS', key: `eth(),${ip4},ipv4(dst=10.9.0.6,proto=17,frag=no),udp()`, actions: 'set(ipv4(tos=0x10/0xfc)),Q' },
  { name: 'rewrite of IPv6', key: `eth(),${ip6},ipv6(proto=6,frag=no),tcp(),tcp_flags(0/0)`, actions: 'set(ipv6(dst=fd00::7/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,tclass=0x20/0xff,hlimit=9/0xff)),Q' },
  { name: 'rewrite of UDP', key: `eth(),${ip4},ipv4(dst=10.9.0.7,proto=17,frag=no),udp(dst=53)`, actions: 'set(udp(src=7/0xffff,dst=5353/0xffff)),Q' },
  { name: 'rewrite of TCP', key: `eth(),${ip4},ipv4(dst=10.9.0.8,proto=6,frag=no),tcp(dst=80),tcp_flags(0/0)`, actions: 'set(tcp(dst=8080/0xffff)),Q' },
  { name: 'rewrite between two outputs', key: `eth(),${ip4},ipv4(dst=10.9.0.9,proto=17,frag=no),udp()`, actions: 'Q,set(ipv4(dst=10.8.0.1/255.255.255.255)),set(udp(dst=9/0xffff)),R' },
]

function typed({ key, actions }: Sample, [p, q, r]: readonly [number, number, number]) {
  const ports: Readonly<Record<string, number>> = { P: p, Q: q, R: r }
  return {
    ...parseKey(`recirc_id(0),in_port(${p}),${key}`),
    actions: parseActions(actions.replaceAll(/[PQR]\b/g, (name) => `${ports[name]}`)),
  }
}

export const sampleCases: readonly Case[] = backends.flatMap((backend) => [
  ...samples.map(
    (sample): Case => ({
      name: `${backend} keeps a flow as it was put: ${sample.name}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const flow = typed(sample, lab.ports)
        const { ufid } = ok(await dpif.put(flow), backend)
        const got = ok(await dpif.get({ ufid }), backend).flow
        assert(got)
        assert.deepEqual(plain(got), plain(flow), 'got')
        const [dumped, ...more] = await collect(await lab.only(backend))
        assert(dumped)
        assert.deepEqual(more, [])
        assert.equal(dumped.ufid, ufid)
        assert.equal(dumped.ufidPresent, true)
        assert.equal(dumped.offloaded, false)
        assert.deepEqual(plain(dumped), plain(flow), 'dumped')
        // What one backend says of the flow is understood by both.
        const { key, mask, actions } = dumped
        ok(await dpif.put({ ufid, key, mask, actions }, { mode: 'modify' }), backend)
        const elsewhere = await lab.only(other(backend))
        ok(await elsewhere.put({ ufid, key, mask, actions }, { mode: 'modify' }), other(backend))
        const [moved, ...copies] = await collect(elsewhere)
        assert(moved)
        assert.deepEqual(copies, [])
        assert.deepEqual(plain(moved), plain(flow), 'moved')
        ok(await elsewhere.del({ ufid }), other(backend))
      },
    }),
  ),
  {
    name: `${backend} holds all samples at once`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      // Those that differ by their actions alone would be one match put several times.
      const matches = new Map(samples.map((sample) => [sample.key, sample]))
      const flows = [...matches.values()].map((sample) => typed(sample, lab.ports))
      const results = await dpif.operate(flows.map((flow) => ({ op: 'put', ...flow })))
      // Wider ones come first and their like is met by the packet-wise lookup of openvswitch, which is its right.
      const refusals = results.filter(({ error }) => error !== undefined)
      if (backend === 'tc') assert.deepEqual(refusals, [])
      for (const { error } of refusals) assert.equal(error?.code, 'EXISTS')
      const kept = new Map((await collect(dpif)).map((flow) => [flow.ufid, flow]))
      results.forEach(({ ufid, error }, index) => {
        const flow = kept.get(ufid)
        if (error !== undefined) assert.equal(flow, undefined)
        else assert.deepEqual(flow && plain(flow), plain(flows[index] as (typeof flows)[number]))
      })
    },
  } satisfies Case,
])
