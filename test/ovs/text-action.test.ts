import t from 'tap'
import type { Action } from '../../types/action.js'
import { DpifError } from '../../lib/errors.js'
import { Writer } from '../../lib/netlink/writer.js'
import { actionList } from '../../lib/ovs/action.js'
import { flowKey } from '../../lib/ovs/key.js'
import { formatActions, parseActions } from '../../lib/ovs/text.js'

// What `ovs-dpctl parse-actions TEXT` of Open vSwitch 3.1.0 prints.
// biome-ignore format: one fact per line
const facts: readonly (readonly [text: string, printed: string])[] = [
  ['1', '1'],
  ['0x10', '16'],
  ['1, 2\t3,', '1,2,3'],
  ['drop', 'drop'],
  ['DROP', 'drop'],
  ['pop_vlan', 'pop_vlan'],
  ['push_vlan(vid=7,pcp=0)', 'push_vlan(vid=7,pcp=0)'],
  ['push_vlan(vid=0x7,pcp=07,cfi=0)', 'push_vlan(vid=7,pcp=7,cfi=0)'],
  ['push_vlan(tpid=0x88a8,vid=4095,pcp=7)', 'push_vlan(tpid=0x88a8,vid=4095,pcp=7)'],
  ['push_vlan(tpid=0x8100,vid=1,pcp=2,cfi=1)', 'push_vlan(vid=1,pcp=2)'],
  ['set(ipv4(ttl=63))', 'set(ipv4(ttl=63))'],
  ['set(ipv4(src=1.2.3.4,dst=1.2.3.5,proto=6,tos=0,ttl=64,frag=no))', 'set(ipv4(src=1.2.3.4,dst=1.2.3.5,proto=6,tos=0,ttl=64,frag=no))'],
  ['set(eth(src=00:01:02:03:04:05))', 'set(eth(src=00:01:02:03:04:05))'],
  ['set(eth(dst=00:01:02:03:04:05/ff:ff:ff:00:00:00))', 'set(eth(dst=00:01:02:03:04:05/ff:ff:ff:00:00:00))'],
  ['set(eth())', 'set(eth())'],
  ['set(tcp(dst=80))', 'set(tcp(dst=80))'],
  ['set(udp(src=1,dst=2))', 'set(udp(src=1,dst=2))'],
  ['set(skb_mark(0x1/0xff))', 'set(skb_mark(0x1/0xff))'],
  ['set(skb_mark(7))', 'set(skb_mark(0x7))'],
  ['set(ipv6(label=0x12345/0xff000))', 'set(ipv6(label=0x12345/0xff000))'],
  ['set(arp(op=2))', 'set(arp(op=2))'],
  ['set(ct_mark(1/0xff))', 'set(ct_mark(0x1/0xff))'],
  ['set(ct_label(0x1/0xff))', 'set(ct_label(0x1/0xff))'],
  ['set(mpls(label=1/0x3,tc=1,ttl=1,bos=1))', 'set(mpls(label=1/0x3,tc=1/7,ttl=1/0xff,bos=1/1))'],
  ['set(tunnel(tun_id=0x1,dst=1.1.1.1,ttl=64,flags(df|key)))', 'set(tunnel(tun_id=0x1,dst=1.1.1.1,ttl=64,flags(df|key)))'],
  ['recirc(5)', 'recirc(0x5)'],
  ['recirc(010)', 'recirc(0xa)'],
  ['recirc( +0)', 'recirc(0)'],
  ['trunc(010)', 'trunc(8)'],
  ['meter(0x10)', 'meter(16)'],
  ['ct_clear,pop_nsh(),pop_vlan', 'ct_clear,pop_nsh(),pop_vlan'],
]

t.test('actions are read and printed as OVS 3.1 does', async (t) => {
  for (const [text, printed] of facts) t.equal(formatActions(parseActions(text)), printed, text)
})

t.test('no actions, and a drop alone, are drop', async (t) => {
  t.equal(formatActions([]), 'drop')
  t.equal(formatActions([{ drop: 3 }]), 'drop')
  t.same(parseActions('drop'), [], 'which every kernel understands, while the drop action needs a new one')
  t.same(parseActions(' drop,'), [])
  t.same(parseActions(''), [])
  t.same(parseActions('1,drop'), [{ output: 1 }, { drop: 0 }])
})

t.test('every sample of every action goes to text and back', async (t) => {
  let count = 0
  for (const list of actionList.samples) {
    const text = formatActions(list)
    // Half of an action, nothing of a mark, and more than a network service header holds: no kernel would take them either.
    if (/\(error\)|=0\/0\)/.test(text) || (list[0]?.pushNsh?.base?.flags ?? 0) > 3) continue
    t.equal(formatActions(parseActions(text)), text)
    count++
  }
  t.ok(count > 80, `${count} samples`)
})

t.test('a whole header is set, a part of one is set with a mask', async (t) => {
  const only = (text: string) => Object.keys(parseActions(text)[0] ?? {})[0]
  // In OVS the last two are masked, which no kernel accepts once it has looked at protocol and padding.
  // biome-ignore format: one fact per line
  const sets = [
    'set(skb_mark(7))', 'set(tcp(src=1,dst=2))', 'set(eth(src=00:01:02:03:04:05,dst=00:01:02:03:04:06))',
    'set(ipv4(src=1.2.3.4,dst=1.2.3.5,proto=6,tos=0,ttl=64,frag=no))',
    'set(ipv6(src=::1,dst=::2,label=0,proto=6,tclass=0,hlimit=64,frag=no))',
    'set(arp(sip=1.2.3.4,tip=1.2.3.5,op=1,sha=00:01:02:03:04:05,tha=00:01:02:03:04:06))',
  ]
  for (const text of sets) t.equal(only(text), 'set', text)
  for (const text of ['set(ipv4(ttl=63))', 'set(skb_mark(1/1))', 'set(tcp(dst=80))', 'set(eth())']) {
    t.equal(only(text), 'setMasked', text)
  }
  t.same(parseActions('set(tcp(dst=80))'), [
    { setMasked: { key: { tcp: { src: 0, dst: 80 } }, mask: { tcp: { src: 0, dst: 0xffff } } } },
  ])
})

t.test('a tunnel is set as a whole, whatever the text says about flags', async (t) => {
  const tunnel = { id: 1n, dst: '1.1.1.1', ttl: 64 }
  t.same(parseActions('set(tunnel(tun_id=1,dst=1.1.1.1,ttl=64))'), [{ set: { tunnel } }])
  t.same(parseActions('set(tunnel(tun_id=1,dst=1.1.1.1,ttl=64,flags(+key)))'), [{ set: { tunnel } }])
  t.same(parseActions('set(tunnel(tun_id=1,dst=1.1.1.1,ttl=64,flags(+df-csum+key)))'), [
    { set: { tunnel: { ...tunnel, df: true } } },
  ])
})

t.test('every header can be set, whole and in part', async (t) => {
  for (const { name, codec } of flowKey.rows.filter(({ codec }) => 'fields' in codec && codec.size !== 2)) {
    const key = { [name]: codec.samples[1] }
    const list: Action[] = [{ set: key }]
    if (name !== 'ipv6') t.same(encode(parseActions(formatActions(list))), encode(list), formatActions(list))
    const masked: Action[] = [{ setMasked: { key, mask: { [name]: {} } } }]
    t.equal(formatActions(masked), formatActions(parseActions(formatActions(masked))))
  }
})

t.test('what has no row is bytes', async (t) => {
  const list: Action[] = [{ unknown: [{ id: 99, data: Uint8Array.of(0, 0xab) }] }]
  t.equal(formatActions(list), 'action99(00 ab)')
  t.same(parseActions('action99(00 ab)'), list)
  t.same(parseActions('action99,1'), [{ unknown: [{ id: 99, data: new Uint8Array(0) }] }, { output: 1 }])
})

t.test('ports may be named', async (t) => {
  const ports: Record<string, number> = { veth0: 2, pop_vlan: 3, '1eth': 4 }
  const options = { portNumber: (name: string) => ports[name] }
  t.same(
    parseActions('veth0,pop_vlan,1eth,7', options),
    [2, 3, 4, 7].map((output) => ({ output })),
  )
  t.same(parseActions('pop_vlan'), [{ popVlan: true }])
  t.equal(
    formatActions([{ output: 2 }, { output: 9 }], { portName: (port) => (port === 2 ? 'veth0' : undefined) }),
    'veth0,9',
  )
})

t.test('wrong text is an error with its position', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['veth0', "an action like 2, pop_vlan or set(…) expected at position 1, before 'veth0'"],
    ['1,zork(commit)', "an action like 2, pop_vlan or set(…) expected at position 3, before 'zork(commit)'"],
    ['lb_output(1)', "an action of the kernel expected; lb_output is known to OVS's userspace datapath only, at position 1, before 'lb_output(1)'"],
    ['1,tnl_pop(4)', "an action of the kernel expected; tnl_pop is known to OVS's userspace datapath only, at position 3, before 'tnl_pop(4)'"],
    ['clone(1,tnl_push(4))', "an action of the kernel expected; tnl_push is known to OVS's userspace datapath only, at position 9, before 'tnl_push(4))'"],
    ['set(tunnel(tun_id=1/2,ttl=64))', "a tunnel without masks, which is set as a whole, expected at position 5, before 'tunnel(tun_id=1/2,ttl=64))'"],
    ['recirc(4294967296)', "4294967296 is more than 4294967295 at position 8, before '4294967296)'"],
    ['meter(-1)', "a number expected at position 7, before '-1)'"],
    ['trunc(1', "')' expected at the end"],
    ['4294967296', "4294967296 is more than 4294967295 at position 1, before '4294967296'"],
    ['1pop_vlan', "',' expected at position 2, before 'pop_vlan'"],
    ['pop_vlan(', "',' expected at position 9, before '('"],
    ['push_vlan(vid=4096,pcp=0)', "4096 is more than 4095 at position 15, before '4096,pcp=0)'"],
    ['push_vlan(pcp=0,vid=7)', "'vid=' expected at position 11, before 'pcp=0,vid=7)'"],
    ['push_vlan(vid=7)', "',pcp=' expected at position 16, before ')'"],
    ['set(tcp(dst=65536))', "65536 is more than 65535 at position 13, before '65536))'"],
    ['set(tcp(dst=1)', "')' expected at the end"],
    ['set(tcp(dst=1),udp(dst=1))', "')' expected at position 15, before ',udp(dst=1))'"],
    ['set(foo(1))', "no field is called 'foo' at position 5, before 'foo(1))'"],
    ['set()', "a field like in_port(1) expected at position 5, before ')'"],
    ['action99(0)', "')' expected at position 10, before '0)'"],
  ]
  for (const [text, problem] of wrong)
    t.throws(() => parseActions(text), new DpifError('SYNTAX', problem), text)
})

function encode(actions: readonly Action[]): string {
  const writer = new Writer()
  actionList.write(writer, actions)
  return Buffer.from(writer.take()).toString('hex')
}
