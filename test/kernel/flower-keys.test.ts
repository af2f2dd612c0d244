import t from 'tap'
import { tcOnly } from '../../lib/index.js'
import { matchRows } from '../../lib/tc/match.js'
import type { FlowKey } from '../../types/flow.js'
import { bench, missing, run, show, tc } from '../fixtures/lab.js'
import { canonical } from '../tc/canonical.js'

// One filter for every key flower has, through the real kernel and back: it takes what we take for expressible, and what it
// reports is read as what was asked.

t.setTimeout(0)

const ones = {
  u8: 0xff,
  u16: 0xffff,
  u32: 0xffffffff,
  u64: 2n ** 64n - 1n,
  u128: 2n ** 128n - 1n,
  mac: 'ff:ff:ff:ff:ff:ff',
  ipv4: '255.255.255.255',
  ipv6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
} as const

const v4 = { etherType: 0x0800 }
const v6 = { etherType: 0x86dd }
const type = { etherType: 0xffff }
const proto = (number: number) =>
  [
    { ...v4, ipv4: { proto: number } },
    { ...type, ipv4: { proto: 0xff, frag: 0xff } },
  ] as const
const proto6 = (number: number) =>
  [
    { ...v6, ipv6: { proto: number } },
    { ...type, ipv6: { proto: 0xff, frag: 0xff } },
  ] as const
const over = (tunnel: object, bits: object) =>
  [
    { ...v4, tunnel: { dst: '10.0.0.1', ttl: 64, ...tunnel } },
    { ...type, tunnel: { dst: ones.ipv4, ...bits } },
  ] as const
const with_ = ([key, mask]: readonly [FlowKey, FlowKey], more: FlowKey, bits: FlowKey) =>
  [
    { ...key, ...more },
    { ...mask, ...bits },
  ] as const
const tag = (vid: number, pcp: number) => ({ vid, pcp, cfi: 1 })
const behind = (etherType: number, bits: FlowKey['vlan'], encap: FlowKey, encapMask: FlowKey) =>
  [
    { etherType, vlan: tag(7, 3), encap },
    { ...type, vlan: { ...bits, cfi: 1 }, encap: encapMask },
  ] as const
const label = { label: 0xfffff, tc: 7, ttl: 0xff, bos: 1 }
const lse = { label: 1000, tc: 5, ttl: 60, bos: 0 }
const mpls = (key: FlowKey['mpls'], mask: FlowKey['mpls']) =>
  [
    { etherType: 0x8847, mpls: key ?? [] },
    { ...type, mpls: mask ?? [] },
  ] as const
const ct = (ctState: number, bits: number) =>
  [
    { ...v4, ctState },
    { ...type, ctState: bits },
  ] as const
const arp = (key: FlowKey['arp'], mask: FlowKey['arp']) =>
  [
    { etherType: 0x0806, arp: { op: 1, ...key } },
    { ...type, arp: { op: 0xffff, ...mask } },
  ] as const
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const v6Tunnel = (key: object, bits: object) =>
  [
    { ...v4, tunnel: { ttl: 9, ...key } },
    { ...type, tunnel: bits },
  ] as const
const host32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer)
const erspan1 = new Uint8Array(Buffer.concat([host32(1), hex('0000000700000000')]))
const erspan1Mask = new Uint8Array(Buffer.concat([host32(ones.u32), hex('ffffff0f00000000')]))

// biome-ignore format: a table
const flows: Readonly<Record<string, readonly [FlowKey, FlowKey]>> = {
  'ethernet.dst': [{ ...v4, ethernet: { dst: '02:00:00:00:00:01' } }, { ...type, ethernet: { dst: ones.mac } }],
  'ethernet.src': [{ ...v4, ethernet: { src: '02:00:00:00:00:02' } }, { ...type, ethernet: { src: 'ff:ff:00:00:ff:00' } }],
  'another type': [{ etherType: 0x88b5 }, type],
  'arp.sip': arp({ sip: '10.0.0.1' }, { sip: '255.0.255.0' }),
  'arp.tip': arp({ tip: '10.0.0.2' }, { tip: ones.ipv4 }),
  'arp.op': arp({ op: 2 }, {}),
  'arp.sha': arp({ sha: '02:00:00:00:00:03' }, { sha: ones.mac }),
  'arp.tha': arp({ tha: '02:00:00:00:00:04' }, { tha: 'ff:ff:ff:00:00:00' }),
  'ipv4.ttl': [{ ...v4, ipv4: { ttl: 64 } }, { ...type, ipv4: { ttl: 0xc0 } }],
  'ipv4.tos': [{ ...v4, ipv4: { tos: 0x10 } }, { ...type, ipv4: { tos: 0xfc } }],
  'ipv4.proto': [{ ...v4, ipv4: { proto: 89 } }, { ...type, ipv4: { proto: 0xff } }],
  'ipv4.proto 0': [{ ...v4, ipv4: { proto: 0 } }, { ...type, ipv4: { proto: 0xff } }],
  'ipv4.src': [{ ...v4, ipv4: { src: '10.1.2.3' } }, { ...type, ipv4: { src: '255.255.0.255' } }],
  'ipv4.dst': [{ ...v4, ipv4: { dst: '10.1.2.4' } }, { ...type, ipv4: { dst: '255.0.0.0' } }],
  'no fragment': [{ ...v4, ipv4: { frag: 0 } }, { ...type, ipv4: { frag: 0xff } }],
  'a first fragment': [{ ...v4, ipv4: { frag: 1 } }, { ...type, ipv4: { frag: 0xff } }],
  'a later fragment': [{ ...v4, ipv4: { frag: 2 } }, { ...type, ipv4: { frag: 0xff } }],
  'ipv6.hlimit': [{ ...v6, ipv6: { hlimit: 64 } }, { ...type, ipv6: { hlimit: 0xff } }],
  'ipv6.tclass': [{ ...v6, ipv6: { tclass: 0x10 } }, { ...type, ipv6: { tclass: 0x1c } }],
  'ipv6.proto': [{ ...v6, ipv6: { proto: 47 } }, { ...type, ipv6: { proto: 0xff } }],
  'ipv6.src': [{ ...v6, ipv6: { src: 'fd00::1' } }, { ...type, ipv6: { src: 'ffff::ffff' } }],
  'ipv6.dst': [{ ...v6, ipv6: { dst: 'fd00::2' } }, { ...type, ipv6: { dst: ones.ipv6 } }],
  'udp.src': with_(proto(17), { udp: { src: 53 } }, { udp: { src: 0xff00 } }),
  'udp.dst': with_(proto6(17), { udp: { dst: 4789 } }, { udp: { dst: 0xffff } }),
  'tcp.src': with_(proto(6), { tcp: { src: 80 } }, { tcp: { src: 0x00ff } }),
  'tcp.dst': with_(proto6(6), { tcp: { dst: 443 } }, { tcp: { dst: 0xffff } }),
  tcpFlags: with_(proto(6), { tcpFlags: 0x12 }, { tcpFlags: 0x17 }),
  'sctp.src': with_(proto(132), { sctp: { src: 2905 } }, { sctp: { src: 0xffff } }),
  'sctp.dst': with_(proto6(132), { sctp: { dst: 2906 } }, { sctp: { dst: 0xfff0 } }),
  'icmp.type': with_(proto(1), { icmp: { type: 8 } }, { icmp: { type: 0xff } }),
  'icmp.code': with_(proto(1), { icmp: { code: 3 } }, { icmp: { code: 0x0f } }),
  'icmpv6.type': with_(proto6(58), { icmpv6: { type: 128 } }, { icmpv6: { type: 0xff } }),
  'icmpv6.code': with_(proto6(58), { icmpv6: { code: 1 } }, { icmpv6: { code: 0xff } }),

  'a tag, any': behind(0x8100, {}, v4, type),
  'a tag, its id': behind(0x8100, { vid: 0xfff }, v4, type),
  'a tag, its priority': behind(0x88a8, { pcp: 7 }, v6, type),
  'a tag, and any payload': behind(0x8100, { vid: 0xfff }, v4, {}),
  'any tag, and any payload': behind(0x88a8, {}, {}, {}),
  'a tag, and a header': behind(0x8100, { vid: 0xfff, pcp: 7 }, { ...v4, ipv4: { dst: '10.0.0.1' } }, { ...type, ipv4: { dst: '255.0.0.0' } }),
  'two tags': behind(0x88a8, { vid: 0xfff }, { etherType: 0x8100, vlan: tag(9, 1), encap: v4 }, { ...type, vlan: { pcp: 7, cfi: 1 }, encap: type }),
  'two tags, and any payload': behind(0x88a8, {}, { etherType: 0x8100, vlan: tag(9, 1), encap: {} }, { ...type, vlan: { vid: 0xfff, cfi: 1 }, encap: {} }),
  'two tags, alike': behind(0x8100, { vid: 0xfff }, { etherType: 0x8100, vlan: tag(9, 1), encap: v4 }, { ...type, vlan: { vid: 0xfff, pcp: 7, cfi: 1 }, encap: type }),
  'a tag, and labels': behind(0x8100, { vid: 0xfff }, { etherType: 0x8847, mpls: [lse] }, { ...type, mpls: [label] }),

  'mpls, any': mpls([lse], [{}]),
  'mpls.label': mpls([lse], [{ label: 0xfffff }]),
  'mpls.tc': mpls([lse], [{ tc: 7 }]),
  'mpls.ttl': mpls([lse], [{ ttl: 0xff }]),
  'mpls.bos': mpls([lse], [{ bos: 1 }]),
  'mpls, all of it': mpls([lse], [label]),
  'mpls, the second label': mpls([lse, lse], [{}, { label: 0xfffff }]),
  'mpls, one label of two at least': mpls([lse, lse], [label, {}]),
  'mpls, three labels': mpls([lse, lse, { ...lse, bos: 1 }], [label, { ttl: 0xff }, { bos: 1 }]),
  'mpls, to many': [{ etherType: 0x8848, mpls: [lse, lse] }, { ...type, mpls: [label, label] }],

  'ct +trk': ct(0x20, 0x20),
  'ct -trk': ct(0, 0x20),
  'ct +trk+new': ct(0x21, 0x21),
  'ct +trk+est-new': ct(0x22, 0x23),
  'ct +trk+est+rpl-rel-inv-new': ct(0x2a, 0x3f),
  'ct +trk+inv': ct(0x30, 0x30),
  'ct -new-est': ct(0, 0x03),
  'ct of a packet of any kind': [{ etherType: 0x88b5, ctState: 0x21 }, { ...type, ctState: 0x21 }],
  ctZone: [{ ...v4, ctZone: 5 }, { ...type, ctZone: 0x0fff }],
  ctMark: [{ ...v4, ctMark: 0xdeadbeef }, { ...type, ctMark: 0xff00ff00 }],
  ctLabels: [{ ...v4, ctLabels: 0x0123456789abcdef0011223344556677n }, { ...type, ctLabels: ones.u128 ^ 0xffn }],

  'tunnel.id': over({ id: 0xfffffffen }, { id: ones.u64 }),
  'tunnel.src': over({ src: '10.0.0.2' }, { src: '255.255.255.0' }),
  'tunnel.dst': over({}, {}),
  'tunnel.ipv6Src': v6Tunnel({ ipv6Src: 'fd00::5', ipv6Dst: 'fd00::6' }, { ipv6Src: 'ffff::' }),
  'tunnel.ipv6Dst': v6Tunnel({ ipv6Dst: 'fd00::6' }, { ipv6Dst: ones.ipv6 }),
  'tunnel.tos': over({ tos: 0x10 }, { tos: 0xfc }),
  'tunnel.ttl': over({ ttl: 64 }, { ttl: 0xff }),
  'tunnel.tpSrc': over({ tpSrc: 1234 }, { tpSrc: 0xff00 }),
  'tunnel.tpDst': over({ tpDst: 4789 }, { tpDst: 0xffff }),
  'tunnel.vxlan': over({ vxlan: { gbp: 0x480200 } }, { vxlan: { gbp: 0x48ff00 } }),
  'tunnel.vxlan, any': over({ vxlan: { gbp: 5 } }, { vxlan: { gbp: 0 } }),
  'tunnel.erspan': over({ erspan: erspan1 }, { erspan: erspan1Mask }),
  'a tunnel, and what is in it': [
    { ...v4, tunnel: { id: 7n, dst: '10.0.0.1', ttl: 3 }, ipv4: { src: '10.2.3.4' }, ctMark: 5 },
    { ...type, tunnel: { id: ones.u64, dst: ones.ipv4 }, ipv4: { src: '255.0.0.0' }, ctMark: 0xf },
  ],
}

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('every key goes into the kernel and comes back as it went', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    let count = 0
    for (const [name, [key, mask]] of Object.entries(flows)) {
      const ufid = `3f2a9c10-0000-4000-8000-${(++count).toString(16).padStart(12, '0')}`
      const flow = { key: { inPort: 1, ethernet: {}, ...key }, mask: { inPort: ones.u32, ...mask } }
      const { error } = await dpif.put({ ufid, ...flow, actions: [] })
      // A kernel built without conntrack zones says so, and is believed.
      if (error?.code === 'UNSUPPORTED' && /^ct/.test(name) && /n't enabled/.test(error.kernel ?? '')) {
        t.comment(`${name}: ${error.kernel}`)
        continue
      }
      t.equal(error, undefined, `${name} ${error?.message ?? ''}`)
      if (error !== undefined) continue
      const got = await dpif.get({ ufid })
      t.equal(got.error, undefined, name)
      if (got.flow === undefined) continue
      const asked = canonical(flow.key, flow.mask)
      const { recircId: _, ...read } = canonical(got.flow.key, got.flow.mask)
      if (!t.same(read, asked, name)) t.comment(show(got.flow), tc(`filter show dev ${ports[0]} ingress`))
      // And what is read can be put again.
      await dpif.del({ ufid })
      const again = await dpif.put({ ufid, key: got.flow.key, mask: got.flow.mask, actions: [] })
      t.equal(again.error, undefined, `${name} ${again.error?.message ?? ''}`)
      const { recircId: __, ...twice } = canonical(...pair(await dpif.get({ ufid })))
      t.same(twice, asked, `${name}, once more`)
      await dpif.del({ ufid })
    }
    for (const { attribute, part } of matchRows) {
      const path = part === undefined ? attribute : `${attribute}.${part}`
      t.ok(path in flows, `${path} has been tried`)
    }
  })

  t.test('filters of several templates keep apart', async (t) => {
    const { dpif } = await bench(t, tcOnly(), 2)
    const ufid = (index: number) => `3f2a9c10-0000-4000-8000-${index.toString(16).padStart(12, '0')}`
    const mask = {
      inPort: ones.u32,
      etherType: 0xffff,
      tunnel: { id: ones.u64, dst: ones.ipv4 },
      ctState: 0x21,
    }
    const keys = Array.from({ length: 40 }, (_, index) => ({
      inPort: 1,
      ethernet: {},
      ...v4,
      ctState: index % 2 === 0 ? 0x21 : 0x20,
      tunnel: { id: BigInt(index + 1), dst: `10.0.${index}.1`, ttl: 64 },
    }))
    const results = await dpif.operate(
      keys.map((key, index) => ({ op: 'put', ufid: ufid(index), key, mask, actions: [] as const })),
    )
    for (const { error } of results) t.equal(error, undefined)
    const { error } = await dpif.put({
      ufid: ufid(99),
      key: { ...(keys[0] as object), tunnel: { id: 1n << 32n, dst: '10.0.0.1', ttl: 64 } },
      mask,
      actions: [],
    })
    t.match(error, { code: 'UNSUPPORTED_MATCH', path: 'tunnel.id', reason: 'VALUE_TOO_LARGE' })
    for (const [index, key] of keys.entries()) {
      const { recircId: _, ...read } = canonical(...pair(await dpif.get({ ufid: ufid(index) })))
      t.same(read, canonical(key, mask))
    }
  })

  t.test('the kernel refuses the conntrack states we refuse', async (t) => {
    const { ports } = await bench(t, tcOnly(), 1)
    tc(`qdisc add dev ${ports[0]} ingress`)
    for (const state of ['+est', '+trk+new+est', '+trk+inv+new', '+trk+new+rpl'])
      t.throws(
        () =>
          run(
            'tc',
            ...`filter add dev ${ports[0]} ingress protocol ip flower ct_state ${state} action drop`.split(
              ' ',
            ),
          ),
        state,
      )
  })
}

function pair(got: { flow?: { key: FlowKey; mask: FlowKey } }): [FlowKey, FlowKey] {
  return [got.flow?.key ?? {}, got.flow?.mask ?? {}]
}
