import t from 'tap'
import { formatFlow, kernelOnly, parseKey, tcOnly } from '../../lib/index.js'
import { bench, has, missing, run, tc } from '../fixtures/lab.js'

// Beside the tools everybody has: what we put, ovs-dpctl and tc print; what they put, we see, get, change and delete.

t.setTimeout(0)

const ip4 = 'eth(),eth_type(0x0800)'

/** Flows in openvswitch, as text. */
// biome-ignore format: one row per line
const flows: readonly (readonly [key: string, actions: string])[] = [
  ['in_port(1),eth(),eth_type(0x88cc)', 'drop'],
  ['in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:00/ff:ff:ff:ff:ff:00),eth_type(0x88b5)', '2,1'],
  ['recirc_id(0),in_port(1),eth(),eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.0/255.255.255.0,op=1/0xff)', '2'],
  [`recirc_id(0),in_port(1),${ip4},ipv4(src=10.1.0.0/255.255.0.0,tos=0x10/0xfc,frag=no)`, '2'],
  [`recirc_id(0x7),skb_mark(0x5/0xf),in_port(1),${ip4},ipv4(proto=6,frag=no),tcp(src=1024/0xfc00,dst=80),tcp_flags(syn|ack)`, 'set(tcp(dst=8080)),2'],
  [`in_port(1),${ip4},ipv4(proto=1,frag=first),icmp(type=8,code=0)`, '2'],
  ['in_port(2),eth(),eth_type(0x86dd),ipv6(src=fd00::/ffff::,proto=17,label=0x5,frag=no),udp(dst=53)', 'set(ipv6(hlimit=9)),1'],
  ['in_port(2),eth(),eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6(type=128)', '1'],
  ['in_port(2),eth(),eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x0800),ipv4(frag=no))', 'pop_vlan,push_vlan(vid=8,pcp=1),1'],
]

/** Keys and actions of flower as `tc -j` prints them, beside the flow that asks for them. */
const filters: readonly { key: string; actions: string; keys: object; acts: readonly object[] }[] = [
  {
    key: `recirc_id(0),in_port(1),${ip4},ipv4(src=10.1.0.0/255.255.0.0,proto=6,frag=no),tcp(dst=80),tcp_flags(0x2/0x2)`,
    actions: '2',
    keys: {
      eth_type: 'ipv4',
      src_ip: '10.1.0.0/16',
      ip_proto: 'tcp',
      dst_port: 80,
      ip_flags: { frag: false },
      tcp_flags: '0x2/2',
    },
    acts: [{ kind: 'mirred', mirred_action: 'redirect', direction: 'egress' }],
  },
  {
    key: 'recirc_id(0),in_port(1),eth(dst=02:00:00:00:00:01),eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x86dd),ipv6(dst=fd00::1,frag=no))',
    actions: 'pop_vlan,2,1',
    keys: { vlan_id: 7, vlan_prio: 3, eth_type: 'ipv6', dst_ip: 'fd00::1', dst_mac: '02:00:00:00:00:01' },
    acts: [
      { kind: 'vlan', vlan_action: 'pop' },
      { kind: 'mirred', mirred_action: 'mirror' },
      { kind: 'mirred' },
    ],
  },
  {
    key: `recirc_id(0),in_port(1),${ip4},ipv4(dst=10.0.0.9,proto=17,frag=no),udp(dst=53)`,
    actions: 'set(ipv4(src=10.9.9.9/255.255.255.255)),set(udp(dst=54/0xffff)),push_vlan(vid=9,pcp=1),2',
    keys: { dst_ip: '10.0.0.9', ip_proto: 'udp', dst_port: 53 },
    acts: [
      { kind: 'pedit' },
      { kind: 'pedit' },
      { kind: 'csum', csum: 'iph, udp' },
      { kind: 'vlan', vlan_action: 'push', id: 9 },
      { kind: 'mirred' },
    ],
  },
  {
    key: 'recirc_id(0),in_port(1),eth(),eth_type(0x0806),arp(op=1,tip=10.0.0.1)',
    actions: '',
    keys: { arp_op: 'request', arp_tip: '10.0.0.1' },
    acts: [{ kind: 'gact', control_action: { type: 'drop' } }],
  },
]

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test(
    'ovs-dpctl prints our flows as we do',
    { skip: has('ovs-dpctl') ? false : 'there is no ovs-dpctl' },
    async (t) => {
      const { dpif, name } = await bench(t, kernelOnly(), 2)
      for (const [key, actions] of flows) {
        const { error } = await dpif.put({ key, actions })
        t.equal(error, undefined, error?.message ?? key)
      }
      for (const verbose of [false, true]) {
        const theirs = run('ovs-dpctl', 'dump-flows', '--no-names', ...(verbose ? ['-m'] : []), name)
          .trimEnd()
          .split('\n')
        const ours: string[] = []
        for await (const flow of dpif.dump()) ours.push(formatFlow(flow, { verbose, now: performance.now() }))
        t.same(ours.sort(), theirs.sort())
      }
    },
  )

  t.test(
    'flows that ovs-dpctl adds are ours to see, get, change and delete',
    { skip: has('ovs-dpctl') ? false : 'there is no ovs-dpctl' },
    async (t) => {
      const { dpif, name } = await bench(t, kernelOnly(), 2)
      // The word "drop" becomes an action of its own in OVS 3.1, one that kernels before 6.6 refuse.
      for (const [key, actions] of flows)
        run('ovs-dpctl', 'add-flow', name, key, actions === 'drop' ? '' : actions)
      const seen = []
      for await (const flow of dpif.dump()) seen.push(flow)
      t.equal(seen.length, flows.length)
      for (const { key, mask, ufidPresent } of seen) {
        t.equal(ufidPresent, false)
        t.equal((await dpif.get({ key })).error, undefined)
        t.equal(
          (await dpif.put({ key, mask, actions: [{ output: 2 }] }, { mode: 'modify' })).error,
          undefined,
        )
        t.same((await dpif.get({ key })).flow?.actions, [{ output: 2 }])
      }
      for (const line of run('ovs-dpctl', 'dump-flows', name).trimEnd().split('\n'))
        t.match(line, /actions:2$|actions:\S+$/)
      for (const { key } of seen) t.equal((await dpif.del({ key, stats: true })).error, undefined)
      t.equal(run('ovs-dpctl', 'dump-flows', name), '')
    },
  )

  t.test(
    'flows that ovs-dpctl adds with a ufid are found by it',
    { skip: has('ovs-dpctl') ? false : 'there is no ovs-dpctl' },
    async (t) => {
      const { dpif, name } = await bench(t, kernelOnly(), 2)
      const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
      run('ovs-dpctl', 'add-flow', name, `ufid:${ufid},in_port(1),eth(),eth_type(0x88cc)`, '2')
      t.match(await dpif.get({ ufid }), { backend: 'ovs', flow: { ufid, ufidPresent: true } })
      t.equal((await dpif.del({ ufid })).error, undefined)
    },
  )

  t.test(
    'ovs-dpctl deletes and changes flows of ours',
    { skip: has('ovs-dpctl') ? false : 'there is no ovs-dpctl' },
    async (t) => {
      const { dpif, name } = await bench(t, kernelOnly(), 2)
      const key = 'in_port(1),eth(),eth_type(0x88cc)'
      const { ufid } = await dpif.put({ key, actions: '2' })
      run('ovs-dpctl', 'mod-flow', name, `ufid:${ufid},${key}`, '1')
      t.same((await dpif.get({ ufid })).flow?.actions, [{ output: 1 }])
      run('ovs-dpctl', 'del-flow', name, `ufid:${ufid},${key}`)
      t.match((await dpif.get({ ufid })).error, { code: 'NOT_FOUND' })
    },
  )

  t.test('tc prints our filters with their keys, actions and cookies', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    for (const { key, actions, keys, acts } of filters) {
      const { ufid, error } = await dpif.put({ key, actions })
      t.equal(error, undefined, error?.message ?? key)
      const shown = JSON.parse(run('tc', '-j', '-s', 'filter', 'show', 'dev', ports[0], 'ingress'))
      const [filter] = shown.filter(({ options }: { options?: { handle?: number } }) => options?.handle)
      t.match(filter.options.keys, keys)
      t.match(filter.options.actions, acts)
      t.equal(filter.options.actions.length, acts.length)
      t.equal(filter.options.actions.at(-1).cookie, cookieOf(ufid))
      await dpif.del({ ufid })
    }
  })

  t.test('filters that tc adds with a cookie of 16 bytes are flows of the dump', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
    tc(`qdisc add dev ${ports[0]} ingress`)
    tc(
      `filter add dev ${ports[0]} ingress protocol ip prio 7 flower src_ip 10.0.0.0/8 ip_proto udp dst_port 53 ` +
        `action mirred egress redirect dev ${ports[1]} cookie ${cookieOf(ufid)}`,
    )
    const seen = []
    for await (const flow of dpif.dump()) seen.push(flow)
    t.equal(seen.length, 1)
    t.match(seen[0], { ufid, backend: 'tc', actions: [{ output: 2 }], key: { inPort: 1, udp: { dst: 53 } } })
    const { mask } = parseKey(`in_port(1),${ip4},ipv4(src=10.0.0.0/8,proto=17),udp(dst=53)`)
    t.equal(seen[0]?.mask.ipv4?.src, mask.ipv4?.src)
    t.equal((await dpif.get({ ufid })).error, undefined)
    t.equal((await dpif.del({ ufid })).error, undefined)
    t.notMatch(tc(`filter show dev ${ports[0]} ingress`), /handle 0x/)
  })
}

/** The ufid's bytes as tc prints them: four words, each the other way round on a little-endian machine. */
function cookieOf(ufid: string): string {
  const bytes = Buffer.from(ufid.replaceAll('-', ''), 'hex')
  return (new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? bytes.swap32() : bytes).toString('hex')
}
