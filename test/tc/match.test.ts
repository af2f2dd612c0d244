import t from 'tap'
import { AttributeIndex } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'
import { etherTypes, matchRows, readMatch, writeMatch } from '../../lib/tc/match.js'
import { matchObjections } from '../../lib/tc/objections.js'
import { parseKey } from '../../lib/ovs/text.js'
import type { FlowKey } from '../../types/flow.js'

const roundTrip = (key: FlowKey, mask: FlowKey) => {
  const writer = new Writer()
  writeMatch(writer, key, mask)
  return readMatch(key.etherType ?? 0, new AttributeIndex(writer.bytes, 0, writer.length))
}

/** A flow that matches one row's field under one mask, with all that has to stand around it. */
function flowOf(
  row: (typeof matchRows)[number],
  value: unknown,
  bits: unknown,
): { key: FlowKey; mask: FlowKey } {
  const etherType = row.etherType ?? etherTypes.IPV4
  const l3 = { [etherTypes.IPV4]: 'ipv4', [etherTypes.IPV6]: 'ipv6', [etherTypes.ARP]: 'arp' }[
    etherType
  ] as 'ipv4'
  const proto = row.proto ?? 17
  const around = etherType === etherTypes.ARP ? { op: 1 } : { proto, frag: 0 }
  const aroundMask = etherType === etherTypes.ARP ? { op: 0xffff } : { proto: 0xff, frag: 0xff }
  const put = (base: FlowKey, field: unknown): FlowKey => {
    if (row.part === undefined) return { ...base, [row.attribute]: field }
    return { ...base, [row.attribute]: { ...(base[row.attribute] as object | undefined), [row.part]: field } }
  }
  const base = { inPort: 1, ethernet: {}, etherType }
  const exact = { inPort: 0xffffffff, etherType: 0xffff }
  return { key: put({ ...base, [l3]: around }, value), mask: put({ ...exact, [l3]: aroundMask }, bits) }
}

t.test('every field flower can match survives the way there and back, whole or in part', async (t) => {
  for (const row of matchRows) {
    // Only together with an address, and numbers with bounds: match-torture.test.ts.
    if (row.attribute === 'tunnel') continue
    const name = `${row.attribute}.${row.part ?? ''}`
    const masks = row.maskId === undefined ? [row.codec.ones] : [row.codec.ones, row.codec.samples[1]]
    for (const bits of masks) {
      const value = row.part === 'op' ? 2 : row.part === 'proto' ? 17 : row.codec.samples[1]
      const { key, mask } = flowOf(row, value, row.part === 'op' ? 0xffff : bits)
      t.same(matchObjections(key, mask), [], `nothing stands against ${name}`)
      const read = roundTrip(key, mask)
      const get = (flow: FlowKey) => {
        const whole = (flow as Record<string, unknown>)[row.attribute]
        return row.part === undefined ? whole : (whole as Record<string, unknown>)[row.part]
      }
      t.same(get(read.key), value, `${name} ${value}`)
      t.same(get(read.mask), row.part === 'op' ? 0xffff : bits, `${name} under ${bits}`)
    }
  }
})

t.test('bits that do not count are read as zero, as openvswitch has them', async (t) => {
  const text =
    'eth(src=00:01:02:03:04:05/00:00:00:00:ff:ff),eth_type(0x0800),ipv4(dst=10.1.2.3/255.0.0.0,proto=6,tos=0xf4/0x1,frag=no)'
  const { key, mask } = parseKey(`in_port(1),ct_mark(0xff/0xf),${text},tcp(dst=1023/0xff)`)
  const read = roundTrip(key, mask)
  t.equal(read.key.ethernet?.src, '00:00:00:00:04:05')
  t.match(read.key.ipv4, { dst: '10.0.0.0', tos: 0 })
  t.match(read.key, { tcp: { dst: 0xff }, ctMark: 0xf })
  t.match(read.mask, { ipv4: { dst: '255.0.0.0', tos: 1 }, tcp: { dst: 0xff }, ctMark: 0xf })
})

t.test('a later fragment is read without a transport header, which openvswitch would refuse', async (t) => {
  for (const frag of ['first', 'later']) {
    const { key, mask } = parseKey(`in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=${frag})`)
    t.equal('tcp' in roundTrip(key, mask).key, frag === 'first', frag)
  }
})

t.test(
  'headers that openvswitch wants in a key are read, also where nothing in them is matched',
  async (t) => {
    for (const [text, ...names] of [
      ['eth_type(0x8035)', 'arp'],
      ['eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6(type=135)', 'icmpv6', 'nd'],
      ['eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6(type=136)', 'icmpv6', 'nd'],
    ] as const) {
      const { key, mask } = parseKey(`in_port(1),eth(),${text}`)
      const read = roundTrip(key, mask)
      for (const name of names) t.ok(name in read.key && name in read.mask, `${name} of ${text}`)
    }
    const { key, mask } = parseKey(
      'in_port(1),eth(),eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6(type=135/0x7f)',
    )
    t.notOk('nd' in roundTrip(key, mask).key)
  },
)

t.test('tags survive the way there and back', async (t) => {
  for (const text of [
    'eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x0800),ipv4(dst=10.0.0.1))',
    'eth_type(0x8100),vlan(vid=0/0x0,pcp=3),encap(eth_type(0x86dd),ipv6(dst=fe80::/16))',
    'eth_type(0x88a8),vlan(vid=7,pcp=3),encap(eth_type(0x8100),vlan(vid=9,pcp=0/0x0),encap(eth_type(0x0806),arp(op=1)))',
  ]) {
    const { key, mask } = parseKey(`in_port(1),eth(),${text}`)
    t.same(matchObjections(key, mask), [], text)
    const read = roundTrip(key, mask)
    t.match(
      read.key,
      { etherType: key.etherType, vlan: key.vlan, encap: { etherType: key.encap?.etherType } },
      text,
    )
    t.match(read.mask, { etherType: 0xffff, vlan: mask.vlan, encap: { etherType: 0xffff } }, text)
  }
})

// What flower would match wider or narrower than asked, and the path a person is told.
const refused: Record<string, string> = {
  'eth(),eth_type(0x0800),ipv4()': 'inPort',
  'in_port(1/0xff),eth(),eth_type(0x0800/0xff00),ipv4()': 'etherType',
  'in_port(1),eth_type(0x0800),ipv4()': 'ethernet',
  'in_port(1),recirc_id(5),eth(),eth_type(0x0800),ipv4()': 'recircId',
  'in_port(1),skb_mark(1),eth(),eth_type(0x0800),ipv4()': 'skbMark',
  'in_port(1),skb_priority(1),eth(),eth_type(0x0800),ipv4()': 'skbPriority',
  'in_port(1),dp_hash(1/0xf),eth(),eth_type(0x0800),ipv4()': 'dpHash',
  'in_port(1),ct_state(+est),eth(),eth_type(0x0800),ipv4()': 'ctState',
  'in_port(1),ct_state(+trk+snat),eth(),eth_type(0x0800),ipv4()': 'ctState',
  'in_port(1),ct_state(+trk+inv+est),eth(),eth_type(0x0800),ipv4()': 'ctState',
  'in_port(1),eth(),eth_type(0x0800),ipv4(proto=16/0xf0)': 'ipv4.proto',
  'in_port(1),eth(),eth_type(0x0800),ipv4(proto=17),udp(dst=53)': 'ipv4.frag',
  'in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=first),udp(dst=53)': 'ipv4.frag',
  'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no),udp(dst=53)': 'udp.dst',
  'in_port(1),eth(),eth_type(0x86dd),ipv6(label=7)': 'ipv6.label',
  'in_port(1),eth(),eth_type(0x86dd),ipv6(frag=later)': 'ipv6.frag',
  'in_port(1),eth(),eth_type(0x0806),arp(sip=1.2.3.4)': 'arp.op',
  'in_port(1),eth(),eth_type(0x0806),arp(op=3)': 'arp.op',
  'in_port(1),eth(),eth_type(0x8035),arp(op=1)': 'arp.op',
  'in_port(1),eth(),eth_type(0x8100),vlan(vid=1/0xff,pcp=0/0x0),encap(eth_type(0x0800),ipv4())': 'vlan.vid',
  'in_port(1),eth(),eth_type(0x8100),vlan(vid=1,pcp=1/0x1),encap(eth_type(0x0800),ipv4())': 'vlan.pcp',
  'in_port(1),eth(),eth_type(0x8100),vlan(vid=0,pcp=0,cfi=0),encap()': 'vlan.cfi',
}

t.test('what flower cannot match exactly is refused, with the path of the field', async (t) => {
  for (const [text, path] of Object.entries(refused)) {
    const { key, mask } = parseKey(text)
    const found = matchObjections(key, mask)
    t.ok(
      found.some((objection) => objection.path === path),
      `${text} is refused for ${path}: ${JSON.stringify(found)}`,
    )
  }
})

t.test('that a packet came through no tunnel is nothing flower can match', async (t) => {
  const key: FlowKey = { inPort: 1, ethernet: {}, etherType: 0x88b5 }
  const mask: FlowKey = { inPort: 0xffffffff, etherType: 0xffff }
  // The kernel writes an empty tunnel into every mask it reports (__ovs_nla_put_key(), Linux 6.1).
  t.same(matchObjections(key, { ...mask, tunnel: { ttl: 0 } }), [])
  for (const tunnel of [{ src: '255.0.0.0' }, { id: 1n }, { ttl: 255 }, { df: true }] as const) {
    const found = matchObjections(key, { ...mask, tunnel })
    t.match(found, [{ code: 'UNSUPPORTED_MATCH', path: 'tunnel', reason: 'NO_FLOWER_KEY' }])
    t.equal(found.length, 1)
  }
})
