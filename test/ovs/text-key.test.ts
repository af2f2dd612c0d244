import fc from 'fast-check'
import t from 'tap'
import type { FlowKey } from '../../types/flow.js'
import { DpifError } from '../../lib/errors.js'
import { flowKey } from '../../lib/ovs/key.js'
import { formatKey, parseKey } from '../../lib/ovs/text.js'
import { counting, encode, match, same } from './text-key-arbitrary.js'

// What the parser and the formatter of Open vSwitch 3.1.0 (lib/odp-util.c) made of each text: printed plain, printed with -m.
// biome-ignore format: one fact per line
const facts: readonly (readonly [text: string, plain: string, verbose: string])[] = [
  ['in_port(1)', 'in_port(1)', 'in_port(1)'],
  ['in_port(010)', 'in_port(8)', 'in_port(8)'],
  ['in_port( +0x10/0xff)', 'in_port(16/0xff)', 'in_port(16/0xff)'],
  ['recirc_id(0x5),dp_hash(0x1/0xf),skb_priority(7)', 'recirc_id(0x5),dp_hash(0x1/0xf),skb_priority(0x7)', 'recirc_id(0x5),dp_hash(0x1/0xf),skb_priority(0x7)'],
  ['ct_state(+trk-new),ct_zone(5),ct_mark(0x1/0xf)', 'ct_state(-new+trk),ct_zone(0x5),ct_mark(0x1/0xf)', 'ct_state(0x20/0x21),ct_zone(0x5),ct_mark(0x1/0xf)'],
  ['ct_state(new|trk)', 'ct_state(new|trk)', 'ct_state(0x21)'],
  ['ct_state(0x21/0x23)', 'ct_state(+new-est+trk)', 'ct_state(0x21/0x23)'],
  ['ct_label(0x1/0xff)', 'ct_label(0x1/0xff)', 'ct_label(0x1/0xff)'],
  ['ct_label(0x0123456789abcdef0123456789abcdef)', 'ct_label(0x123456789abcdef0123456789abcdef)', 'ct_label(0x123456789abcdef0123456789abcdef)'],
  ['ct_label(0x1 2 )', 'ct_label(0x12)', 'ct_label(0x12)'],
  ['in_port(1) eth(src=0:1:2:3:4:5,)', 'in_port(1),eth(src=00:01:02:03:04:05)', 'in_port(1),eth(src=00:01:02:03:04:05,dst=00:00:00:00:00:00/00:00:00:00:00:00)'],
  ['eth()eth_type(0x800)', 'eth()eth_type(0x0800)', 'eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=00:00:00:00:00:00/00:00:00:00:00:00),eth_type(0x0800)'],
  ['eth_type(2048/0xff00)', 'eth_type(0x0800/0xff00)', 'eth_type(0x0800/0xff00)'],
  ['eth_type(0x8100),vlan(vid=99,pcp=7),encap(eth_type(0x0800),ipv4(frag=no))', 'eth_type(0x8100),vlan(vid=99,pcp=7),encap(eth_type(0x0800),ipv4(frag=no))', 'eth_type(0x8100),vlan(vid=99,pcp=7),encap(eth_type(0x0800),ipv4(src=0.0.0.0/0.0.0.0,dst=0.0.0.0/0.0.0.0,proto=0/0,tos=0/0,ttl=0/0,frag=no))'],
  ['vlan(vid=99/0xff0)', 'vlan(vid=99/0xff0)', 'vlan(vid=99/0xff0,pcp=0/0x0)'],
  ['vlan(pcp=3/0x4,cfi=0)', 'vlan(pcp=3/0x4,cfi=0)', 'vlan(vid=0/0x0,pcp=3/0x4,cfi=0)'],
  ['vlan()', 'vlan()', 'vlan(vid=0/0x0,pcp=0/0x0)'],
  ['encap()', 'encap()', 'encap()'],
  ['ipv4(src=10.0.0.0/255.0.0.0,proto=17,tos=0x3/0xfc,ttl=64,frag=later)', 'ipv4(src=10.0.0.0/255.0.0.0,proto=17,tos=0x3/0xfc,ttl=64,frag=later)', 'ipv4(src=10.0.0.0/255.0.0.0,dst=0.0.0.0/0.0.0.0,proto=17,tos=0x3/0xfc,ttl=64,frag=later)'],
  ['ipv4(src=010.0.0.1)', 'ipv4(src=10.0.0.1)', 'ipv4(src=10.0.0.1,dst=0.0.0.0/0.0.0.0,proto=0/0,tos=0/0,ttl=0/0)'],
  ['ipv6(src=FE80:0::1,label=0x12345/0xff000,proto=58,tclass=3,frag=first)', 'ipv6(src=fe80::1,label=0x12345/0xff000,proto=58,tclass=0x3,frag=first)', 'ipv6(src=fe80::1,dst=::/::,label=0x12345/0xff000,proto=58,tclass=0x3,hlimit=0/0,frag=first)'],
  ['ipv6(dst=::ffff:10.0.0.1/ffff::)', 'ipv6(dst=::ffff:10.0.0.1/ffff::)', 'ipv6(src=::/::,dst=::ffff:10.0.0.1/ffff::,label=0/0,proto=0/0,tclass=0/0,hlimit=0/0)'],
  ['tcp(src=80/0xff00,dst=443),tcp_flags(+syn-ack)', 'tcp(src=80/0xff00,dst=443),tcp_flags(+syn-ack)', 'tcp(src=80/0xff00,dst=443),tcp_flags(+syn-ack)'],
  ['tcp_flags(0x12/0xfff)', 'tcp_flags(syn|ack)', 'tcp_flags(syn|ack)'],
  ['tcp_flags(+[800]-ns)', 'tcp_flags(-ns+[800])', 'tcp_flags(-ns+[800])'],
  ['udp(dst=53)', 'udp(dst=53)', 'udp(src=0/0,dst=53)'],
  ['icmp(type=8,code=0/0),icmpv6(type=135)', 'icmp(type=8),icmpv6(type=135)', 'icmp(type=8,code=0/0),icmpv6(type=135,code=0/0)'],
  ['arp(sip=1.2.3.4,op=1/3)', 'arp(sip=1.2.3.4,op=1/0x3)', 'arp(sip=1.2.3.4,tip=0.0.0.0/0.0.0.0,op=1/0x3,sha=00:00:00:00:00:00/00:00:00:00:00:00,tha=00:00:00:00:00:00/00:00:00:00:00:00)'],
  ['sctp(src=5000/0xff00,dst=1)', 'sctp(src=5000/0xff00,dst=1)', 'sctp(src=5000/0xff00,dst=1)'],
  ['nd(target=fe80::1,sll=00:11:22:33:44:55,tll=00:00:00:00:00:00/ff:00:00:00:00:00)', 'nd(target=fe80::1,sll=00:11:22:33:44:55,tll=00:00:00:00:00:00/ff:00:00:00:00:00)', 'nd(target=fe80::1,sll=00:11:22:33:44:55,tll=00:00:00:00:00:00/ff:00:00:00:00:00)'],
  ['nd(sll=1:2:3:4:5:6)', 'nd(sll=01:02:03:04:05:06)', 'nd(target=::/::,sll=01:02:03:04:05:06,tll=00:00:00:00:00:00/00:00:00:00:00:00)'],
  ['nd_ext(nd_reserved=0x1234,nd_options_type=2)', 'nd_ext(nd_reserved=0x1234,nd_options_type=2)', 'nd_ext(nd_reserved=0x1234,nd_options_type=2)'],
  ['nd_ext(nd_options_type=2/0x3)', 'nd_ext(nd_reserved=0x0,nd_options_type=2/0x3)', 'nd_ext(nd_reserved=0x0,nd_options_type=2/0x3)'],
  ['ct_tuple4(src=10.0.0.1,dst=10.0.0.0/255.0.0.0,proto=6,tp_src=80,tp_dst=443/0xff)', 'ct_tuple4(src=10.0.0.1,dst=10.0.0.0/255.0.0.0,proto=6,tp_src=80,tp_dst=443/0xff)', 'ct_tuple4(src=10.0.0.1,dst=10.0.0.0/255.0.0.0,proto=6,tp_src=80,tp_dst=443/0xff)'],
  ['ct_tuple6(src=fe80::1,proto=17,tp_dst=53)', 'ct_tuple6(src=fe80::1,proto=17,dst_port=53)', 'ct_tuple6(src=fe80::1,dst=::/::,proto=17,src_port=0/0,dst_port=53)'],
  ['packet_type(ns=1,id=0x800),eth(),eth_type(0x0800)', 'packet_type(ns=1,id=0x800),eth_type(0x0800)', 'packet_type(ns=1,id=0x800),eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=00:00:00:00:00:00/00:00:00:00:00:00),eth_type(0x0800)'],
  ['packet_type(ns=0/0,id=0/0),eth()', 'eth()', 'packet_type(ns=0/0,id=0/0),eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=00:00:00:00:00:00/00:00:00:00:00:00)'],
]

// Dumps of a kernel, as ovs-dpctl printed them.
// biome-ignore format: one line of text is one line
const dumped = {
  plain: 'recirc_id(0),in_port(2),eth(),eth_type(0x86dd),ipv6(proto=6,frag=no),key32(00 00/00 00),tcp(dst=443)',
  verbose: 'recirc_id(0),dp_hash(0/0),skb_priority(0/0),in_port(2),skb_mark(0/0),ct_state(0/0),ct_zone(0/0),ct_mark(0/0),ct_label(0/0),eth(src=01:02:03:04:05:06/00:00:00:00:00:00,dst=07:08:09:0a:0b:0c/00:00:00:00:00:00),eth_type(0x86dd),ipv6(src=::/::,dst=::/::,label=0/0,proto=6,tclass=0/0,hlimit=64/0,frag=no),key32(00 00/00 00),tcp(src=80/0,dst=443),tcp_flags(0/0)',
}

const zeroMac = '00:00:00:00:00:00'

t.test('a key is read and printed as OVS 3.1 does', async (t) => {
  for (const [text, plain, verbose] of facts) {
    const { key, mask } = parseKey(text)
    t.equal(formatKey(key, mask), plain, `${text}, plain`)
    t.equal(formatKey(key, mask, { verbose: true }), verbose, `${text}, verbose`)
  }
})

t.test('a dump of the kernel survives reading and printing', async (t) => {
  const short = parseKey(dumped.plain)
  t.equal(formatKey(short.key, short.mask), dumped.plain)
  const long = parseKey(dumped.verbose)
  t.equal(formatKey(long.key, long.mask, { verbose: true }), dumped.verbose)
  t.equal(formatKey(long.key, long.mask), dumped.plain, 'and the verbose form says at least as much')
})

t.test('every sample of every row goes to text and back', async (t) => {
  // Text has no way to say the first (no name for a fragment type of 3 or more), and takes only 20 and 12 bits of the others.
  const speakable = (name: string, sample: unknown) => {
    const { frag = 0, label = 0 } = sample as { frag?: number; label?: number }
    return frag < 3 && label <= 0xfffff && !(name === 'tcpFlags' && (sample as number) > 0xfff)
  }
  // A tunnel gets a TTL, a header its type, and a stack cannot be empty; test/ovs/text-key-nested.test.ts is about them.
  const nested = ['tunnel', 'nsh', 'mpls']
  for (const row of flowKey.rows.filter(({ name }) => !nested.includes(name))) {
    for (const sample of row.codec.samples) {
      if (!speakable(row.name, sample) || (row.name === 'ctState' && (sample as number) > 0xff)) continue
      const key: FlowKey = { [row.name]: sample }
      const text = formatKey(key, undefined, { verbose: true })
      const parsed = parseKey(text)
      t.same(encode(parsed.key), encode(key), text)
      t.equal(formatKey(parsed.key, parsed.mask, { verbose: true }), exactText(row.name, text))
    }
  }
  function exactText(name: string, text: string): string {
    // Raw bytes have no exact form of their own once there is a mask.
    return name === 'ipv6Exthdrs' ? text.replace(')', '/ff ff)') : text
  }
})

t.test('without a mask everything is exact, with one only what is in it counts', async (t) => {
  const key: FlowKey = {
    inPort: 1,
    ctMark: 7,
    ethernet: { src: '00:11:22:33:44:55' },
    etherType: 0x800,
    ipv4: { ttl: 1 },
  }
  t.equal(
    formatKey(key),
    'in_port(1),ct_mark(0x7),eth(src=00:11:22:33:44:55,dst=00:00:00:00:00:00),eth_type(0x0800),' +
      'ipv4(src=0.0.0.0,dst=0.0.0.0,proto=0,tos=0,ttl=1,frag=no)',
  )
  t.equal(formatKey(key, { inPort: 0xffffffff }), 'in_port(1),eth()')
  t.equal(
    formatKey({ inPort: 1, tcp: { src: 1, dst: 2 } }, { tcp: { dst: 0xff } }, { verbose: true }),
    'in_port(1/0),tcp(src=1/0,dst=2/0xff)',
  )
  t.equal(formatKey({}), '<empty>')
  t.same(parseKey('<empty>'), { key: {}, mask: {} })
})

t.test('what is nested is shown even when none of it counts', async (t) => {
  const key: FlowKey = { etherType: 0x8100, vlan: { vid: 7 }, encap: { etherType: 0x800 } }
  t.equal(formatKey(key, { etherType: 0xffff }), 'eth_type(0x8100),encap()')
  t.equal(
    formatKey(key, { etherType: 0xffff }, { verbose: true }),
    'eth_type(0x8100),vlan(vid=7/0x0,pcp=0/0x0),encap(eth_type(0x0800/0x0000))',
  )
})

t.test('a frame without Ethernet type is matched with a mask and no key', async (t) => {
  const text = 'in_port(1),eth(),eth_type(0/0xffff)'
  const { key, mask } = parseKey(text)
  t.notOk('etherType' in key)
  t.equal(mask.etherType, 0xffff)
  t.equal(formatKey(key, mask), text)
  t.equal(parseKey('eth_type(0)').key.etherType, 0, 'while a zero can still be said')
})

t.test('a parsed key is whole, as if a kernel had sent it', async (t) => {
  const { key, mask } = parseKey('eth(),vlan(vid=7),tcp(dst=80)')
  t.same(key, {
    ethernet: { src: zeroMac, dst: zeroMac },
    vlan: { vid: 7, pcp: 0, cfi: 1 },
    tcp: { src: 0, dst: 80 },
  })
  t.same(mask, {
    ethernet: { src: zeroMac, dst: zeroMac },
    vlan: { vid: 0xfff, pcp: 0, cfi: 1 },
    tcp: { src: 0, dst: 0xffff },
  })
})

t.test('prefix lengths are masks', async (t) => {
  const { mask } = parseKey('ipv4(src=10.0.0.0/8,dst=1.2.3.4/0),ipv6(src=fe80::/10,dst=::1/128)')
  t.match(mask, { ipv4: { src: '255.0.0.0', dst: '0.0.0.0' } })
  t.match(mask, { ipv6: { src: 'ffc0::', dst: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' } })
})

t.test('addresses are printed as the kernel would send them back, however they were written', async (t) => {
  const key: FlowKey = { ethernet: { src: 'AA:BB:CC:00:00:01' }, ipv6: { src: 'FE80:0::1', dst: '::1' } }
  const mask: FlowKey = {
    ethernet: { src: 'FF:FF:FF:FF:FF:FF' },
    ipv6: { src: 'FFFF:0:0::0', dst: '0:0::0' },
  }
  t.equal(formatKey(key, mask), 'eth(src=aa:bb:cc:00:00:01),ipv6(src=fe80::1/ffff::)')
  t.throws(
    () => formatKey({ ipv4: { src: '10.0.0' } }),
    new TypeError("'10.0.0' is not an IPv4 address like 10.0.0.1"),
  )
})

t.test('a ufid may stand before the key', async (t) => {
  const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
  for (const between of [',', ' ', ', ', '']) {
    t.same(parseKey(`ufid:${ufid}${between}in_port(1)`), {
      ufid,
      key: { inPort: 1 },
      mask: { inPort: 0xffffffff },
    })
  }
  t.equal(parseKey(`ufid:${ufid.toUpperCase()}`).ufid, ufid)
})

t.test('ports may be named', async (t) => {
  const ports: Record<string, number> = { veth0: 2, '1eth': 3, '4': 9 }
  const options = {
    portNumber: (name: string) => ports[name],
    portName: (port: number) => (port === 2 ? 'veth0' : undefined),
  }
  const port = (text: string) => parseKey(text, options).key.inPort
  t.equal(port('in_port(veth0)'), 2)
  t.equal(port('in_port(1eth)'), 3, 'also when the name begins like a number')
  t.equal(port('in_port(4)'), 4, 'a number is never a name')
  t.equal(formatKey({ inPort: 2 }, undefined, options), 'in_port(veth0)')
  t.equal(formatKey({ inPort: 2 }, { inPort: 0xff }, options), 'in_port(2/0xff)')
  t.equal(formatKey({ inPort: 3 }, undefined, options), 'in_port(3)')
})

t.test('attributes without a row are bytes', async (t) => {
  const data = Uint8Array.of(0, 0x1f)
  const key: FlowKey = { inPort: 1, unknown: [{ id: 99, data }] }
  t.equal(formatKey(key), 'in_port(1),key99(00 1f)')
  t.same(parseKey('in_port(1),key99(00 1f)').key, key)
  t.same(parseKey('key99(00 1f)').mask, { unknown: [{ id: 99, data: Uint8Array.of(255, 255) }] })
  t.equal(formatKey(key, { inPort: 0xffffffff }), 'in_port(1)')
  t.equal(formatKey(key, { inPort: 0xffffffff }, { verbose: true }), 'in_port(1),key99(00 1f/00 00)')
  t.same(parseKey('key99(00 1f/00 ff)').mask, { unknown: [{ id: 99, data: Uint8Array.of(0, 255) }] })
  t.same(
    parseKey('key3(07 00 00 00)').key,
    parseKey('in_port(0x7)').key,
    'and bytes of a known attribute are known',
  )
})

t.test('wrong text is an error with its position, and no number is cut off', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['in_port(4294967296)', "4294967296 is more than 4294967295 at position 9, before '4294967296)'"],
    ['in_port(-1)', "a port expected at position 9, before '-1)'"],
    ['in_port(veth0)', "a port expected at position 9, before 'veth0)'"],
    ['in_port(08)', "')' expected at position 10, before '8)'"],
    ['in_port(1', "')' expected at the end"],
    ['in_port(1),foo(2)', "no field is called 'foo' at position 12, before 'foo(2)'"],
    ['in_port(1),in_port(2)', "given twice at position 12, before 'in_port(2)'"],
    ['eth_type(0x10000)', "0x10000 is more than 65535 at position 10, before '0x10000)'"],
    ['eth_type(0x0800)x', "a field like in_port(1) expected at position 17, before 'x'"],
    ['ipv4(ttl=256)', "256 is more than 255 at position 10, before '256)'"],
    ['ipv4(src=1.2.3.256)', "an IPv4 address expected at position 10, before '1.2.3.256)'"],
    ['ipv4(src=1.2.3.4/33)', "prefix length 33 is more than 32 at position 18, before '33)'"],
    ['ipv4(frag=maybe)', "one of no first later expected at position 11, before 'maybe)'"],
    ['ipv6(label=0x100000)', "0x100000 is more than 1048575 at position 12, before '0x100000)'"],
    ['vlan(vid=4096)', "4096 is more than 4095 at position 10, before '4096)'"],
    ['vlan(id=1)', "'vid=' 'pcp=' 'cfi=' or ')' expected at position 6, before 'id=1)'"],
    ['eth(,)', "'src=' 'dst=' or ')' expected at position 5, before ',)'"],
    ['eth(src=00:11:22:33:44:155)', "a MAC address expected at position 9, before '00:11:22:33:44:155)'"],
    ['tcp(src=1;)', "',' or ')' expected at position 10, before ';)'"],
    ['ct_state(+new+new)', "a flag given twice at position 14, before '+new)'"],
    ['ct_state(0x100)', "0x100 is more than 255 at position 10, before '0x100)'"],
    ['ct_label(0x100000000000000000000000000000000)', "more than 128 bits at position 10, before '0x100000000000000000000000000000000)'"],
    ['tcp_flags()', "one of the flags fin syn rst psh ack urg ece cwr ns [200] [400] [800] expected at position 11, before ')'"],
    ['key32(00)', "1 bytes where 2 belong at position 7, before '00)'"],
    ['key16384()', "attribute 16384 is more than 16383 at position 9, before '()'"],
    ['ufid:3f2a9c10', "a ufid like 3f2a9c10-0000-4000-8000-0123456789ab expected at position 6, before '3f2a9c10'"],
    [`${'encap('.repeat(40)}`, "nested too deep at position 187, before 'encap(encap(encap(encap(encap(encap(enca'"],
  ]
  for (const [text, problem] of wrong) t.throws(() => parseKey(text), new DpifError('SYNTAX', problem), text)
})

t.test('whatever the key and the mask, verbose text says it all', async () => {
  fc.assert(
    fc.property(match(2), ({ key, mask }) => {
      const parsed = parseKey(formatKey(key, mask, { verbose: true }))
      same(encode(parsed.mask), encode(mask))
      same(encode(counting(parsed.key, parsed.mask)), encode(counting(key, mask)))
      const short = parseKey(formatKey(key, mask))
      // Nothing at all reads as a key without attributes.
      const shown = formatKey(short.key, short.mask).replace('<empty>', '')
      if (shown !== formatKey(key, mask).replace('<empty>', ''))
        throw new Error(`${shown} came back from ${formatKey(key, mask)}`)
    }),
  )
})
