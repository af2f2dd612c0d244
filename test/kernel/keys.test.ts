import t from 'tap'
import { Writer } from '../../lib/netlink/writer.js'
import { flowKey } from '../../lib/ovs/key.js'
import { exactMask } from '../../lib/ovs/view.js'
import { type FlowKey, formatKey, kernelOnly, parseKey } from '../../lib/index.js'
import { bench, has, missing, run } from '../fixtures/lab.js'

// Every attribute of a key in a kernel: what it takes comes back, ovs-dpctl prints it as we do, and what it refuses we know.

t.setTimeout(0)

const ip4 = 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
const ip6 = 'in_port(1),eth(),eth_type(0x86dd),'

/** As a dump without -m prints them. */
// biome-ignore format: one row per line
const taken: readonly string[] = [
  `recirc_id(0),tunnel(tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,ttl=64,tp_dst=4789,flags(-df-csum+key)),${ip4}`,
  `recirc_id(0),tunnel(tun_id=0x7/0xff,dst=10.0.0.0/255.0.0.0,tos=0x4/0xfc,tp_src=1024/0xfc00,flags(-oam+df+key)),${ip4}`,
  `recirc_id(0),tunnel(dst=10.0.0.3,flags(-df+csum)),${ip4}`,
  `recirc_id(0),tunnel(tun_id=0x0,ipv6_src=fe80::1,ipv6_dst=fe80::/ffff::,ttl=1,flags(key)),${ip4}`,
  `recirc_id(0),tunnel(tun_id=0x8,dst=10.0.0.2,vxlan(gbp(id=10,flags=0x8/0xc)),flags(+key)),${ip4}`,
  `recirc_id(0),tunnel(tun_id=0x9,dst=10.0.0.2,geneve({class=0x102,type=0x80,len=4,0xa/0xff}{class=0xff00/0xff00,type=0x1,len=8,0x1234567890abcdef}{class=0x1,type=0x2,len=0}),flags(+key)),${ip4}`,
  `recirc_id(0),tunnel(tun_id=0xa,dst=10.0.0.2,erspan(ver=1,idx=0x7/0xffffffff),flags(+key)),${ip4}`,
  `recirc_id(0),tunnel(tun_id=0xb,dst=10.0.0.2,erspan(ver=2,dir=1/0x1,hwid=0x7/0xf),flags(+key)),${ip4}`,
  `recirc_id(0),in_port(1),eth(),eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1)`,
  `recirc_id(0),in_port(1),eth(),eth_type(0x8847),mpls(label=100/0xfffff,tc=0/0,ttl=0/0x0,bos=0/1,label=16/0xff,tc=0/0,ttl=0/0x0,bos=1/1)`,
  `recirc_id(0),in_port(1),eth(),eth_type(0x894f),nsh(mdtype=1,np=1,spi=0x123,si=255,c1=0x1,c2=0x2/0x000000ff)`,
  `recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=132,frag=no),sctp(src=4864/0xff00,dst=80)`,
  `recirc_id(0),${ip6}ipv6(proto=58,frag=no),key32(00 00/00 00),icmpv6(type=135,code=0),nd(target=fe80::1,sll=00:11:22:33:44:55)`,
  `recirc_id(0),${ip6}ipv6(proto=58,frag=no),key32(00 00/00 00),icmpv6(type=136,code=0),nd(target=fe80::/ffff::,tll=00:11:22:00:00:00/ff:ff:ff:00:00:00)`,
]

/** Where the kernel tracks connections. */
const tracked: readonly string[] = [
  'recirc_id(0x5),in_port(1),ct_state(-new+est+trk),ct_zone(0x5),ct_mark(0x1/0xff),ct_label(0x1/0xff),ct_tuple4(src=10.0.0.1,dst=10.0.0.0/255.0.0.0,proto=6,tp_src=1024/0xfc00,tp_dst=443),eth(),eth_type(0x0800),ipv4(proto=50,frag=no)',
  'recirc_id(0x5),in_port(1),ct_state(+trk),ct_tuple6(src=fe80::1,proto=17,dst_port=53),eth(),eth_type(0x86dd),ipv6(frag=no),key32(00 00/00 00)',
]

const tunnel = 'tun_id=7,src=10.0.0.1,dst=10.0.0.2,ttl=64'

/** What the kernel refuses, and where we say it does. */
// biome-ignore format: one row per line
const refused: readonly { key: string; plus?: FlowKey; maskPlus?: FlowKey; path: string }[] = [
  { key: `tunnel(tun_id=7,ttl=64),${ip4}`, path: 'tunnel.dst' },
  { key: `tunnel(dst=0.0.0.0,ttl=64),${ip4}`, path: 'tunnel.dst' },
  { key: `tunnel(ipv6_src=fe80::1,ttl=64),${ip4}`, path: 'tunnel.ipv6Dst' },
  { key: ip4, plus: { tunnel: { dst: '1.2.3.4' } }, path: 'tunnel.ttl' },
  { key: `tunnel(${tunnel},ipv6_dst=fe80::1),${ip4}`, path: 'tunnel' },
  { key: `tunnel(${tunnel},vxlan(gbp(id=1)),geneve({class=1,type=1,len=0})),${ip4}`, path: 'tunnel.vxlan' },
  { key: `tunnel(${tunnel},gtpu(flags=1,msgtype=1)),${ip4}`, path: 'tunnel.unknown' },
  { key: `tunnel(${tunnel},vxlan(key2(00))),${ip4}`, path: 'tunnel.vxlan.unknown' },
  { key: `tunnel(${tunnel},key16()),${ip4}`, path: 'tunnel.ipv4InfoBridge' },
  { key: ip4, plus: { tunnel: { dst: '1.2.3.4', ttl: 1, geneve: new Uint8Array(6) } }, path: 'tunnel.geneve' },
  { key: ip4, plus: { tunnel: { dst: '1.2.3.4', ttl: 1 } }, maskPlus: { tunnel: { geneve: new Uint8Array(4).fill(1) } }, path: 'tunnel.geneve' },
  { key: ip4, plus: { tunnel: { dst: '1.2.3.4', ttl: 1, geneve: new Uint8Array(256) } }, path: 'tunnel.geneve' },
  { key: `packet_type(ns=0,id=0),${ip4}`, path: 'packetType' },
  { key: `nd_ext(nd_reserved=0),${ip4}`, path: 'ndExtensions' },
  { key: 'in_port(1),eth(),eth_type(0x8847)', path: 'mpls' },
  { key: 'in_port(1),eth(),eth_type(0x8847)', plus: { mpls: [] }, path: 'mpls' },
  { key: 'in_port(1),eth(),eth_type(0x8847)', plus: { mpls: [{}, {}, {}, {}] }, path: 'mpls' },
  { key: `${ip4},mpls(label=1)`, path: 'mpls' },
  { key: 'in_port(1),eth(),eth_type(0x894f)', path: 'nsh' },
  { key: 'in_port(1),eth(),eth_type(0x894f),nsh(mdtype=2,c1=1)', path: 'nsh.md1' },
  { key: 'in_port(1),eth(),eth_type(0x894f)', plus: { nsh: { base: { mdtype: 2 }, md2: new Uint8Array(4) } }, path: 'nsh.md2' },
  { key: 'in_port(1),eth(),eth_type(0x0800),ipv4(proto=132,frag=no)', path: 'sctp' },
  { key: 'in_port(1),eth(),eth_type(0x0800),ipv4(proto=132/0x7f,frag=no),sctp(dst=1)', path: 'sctp' },
  { key: `${ip6}ipv6(proto=58,frag=no),icmpv6(type=136,code=0)`, path: 'nd' },
  { key: `${ip6}ipv6(proto=58,frag=no),icmpv6(type=136/0xf),nd(target=fe80::1)`, path: 'nd' },
  { key: `ct_tuple6(proto=6),${ip6}ipv6(proto=58,frag=no),icmpv6(type=135),nd()`, path: 'ctTuple6' },
  { key: `ct_tuple4(proto=6),${ip6}ipv6()`, path: 'ctTuple4' },
  { key: `ct_state(new),${ip4}`, path: 'ctState' },
  { key: ip4, maskPlus: { skbMark: 5 }, path: 'skbMark' },
]

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('every attribute comes back, and ovs-dpctl prints it as we do', async (t) => {
    const { dpif, name } = await bench(t, kernelOnly(), 2)
    const { error } = await dpif.put({ key: tracked[0] as string, actions: '' })
    const conntrack = error === undefined
    if (!conntrack) t.comment(`no connection tracking: ${error.message}`)
    await dpif.flush()
    const texts = conntrack ? [...taken, ...tracked] : taken
    for (const key of texts) {
      const { error } = await dpif.put({ key, actions: '2' })
      t.equal(error, undefined, error?.message ?? key)
    }
    const plain: string[] = []
    const verbose: string[] = []
    for await (const flow of dpif.dump()) {
      const { key, mask } = flow as { key: FlowKey; mask: FlowKey }
      plain.push(formatKey(key, mask))
      verbose.push(formatKey(key, mask, { verbose: true }))
      const again = parseKey(formatKey(key, mask, { verbose: true }))
      t.equal(formatKey(again.key, again.mask), formatKey(key, mask), 'what is printed can be read')
    }
    t.same(plain.map(without).sort(), texts.map(without).sort())
    if (!has('ovs-dpctl')) return
    const dpctl = (...args: string[]) =>
      run('ovs-dpctl', 'dump-flows', '--no-names', ...args, name)
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/^ufid:[^ ]* ?,? ?/, '').replace(/, packets:.*/, ''))
    t.same(dpctl().sort(), plain.sort(), 'dump-flows')
    t.same(dpctl('-m').sort(), verbose.sort(), 'dump-flows -m')
  })

  t.test('an exact mask is what the kernel takes an absent one for', async (t) => {
    const { dpif } = await bench(t, kernelOnly(), 2)
    for (const text of taken) {
      const { key } = parseKey(text)
      const bytes = flowKey.encode(new Writer(), key)
      await dpif.flush()
      t.equal((await dpif.put({ key: bytes, actions: new Uint8Array(0) })).error, undefined, text)
      const masks: FlowKey[] = []
      for await (const { mask } of dpif.dump()) masks.push(mask ?? {})
      await dpif.flush()
      t.equal((await dpif.put({ key, mask: exactMask(key), actions: [] })).error, undefined)
      for await (const { mask } of dpif.dump()) masks.push(mask ?? {})
      const [theirs = {}, ours = {}] = masks.map(meant)
      if (key.tunnel === undefined) t.same(ours, theirs, formatKey(key))
      else {
        // That there is no id cannot be said in a mask without saying that there must be none.
        const id = key.tunnel.id === undefined ? { id: ours.tunnel?.id } : {}
        t.same(ours, { ...theirs, tunnel: { ...theirs.tunnel, ...id } }, formatKey(key))
      }
    }
  })

  t.test('what the kernel refuses we know', async (t) => {
    const { dpif } = await bench(t, kernelOnly(), 2)
    for (const { key: text, plus = {}, maskPlus = {}, path } of refused) {
      const { key, mask } = parseKey(`recirc_id(0),${text}`)
      const { error } = await dpif.put({
        key: { ...key, ...plus },
        mask: { ...mask, ...maskPlus },
        actions: '',
      })
      t.match(
        error,
        { code: 'INVALID', errno: 22, path },
        `${text} ${Object.keys(plus)} ${Object.keys(maskPlus)}`,
      )
    }
  })
}

/** A label has 20 bits. */
function meant(mask: FlowKey): FlowKey {
  const { ipv6 } = mask
  return ipv6 === undefined ? mask : { ...mask, ipv6: { ...ipv6, label: (ipv6.label ?? 0) & 0xfffff } }
}

/** The kernel before 5.18 has no key32. */
function without(text: string): string {
  return text.replace(/,key32\([^)]*\)/, '')
}
