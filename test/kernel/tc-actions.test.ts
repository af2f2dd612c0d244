import t from 'tap'
import { type Abilities } from '../../lib/backend/tc/action/index.js'
import { TcBackend } from '../../lib/backend/tc/flows.js'
import { NativeTransport, tcOnly } from '../../lib/index.js'
import { ParsedUfid, ufidToBytes } from '../../lib/ovs/ufid.js'
import type { FlowView } from '../../types/backend.js'
import type { Action, SetMasked } from '../../types/action.js'
import type { FlowKey, TunnelKey } from '../../types/flow.js'
import { canonicalActions } from '../backend/tc/actions.js'
import { bench, missing, run, show, tc } from '../fixtures/lab.js'

// One filter for every action TC has, through the real kernel and back: it takes what we take for expressible, and what it reports is
// read as what was asked. Then filters of others: what openvswitch has no word for is never taken for something it has.

t.setTimeout(0)

const ipv4Match = {
  key: { etherType: 0x0800, ipv4: { proto: 6, ttl: 64 }, tcp: {} },
  mask: { etherType: 0xffff, ipv4: { proto: 0xff, ttl: 0xff, frag: 0xff }, tcp: {} },
}
const ipv6Match = {
  key: { etherType: 0x86dd, ipv6: { proto: 17, hlimit: 64 }, udp: {} },
  mask: { etherType: 0xffff, ipv6: { proto: 0xff, hlimit: 0xff, frag: 0xff }, udp: {} },
}
const mplsMatch = { key: { etherType: 0x8847 }, mask: { etherType: 0xffff } }
const tunnelMatch = {
  key: { tunnel: { id: 5n, dst: '10.0.0.1', ttl: 64 }, ...ipv4Match.key },
  mask: { tunnel: { id: 0xffffffffffffffffn, dst: '255.255.255.255' }, ...ipv4Match.mask },
}
type Match = { readonly key: FlowKey; readonly mask: FlowKey }

const everyBit = {
  mac: 'ff:ff:ff:ff:ff:ff',
  ipv4: '255.255.255.255',
  ipv6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
}
const set = (key: FlowKey, mask: FlowKey): { setMasked: SetMasked } => ({ setMasked: { key, mask } })
const via = (tunnel: TunnelKey): Action => ({ set: { tunnel } })
const label = { label: 1000, tc: 5, ttl: 64, bos: 1, etherType: 0x8847 }
const ways = {
  checkPktLen: {
    size: 1400,
    greater: [{ output: 2 }],
    lessEqual: [{ popVlan: true } as const, { output: 3 }],
  },
}

// biome-ignore format: one row per line
const rows: readonly (readonly [name: string, Match, readonly Action[]])[] = [
  ['drop', ipv4Match, []],
  ['output', ipv4Match, [{ output: 2 }]],
  ['three outputs', ipv4Match, [{ output: 2 }, { output: 3 }, { output: 1 }]],
  ['push_vlan', ipv4Match, [{ pushVlan: { vid: 7, pcp: 3 } }, { output: 2 }]],
  ['push_vlan 802.1ad', ipv4Match, [{ pushVlan: { tpid: 0x88a8, vid: 4094, pcp: 0 } }, { output: 2 }]],
  ['pop_vlan', ipv4Match, [{ popVlan: true }, { output: 2 }]],
  ['pop_eth and push_eth', ipv4Match, [{ popEth: true }, { pushEth: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' } }, { output: 2 }]],
  ['push_mpls', ipv4Match, [{ pushMpls: label }, { output: 2 }]],
  ['two labels', ipv4Match, [{ pushMpls: label }, { pushMpls: { ...label, label: 0xfffff, bos: 0, etherType: 0x8848 } }, { output: 2 }]],
  ['add_mpls before the L3 header', ipv4Match, [{ addMpls: { ...label, flags: 1 } }, { output: 2 }]],
  ['add_mpls before the Ethernet header', ipv4Match, [{ addMpls: { ...label, flags: 0 } }, { pushEth: { src: '02:00:00:00:00:01' } }, { output: 2 }]],
  ['pop_mpls', mplsMatch, [{ popMpls: 0x0800 }, { output: 2 }]],
  ['pop_mpls to a label', mplsMatch, [{ popMpls: 0x8847 }, { popMpls: 0x0800 }, { output: 2 }]],
  ['a whole label', mplsMatch, [set({ mpls: [{ label: 16, tc: 0, ttl: 9, bos: 0 }] }, { mpls: [{ label: 0xfffff, tc: 7, ttl: 0xff, bos: 1 }] }), { output: 2 }]],
  ['a label’s TTL', mplsMatch, [set({ mpls: [{ ttl: 9 }] }, { mpls: [{ ttl: 0xff }] }), { output: 2 }]],
  ['a label’s class', mplsMatch, [set({ mpls: [{ tc: 0 }] }, { mpls: [{ tc: 7 }] }), { output: 2 }]],
  ['addresses of the frame', ipv4Match, [set({ ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:00' } }, { ethernet: { src: everyBit.mac, dst: 'ff:ff:ff:00:00:00' } }), { output: 2 }]],
  ['IPv4', ipv4Match, [set({ ipv4: { src: '10.1.2.3', dst: '10.0.0.0', ttl: 9, tos: 0x10 } }, { ipv4: { src: everyBit.ipv4, dst: '255.255.0.0', ttl: 0xff, tos: 0xfc } }), { output: 2 }]],
  ['IPv6', ipv6Match, [set({ ipv6: { src: 'fd00::1', dst: 'fd01::', hlimit: 9, tclass: 0xb8, label: 0x12345 } }, { ipv6: { src: everyBit.ipv6, dst: 'ffff::', hlimit: 0xff, tclass: 0xfc, label: 0xfffff } }), { output: 2 }]],
  ['TCP', ipv4Match, [set({ tcp: { src: 1, dst: 0x0200 } }, { tcp: { src: 0xffff, dst: 0xff00 } }), { output: 2 }]],
  ['UDP', ipv6Match, [set({ udp: { dst: 53 } }, { udp: { dst: 0xffff } }), { output: 2 }]],
  ['a TTL less', ipv4Match, [{ decTtl: { action: [] } }, { output: 2 }]],
  ['a hop less', ipv6Match, [{ decTtl: { action: [] } }, { decTtl: { action: [] } }, { output: 2 }]],
  ['mark', ipv4Match, [{ set: { skbMark: 0xdeadbeef } }, { output: 2 }]],
  ['bits of the mark', ipv4Match, [set({ skbMark: 5 }, { skbMark: 0xf }), { output: 2 }]],
  ['priority', ipv4Match, [{ set: { skbPriority: 0x10002 } }, { output: 2 }]],
  ['ct', ipv4Match, [{ ct: {} }, { output: 2 }]],
  ['ct zone', ipv4Match, [{ ct: { zone: 65535 } }, { output: 2 }]],
  ['ct commit', ipv4Match, [{ ct: { commit: true, mark: { value: 0x10, mask: 0xf0 }, labels: { value: 1n << 127n, mask: (1n << 127n) | 1n } } }, { output: 2 }]],
  ['ct force', ipv4Match, [{ ct: { forceCommit: true } }, { output: 2 }]],
  ['ct nat', ipv4Match, [{ ct: { nat: {} } }, { output: 2 }]],
  ['ct snat', ipv4Match, [{ ct: { commit: true, nat: { src: true, ipMin: '10.0.0.1', ipMax: '10.0.0.9', protoMin: 1000, protoMax: 2000 } } }, { output: 2 }]],
  ['ct snat to one', ipv4Match, [{ ct: { commit: true, nat: { src: true, ipMin: '10.0.0.1' } } }, { output: 2 }]],
  ['ct dnat to a port', ipv4Match, [{ ct: { commit: true, nat: { dst: true, protoMin: 80 } } }, { output: 2 }]],
  ['ct dnat, IPv6', ipv6Match, [{ ct: { commit: true, nat: { dst: true, ipMin: 'fd00::1', ipMax: 'fd00::ff' } } }, { output: 2 }]],
  ['ct_clear', ipv4Match, [{ ctClear: true }, { output: 2 }]],
  ['a tunnel', ipv4Match, [via({ id: 5n, src: '10.0.0.1', dst: '10.0.0.2', tos: 4, ttl: 64, tpDst: 4789, csum: true }), { output: 2 }]],
  ['a tunnel without id', ipv4Match, [via({ dst: '10.0.0.2', ttl: 0 }), { output: 2 }]],
  ['an IPv6 tunnel', ipv4Match, [via({ id: 0xffffffffn, ipv6Src: 'fd00::1', ipv6Dst: 'fd00::2', ttl: 255, tpDst: 6081 }), { output: 2 }]],
  ['GENEVE options', ipv4Match, [via({ id: 5n, dst: '10.0.0.2', ttl: 64, geneve: Uint8Array.of(1, 2, 0x70, 1, 9, 9, 9, 9, 255, 255, 1, 2, 8, 7, 6, 5, 4, 3, 2, 1) }), { output: 2 }]],
  ['GENEVE over IPv6', ipv4Match, [via({ id: 5n, ipv6Dst: 'fd00::2', ttl: 64, geneve: Uint8Array.of(1, 2, 0x70, 31, ...new Uint8Array(124).fill(3)) }), { output: 2 }]],
  ['VXLAN group policy', ipv4Match, [via({ id: 5n, dst: '10.0.0.2', ttl: 64, vxlan: { gbp: 0x48ffff } }), { output: 2 }]],
  ['ERSPAN 1', ipv4Match, [via({ id: 5n, dst: '10.0.0.2', ttl: 64, erspan: Uint8Array.of(1, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0) }), { output: 2 }]],
  ['ERSPAN 2', ipv4Match, [via({ id: 5n, dst: '10.0.0.2', ttl: 64, erspan: Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0xf8) }), { output: 2 }]],
  ['two tunnels', ipv4Match, [via({ id: 5n, dst: '10.0.0.2', ttl: 64 }), { output: 2 }, via({ id: 6n, ipv6Dst: 'fd00::2', ttl: 64 }), { output: 3 }]],
  ['out of a tunnel', tunnelMatch, [{ output: 2 }, { output: 3 }]],
  ['out of one tunnel and into another', tunnelMatch, [via({ id: 5n, dst: '10.0.0.2', ttl: 64 }), { output: 3 }]],
  ['check_pkt_len', ipv4Match, [ways]],
  ['check_pkt_len, dropped', ipv4Match, [{ checkPktLen: { size: 65535, greater: [], lessEqual: [{ output: 2 }] } }]],
  ['psample', ipv4Match, [{ psample: { group: 7 } }, { output: 2 }]],
  ['a copy of the packet as it is', ipv4Match, [{ clone: [{ output: 2 }] }, { output: 3 }]],
  ['a copy at the end', ipv4Match, [{ output: 2 }, { sample: { probability: 0xffffffff, actions: [{ ctClear: true }, { output: 3 }] } }]],
]

/** Filters of others, as `tc` takes them; none of them is anything openvswitch has a word for. */
// biome-ignore format: one row per line
const strange: readonly (readonly [actions: string, read: readonly Action[]])[] = [
  ['vlan modify id 5', [foreign('vlan'), { output: 2 }]],
  ['mpls dec_ttl', [foreign('mpls'), { output: 2 }]],
  ['pedit munge offset 0 u8 set 5', [foreign('pedit'), { output: 2 }]],
  ['pedit ex munge ip ihl set 5', [foreign('pedit'), { output: 2 }]],
  ['pedit ex munge ip ttl add 2', [foreign('pedit'), { output: 2 }]],
  ['pedit ex munge eth type set 0x88b5', [foreign('pedit'), { output: 2 }]],
  ['skbedit queue_mapping 0', [foreign('skbedit'), { output: 2 }]],
  ['skbedit ptype host', [foreign('skbedit'), { output: 2 }]],
  ['sample rate 10 group 5', [foreign('sample'), { output: 2 }]],
  ['sample rate 1 group 5 trunc 99', [foreign('sample'), { output: 2 }]],
  ['police rate 1mbit burst 10k conform-exceed drop/pipe', [foreign('police'), { output: 2 }]],
  ['police mtu 99 conform-exceed drop/pipe', [foreign('police'), { output: 2 }]],
  ['gact ok', [foreign('gact'), { output: 2 }]],
  ['gact pipe random determ drop 5', [foreign('gact'), { output: 2 }]],
  ['csum ip4h continue', [foreign('csum'), { output: 2 }]],
  ['tunnel_key unset jump 1', [foreign('tunnel_key'), { output: 2 }]],
  ['simple sdata "x"', [foreign('simple'), { output: 2 }]],
]

function foreign(name: string): Action {
  return { unknown: [{ id: 0, data: new TextEncoder().encode(name) }] }
}

// User-mode Linux, as Debian builds it.
const noZones = "Conntrack zones isn't enabled"

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('every action comes back as it went in', async (t) => {
    const { dpif, ports, name } = await bench(t, tcOnly(), 3)
    const transport = new NativeTransport()
    t.teardown(() => transport.close())
    // A meter, and the address of the host's own port.
    tc('actions add action police index 268435457 rate 1mbit burst 10k conform-exceed drop/pipe')
    t.teardown(() => tc('actions flush action police'))
    const [host] = JSON.parse(run('ip', '-j', 'link', 'show', name))
    const abilities: Abilities = {
      chains: true,
      meters: {
        indexOf: (meter) => (meter === 1 ? 268435457 : undefined),
        meterOf: (index) => (index === 268435457 ? 1 : undefined),
      },
      macOf: () => host.address,
    }
    const backend = new TcBackend(transport, { abilities })
    backend.portsChanged(await dpif.ports())
    const to = (dst: string): Match => ({
      key: { ...ipv4Match.key, ethernet: { dst } },
      mask: { ...ipv4Match.mask, ethernet: { dst: everyBit.mac } },
    })
    // biome-ignore format: one row per line
    const more: typeof rows = [
      ['meter', ipv4Match, [{ meter: 1 }, { output: 2 }]],
      ['recirc', ipv4Match, [{ ct: {} }, { recirc: 0x7ffffff }]],
      ['recirc out of a tunnel', tunnelMatch, [{ ctClear: true }, { recirc: 5 }]],
      ['to the host', to(host.address), [{ output: 0 }, { output: 2 }]],
      ['to the host, broadcast', to(everyBit.mac), [{ output: 2 }, { output: 0 }]],
    ]
    const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
    const id = new ParsedUfid(ufid)
    for (const [name, { key, mask }, actions] of [...rows, ...more]) {
      const flow: FlowView = {
        ufid,
        w0: id.w0,
        w1: id.w1,
        w2: id.w2,
        w3: id.w3,
        mode: 'create',
        inPort: 1,
        key: { recircId: 0, inPort: 1, ethernet: {}, ...key },
        mask: { recircId: 0xffffffff, inPort: 0xffffffff, ethernet: {}, ...mask },
        actions,
        ufidGiven: true,
      }
      const [put] = await backend.operate([{ verb: 'create', flow, choice: { backend: 'tc' } }])
      if (put?.error?.kernel?.includes(noZones)) {
        t.comment(`${name}: ${put.error.kernel}`)
        t.match(show(actions), /"zone":/, 'only a kernel without CONFIG_NF_CONNTRACK_ZONES says so')
        continue
      }
      if (!t.equal(put?.error, undefined, `${name}: ${put?.error?.kernel ?? put?.error?.message ?? 'taken'}`))
        continue
      const [got] = await backend.operate([{ verb: 'get', id }])
      t.same(got?.flow?.actions, canonicalActions(actions), `${name}: ${show(got?.flow?.actions)}`)
      if (process.env.DPIF_SHOW) t.comment(tc(`filter show dev ${ports[0]} ingress`))
      await backend.operate([{ verb: 'del', id, wantStats: false }])
    }
  })

  t.test('what openvswitch has no word for is not taken for something else', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
    const cookie = Buffer.from(ufidToBytes(new ParsedUfid(ufid))).toString('hex')
    tc(`qdisc add dev ${ports[0]} ingress`)
    for (const [actions, read] of strange) {
      const rest = `action mirred egress redirect dev ${ports[1]} cookie ${cookie}`
      run(
        'sh',
        '-c',
        `tc filter add dev ${ports[0]} ingress protocol ip prio 7 flower ip_proto tcp action ${actions} ${rest}`,
      )
      const seen = []
      for await (const flow of dpif.dump()) seen.push(flow)
      t.same(
        seen.map((flow) => flow.actions),
        [read],
        actions,
      )
      tc(`filter del dev ${ports[0]} ingress`)
    }
    tc(
      `filter add dev ${ports[0]} ingress protocol ip prio 7 flower action mirred egress mirror dev ${ports[1]} cookie ${cookie}`,
    )
    for await (const { actions } of dpif.dump()) t.same(actions, [{ output: 2 }, foreign('no end')])
  })
}
