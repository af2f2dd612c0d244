import t from 'tap'
import type { FlowKey } from '../../types/flow.js'
import { DpifError } from '../../lib/errors.js'
import { formatKey, parseKey } from '../../lib/ovs/text.js'
import { encode } from './text-key-arbitrary.js'

// What the parser and the formatter of Open vSwitch 3.1.0 (lib/odp-util.c) made of each text: printed plain, printed with -m.
// biome-ignore format: one fact per line
const facts: readonly (readonly [text: string, plain: string, verbose: string])[] = [
  ['tunnel(tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,ttl=64,tp_dst=4789,flags(+df+key))', 'tunnel(tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,ttl=64,tp_dst=4789,flags(+df+key))', 'tunnel(tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,ttl=64,tp_dst=4789,flags(+df+key))'],
  ['tunnel(tun_id=7/0xff,src=10.0.0.0/255.0.0.0,tos=0x1/0x3,ttl=1,tp_src=80/0xff00,flags(df|key))', 'tunnel(tun_id=0x7/0xff,src=10.0.0.0/255.0.0.0,tos=0x1/0x3,ttl=1,tp_src=80/0xff00,flags(df|key))', 'tunnel(tun_id=0x7/0xff,src=10.0.0.0/255.0.0.0,tos=0x1/0x3,ttl=1,tp_src=80/0xff00,flags(df|key))'],
  ['tunnel(ipv6_src=fe80::1,ipv6_dst=fe80::2/ffff::,ttl=64,flags(0x2/0x6),)', 'tunnel(ipv6_src=fe80::1,ipv6_dst=fe80::2/ffff::,ttl=64,flags(+df-csum))', 'tunnel(ipv6_src=fe80::1,ipv6_dst=fe80::2/ffff::,ttl=64,flags(+df-csum))'],
  ['tunnel(tun_id=0,ttl=0/0,flags(-oam-df-csum))', 'tunnel(tun_id=0x0,flags(key))', 'tunnel(tun_id=0x0,ttl=0/0,flags(key))'],
  ['tunnel(tun_id=5/0,ttl=1)', 'tunnel(ttl=1,flags(+key))', 'tunnel(tun_id=0x5/0,ttl=1,flags(+key))'],
  ['tunnel(ttl=64,flags(0))', 'tunnel(ttl=64,flags(-oam-df-csum))', 'tunnel(ttl=64,flags(-oam-df-csum))'],
  ['tunnel(ttl=64,vxlan(gbp(id=10,flags=0x8/0xc)))', 'tunnel(ttl=64,vxlan(gbp(id=10,flags=0x8/0xc)))', 'tunnel(ttl=64,vxlan(gbp(id=10,flags=0x8/0xc)),flags(0/0))'],
  ['tunnel(ttl=64,vxlan(gbp(flags=8)))', 'tunnel(ttl=64,vxlan(gbp(flags=0x8)))', 'tunnel(ttl=64,vxlan(gbp(id=0/0,flags=0x8)),flags(0/0))'],
  ['tunnel(ttl=64,geneve({class=0x102,type=0x80,len=4,0xa/0xff}{class=0xffff/0xff,type=0x1,len=8,0x1234567890abcdef}{class=1,type=2,len=0}),flags(+key))', 'tunnel(ttl=64,geneve({class=0x102,type=0x80,len=4,0xa/0xff}{class=0xffff/0xff,type=0x1,len=8,0x1234567890abcdef}{class=0x1,type=0x2,len=0}))', 'tunnel(ttl=64,geneve({class=0x102,type=0x80,len=4,0xa/0xff}{class=0xffff/0xff,type=0x1,len=8,0x1234567890abcdef}{class=0x1,type=0x2,len=0}),flags(0/0))'],
  ['tunnel(ttl=64,geneve({class=0x102/0,type=0x80/0xf,len=4,0}))', 'tunnel(ttl=64,geneve({type=0x80/0xf,len=4,0}))', 'tunnel(ttl=64,geneve({class=0x102/0,type=0x80/0xf,len=4,0}),flags(0/0))'],
  ['tunnel(ttl=64,geneve())', 'tunnel(ttl=64,geneve())', 'tunnel(ttl=64,geneve(),flags(0/0))'],
  ['tunnel(ttl=64,erspan(ver=1,idx=0x7/0xff),flags(-csum))', 'tunnel(ttl=64,erspan(ver=1,idx=0x7/0xff),flags(-csum))', 'tunnel(ttl=64,erspan(ver=1,idx=0x7/0xff),flags(-csum))'],
  ['tunnel(ttl=64,erspan(ver=2,dir=1,hwid=0x7/0x3))', 'tunnel(ttl=64,erspan(ver=2,dir=1/0x1,hwid=0x7/0x3))', 'tunnel(ttl=64,erspan(ver=2,dir=1/0x1,hwid=0x7/0x3),flags(0/0))'],
  ['tunnel(ttl=64,gtpu(flags=0x30,msgtype=255/0xf))', 'tunnel(ttl=64,gtpu(flags=0x30,msgtype=255/0xf))', 'tunnel(ttl=64,gtpu(flags=0x30,msgtype=255/0xf),flags(0/0))'],
  ['tunnel(ttl=9),in_port(1)', 'tunnel(ttl=9),in_port(1)', 'tunnel(ttl=9,flags(0/0)),in_port(1)'],
  ['eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1)', 'eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1)', 'eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1)'],
  ['mpls(label=100/0xff,bos=0,label=16,bos=1,label=3,tc=7/4,)', 'mpls(label=100/0xff,tc=0/0,ttl=0/0x0,bos=0/1,label=16/0xfffff,tc=0/0,ttl=0/0x0,bos=1/1,label=3/0xfffff,tc=7/4,ttl=0/0x0,bos=0/0)', 'mpls(label=100/0xff,tc=0/0,ttl=0/0x0,bos=0/1,label=16/0xfffff,tc=0/0,ttl=0/0x0,bos=1/1,label=3/0xfffff,tc=7/4,ttl=0/0x0,bos=0/0)'],
  ['mpls(ttl=1,label=2)', 'mpls(label=2/0xfffff,tc=0/0,ttl=1/0xff,bos=0/0)', 'mpls(label=2/0xfffff,tc=0/0,ttl=1/0xff,bos=0/0)'],
  ['mpls(label=1,tc=2,ttl=3,bos=0,label=4,tc=5,ttl=6,bos=1)', 'mpls(label=1,tc=2,ttl=3,bos=0,label=4,tc=5,ttl=6,bos=1)', 'mpls(label=1,tc=2,ttl=3,bos=0,label=4,tc=5,ttl=6,bos=1)'],
  ['mpls(label=5/0,tc=0/0)', '', 'mpls(label=5/0x0,tc=0/0,ttl=0/0x0,bos=0/0)'],
]

t.test('tunnels and label stacks are read and printed as OVS 3.1 does', async (t) => {
  for (const [text, plain, verbose] of facts) {
    const { key, mask } = parseKey(text)
    t.equal(formatKey(key, mask), plain, `${text}, plain`)
    t.equal(formatKey(key, mask, { verbose: true }), verbose, `${text}, verbose`)
  }
})

const base = { flags: 0, ttl: 63, mdtype: 1, np: 3, spi: 0x123, si: 255 }
const md1 = { c1: 1, c2: 2, c3: 3, c4: 0xffffffff }
const none = { c1: 0, c2: 0, c3: 0, c4: 0 }

t.test('a network service header is printed as OVS 3.1 does, which cannot read it', async (t) => {
  const key: FlowKey = { nsh: { base, md1 } }
  const mask: FlowKey = {
    nsh: {
      base: { flags: 0xff, ttl: 0, mdtype: 0xff, np: 3, spi: 0xffffff, si: 0xf },
      md1: { c1: 0xffffffff, c2: 0xff, c3: 0, c4: 0xffffffff },
    },
  }
  const text =
    'nsh(flags=0,mdtype=1,np=0x03/0x03,spi=0x123,si=0xff/0x0f,c1=0x1,c2=0x2/0x000000ff,c4=0xffffffff)'
  t.equal(formatKey(key, mask), text)
  t.equal(formatKey(key, mask, { verbose: true }), text, 'verbose or not')
  t.equal(
    formatKey(key),
    'nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x123,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0xffffffff)',
  )
  t.same(parseKey(text), {
    key: { nsh: { base: { ...base, ttl: 0 }, md1: { ...md1, c3: 0 } } },
    mask,
  })
  t.equal(formatKey(key, {}), 'nsh()', 'shown even when it does not count')
})

t.test('a context that is not there is printed as zeros and read as nothing', async (t) => {
  const key: FlowKey = { nsh: { base: { ...base, mdtype: 2 } } }
  const mask: FlowKey = {
    nsh: { base: { flags: 0, ttl: 0, mdtype: 0xff, np: 0, spi: 0xff00, si: 0xff }, md1: none },
  }
  const text = 'nsh(mdtype=2,spi=0x123/0x0000ff00,si=255,c1=0x0,c2=0x0,c3=0x0,c4=0x0)'
  t.equal(formatKey(key, mask), text)
  const parsed = parseKey(text)
  t.equal(parsed.key.nsh?.md1, undefined)
  t.same(parsed.mask, mask)
  t.equal(parseKey('nsh(c1=5)').key.nsh?.base?.mdtype, 1, 'a context that is says which type it is')
})

t.test('a tunnel gets the TTL that the kernel insists on', async (t) => {
  const { key, mask } = parseKey('tunnel(tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,flags(+key))')
  t.same(key.tunnel, { id: 7n, src: '10.0.0.1', dst: '10.0.0.2', ttl: 0 })
  t.same(mask.tunnel, { id: 0xffff_ffff_ffff_ffffn, src: '255.255.255.255', dst: '255.255.255.255' })
})

t.test('flags count by being there, in all three spellings', async (t) => {
  for (const [flags, key, mask] of [
    ['+df-csum', { df: true }, { df: true, csum: true }],
    ['0x2/0x6', { df: true }, { df: true, csum: true }],
    ['df|oam', { df: true, oam: true }, { df: true, csum: true, oam: true }],
    ['0', {}, { df: true, csum: true, oam: true }],
  ] as const) {
    const parsed = parseKey(`tunnel(ttl=1,flags(${flags}))`)
    t.same(parsed.key.tunnel, { ttl: 1, ...key }, flags)
    t.same(parsed.mask.tunnel, { ttl: 0xff, ...mask }, flags)
  }
})

t.test('what OVS prints and cannot read is read', async (t) => {
  const port = parseKey('ct_tuple6(src_port=1,dst_port=2)')
  t.same(port, parseKey('ct_tuple6(tp_src=1,tp_dst=2)'))
  t.match(port.key, { ctTuple6: { tpSrc: 1, tpDst: 2 } })
  for (const text of ['ct_zone()', 'ct_mark()']) {
    t.match(Object.values(parseKey(text).key), [0], `${text} has no value`)
    t.match(Object.values(parseKey(text).mask), [0], `${text} does not count`)
  }
  t.same(parseKey('tunnel(vxlan(),ttl=1)').key.tunnel, { vxlan: {}, ttl: 1 })
  t.same(
    parseKey('tunnel(geneve({0xa0b/0xffff}),ttl=1)').mask.tunnel?.geneve,
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0xff, 0xff),
    'an option whose length does not count',
  )
  t.same(parseKey('tunnel(erspan(idx=0x7/0xff),ttl=1)').key.tunnel?.erspan?.[0], 1)
})

t.test('attributes of a tunnel without a row are bytes', async (t) => {
  const tunnel = { ttl: 1, unknown: [{ id: 17, data: Uint8Array.of(1, 2) }] }
  t.equal(formatKey({ tunnel }), 'tunnel(ttl=1,key17(01 02),flags(0))')
  t.same(parseKey('tunnel(ttl=1,key17(01 02))').key, { tunnel })
  t.equal(formatKey({ tunnel }, { tunnel: {} }), 'tunnel(key17(01 02/00 00))')
  t.same(parseKey('tunnel(key4(07))').key, { tunnel: { ttl: 7 } }, 'and bytes of a known one are known')
  t.same(parseKey('tunnel(key16())').key, { tunnel: { ipv4InfoBridge: true } })
  t.same(parseKey('tunnel(ttl=1,gtpu(flags=0x30,msgtype=255))').key.tunnel?.unknown, [
    { id: 16, data: Uint8Array.of(0x30, 0xff) },
  ])
})

t.test('what is wrong with GENEVE options is said where they are', async (t) => {
  const text = (geneve: Uint8Array, mask?: Uint8Array) =>
    formatKey({ tunnel: { geneve } }, mask && { tunnel: { geneve: mask } })
  t.equal(text(Uint8Array.of(1, 2, 3)), 'tunnel(geneve(opt len 3 less than minimum 4),flags(0))')
  t.equal(
    text(Uint8Array.of(1, 2, 3, 0, 1, 2, 3, 1)),
    'tunnel(geneve({class=0x102,type=0x3,len=0}opt len 8 greater than remaining 4),flags(0))',
  )
  t.equal(text(new Uint8Array(4), new Uint8Array(8)), 'tunnel(geneve(value len 4 different from mask len 8))')
})

t.test('a stack whose mask is shorter, or empty as the kernel writes it', async (t) => {
  const entry = { label: 1, tc: 2, ttl: 3, bos: 0 }
  const ones = { label: 0xfffff, tc: 7, ttl: 0xff, bos: 1 }
  const key: FlowKey = { mpls: [entry, entry] }
  t.equal(formatKey(key, { mpls: [] }), '', 'not shown')
  t.equal(
    formatKey(key, { mpls: [] }, { verbose: true }),
    'mpls(label=1,tc=2,ttl=3,bos=0,label=1,tc=2,ttl=3,bos=0)',
    'or, as OVS does it, as if it counted',
  )
  t.equal(
    formatKey(key, { mpls: [{ ...ones, tc: 0 }] }),
    'mpls(label=1/0xfffff,tc=2/0,ttl=3/0xff,bos=0/1,label=1/0x0,tc=2/0,ttl=3/0x0,bos=0/0)',
  )
  t.same(encode(parseKey('mpls()').key), encode({ mpls: [{}] }))
})

t.test('wrong text is an error with its position, and no number is cut off', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['tunnel(tun_id=0x10000000000000000)', "0x10000000000000000 is more than 18446744073709551615 at position 15, before '0x10000000000000000)'"],
    ['tunnel(ttl=256)', "256 is more than 255 at position 12, before '256)'"],
    ['tunnel(ttl=1;)', "',' or ')' expected at position 13, before ';)'"],
    ['tunnel(vni=1)', "'tun_id=' 'src=' 'dst=' 'ipv6_src=' 'ipv6_dst=' 'tos=' 'ttl=' 'tp_src=' 'tp_dst=' 'flags(' 'vxlan(' 'geneve(' 'erspan(' 'gtpu(' or ')' expected at position 8, before 'vni=1)'"],
    ['tunnel(stt())', "'tun_id=' 'src=' 'dst=' 'ipv6_src=' 'ipv6_dst=' 'tos=' 'ttl=' 'tp_src=' 'tp_dst=' 'flags(' 'vxlan(' 'geneve(' 'erspan(' 'gtpu(' or ')' expected at position 8, before 'stt())'"],
    ['tunnel(flags(+dont))', "one of the flags oam df csum key expected at position 15, before 'dont))'"],
    ['tunnel(flags(0x10))', "0x10 is more than 15 at position 14, before '0x10))'"],
    ['tunnel(vxlan(gbp(id=65536)))', "65536 is more than 65535 at position 21, before '65536)))'"],
    ['tunnel(vxlan(gpe()))', "'gbp(' or ')' expected at position 14, before 'gpe()))'"],
    ['tunnel(geneve({len=3}))', "the length of an option is a multiple of 4, up to 124 at position 16, before 'len=3}))'"],
    ['tunnel(geneve({len=128}))', "the length of an option is a multiple of 4, up to 124 at position 16, before 'len=128}))'"],
    ['tunnel(geneve({len=4,0x100000000}))', "more than 32 bits at position 22, before '0x100000000}))'"],
    ['tunnel(geneve({class=0x10000}))', "0x10000 is more than 65535 at position 22, before '0x10000}))'"],
    ['tunnel(geneve({len=4,0x1,0x2}))', "'}' expected at position 26, before '0x2}))'"],
    ['tunnel(geneve({class=1', "',' or '}' expected at the end"],
    ['tunnel(erspan(ver=1,idx=0x100000000))', "0x100000000 is more than 4294967295 at position 25, before '0x100000000))'"],
    ['tunnel(erspan(ver=2,dir=2))', "2 is more than 1 at position 25, before '2))'"],
    ['tunnel(key4(0102))', "2 bytes where 1 belong at position 13, before '0102))'"],
    ['tunnel(key16384())', "attribute 16384 is more than 16383 at position 8, before 'key16384())'"],
    ['mpls(label=0x100000)', "0x100000 is more than 1048575 at position 12, before '0x100000)'"],
    ['mpls(tc=8)', "8 is more than 7 at position 9, before '8)'"],
    ['mpls(tc=1,tc=1,tc=1,tc=1)', "more than 3 labels at position 21, before 'tc=1)'"],
    ['mpls(exp=1)', "'label=' 'tc=' 'ttl=' 'bos=' or ')' expected at position 6, before 'exp=1)'"],
    ['nsh(spi=0x1000000)', "0x1000000 is more than 16777215 at position 9, before '0x1000000)'"],
    ['nsh(c5=1)', "'flags=' 'ttl=' 'mdtype=' 'np=' 'spi=' 'si=' 'c1=' 'c2=' 'c3=' 'c4=' or ')' expected at position 5, before 'c5=1)'"],
    ['ct_tuple4(tp_src=65536)', "65536 is more than 65535 at position 18, before '65536)'"],
    ['ct_tuple6(port=1)', "'src=' 'dst=' 'proto=' 'src_port=' 'dst_port=' or ')' expected at position 11, before 'port=1)'"],
    ['nd(target=1.2.3.4)', "an IPv6 address expected at position 11, before '1.2.3.4)'"],
    ['packet_type(id=0x10000)', "0x10000 is more than 65535 at position 16, before '0x10000)'"],
  ]
  for (const [text, problem] of wrong) t.throws(() => parseKey(text), new DpifError('SYNTAX', problem), text)
})
