import t, { type Test } from 'tap'
import {
  createDatapath,
  type FlowSpec,
  formatActions,
  formatKey,
  openDpif,
  type OpResult,
  parseActions,
  parseKey,
  preferTc,
  tcOnly,
} from '../lib/index.js'
import { HEADER_SIZE } from '../lib/netlink/message.js'
import { Writer } from '../lib/netlink/writer.js'
import { flowKey } from '../lib/ovs/key.js'
import { features } from '../lib/tc/features.js'
import { prioAndProtocol, tcMessage, types } from '../lib/tc/message.js'
import { SimulatedKernel, type SimulatedKernelOptions } from '../lib/testing/index.js'
import type { FlowKey, Ufid } from '../types/flow.js'

// What others get wrong, through the front door: rows of the list of weak points in the reference, each by its number and its subject.
// Those about the translation of actions are in backend/tc/weaknesses.test.ts.

async function setUp(t: Test, options?: SimulatedKernelOptions, policy = preferTc()) {
  const transport = new SimulatedKernel(options)
  for (const name of ['eth0', 'eth1']) transport.addDevice(name)
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', policy, transport })
  t.teardown(() => dpif.close())
  for (const name of ['eth0', 'eth1']) await dpif.addPort(name)
  const dumped = async () => {
    const flows = []
    for await (const flow of dpif.dump())
      flows.push({ backend: flow.backend, text: formatKey(flow.key, flow.mask) })
    return flows
  }
  return { transport, dpif, dumped }
}

const ENOSPC = 28
const EBUSY = 16

/** Where a flow went, and what kept it from TC. */
const fate = ({ backend, error, declined = [] }: OpResult) =>
  error?.code ?? [backend, ...declined.map(({ path, reason }) => `${path} ${reason}`)].join(', ')

const flow = (match: string): FlowSpec => ({ key: `recirc_id(0),in_port(1),eth(),${match}`, actions: '2' })

const named = (match: string): FlowSpec & { readonly ufid: Ufid } => ({
  ...flow(match),
  ufid: '00000001-0000-4000-8000-000000000001',
})

t.test('3: the source port of a tunnel is read back as what it is', async (t) => {
  const { dpif, dumped } = await setUp(t)
  const tunnel = 'tunnel(tun_id=5,dst=10.0.0.1,tp_src=4789,flags(+key))'
  t.equal((await dpif.put(flow(`eth_type(0x0800),${tunnel},ipv4(frag=no)`))).backend, 'tc')
  const [kept] = await dumped()
  t.match(kept?.text, /tp_src=4789/)
  t.notMatch(kept?.text, /tp_dst/)
})

t.test('4: a flow is replaced where it is, and stays when that fails', async (t) => {
  const { transport, dpif } = await setUp(t, {}, tcOnly())
  const spec = named('eth_type(0x0800),ipv4(frag=no)')
  t.equal((await dpif.put(spec)).backend, 'tc')
  const sent: number[] = []
  let fails = false
  transport.fault(({ protocol, type }) => {
    if (protocol === 'route') sent.push(type)
    return fails && type === types.NEWTFILTER ? ENOSPC : undefined
  })
  t.equal(fate(await dpif.put({ ...spec, actions: '1' }, { mode: 'modify' })), 'tc')
  t.notOk(sent.includes(types.DELTFILTER), 'nothing was deleted for it')
  fails = true
  t.equal(fate(await dpif.put({ ...spec, actions: '2' }, { mode: 'modify' })), 'NO_SPACE')
  for await (const { ufid, actions } of dpif.dump())
    t.same([ufid, formatActions(actions)], [spec.ufid, '1'], 'as it was')
})

t.test('5: when the old filter cannot be deleted, there are no two of one ufid', async (t) => {
  const { transport, dpif } = await setUp(t, {}, tcOnly())
  const spec = named('eth_type(0x0800),ipv4(frag=no)')
  t.equal((await dpif.put(spec)).backend, 'tc')
  let refused = 0
  transport.fault(({ type }) => (type === types.DELTFILTER && refused++ === 0 ? EBUSY : undefined))
  const changed = await dpif.put({ ...spec, ...flow('eth_type(0x0806),arp()') }, { mode: 'modify' })
  t.equal(refused, 2, 'the new one was taken back')
  t.equal(changed.error?.code, 'BUSY')
  const etherTypes = async () => {
    const found = []
    for await (const { key } of dpif.dump()) found.push(key.etherType)
    return found
  }
  t.same(await etherTypes(), [0x0800], 'as it was')
  t.equal((await dpif.del(spec)).error, undefined)
  t.same(await etherTypes(), [])
})

t.test('5: when neither of them can be deleted, the error says that both match', async (t) => {
  const { transport, dpif } = await setUp(t, {}, tcOnly())
  const spec = named('eth_type(0x0800),ipv4(frag=no)')
  t.equal((await dpif.put(spec)).backend, 'tc')
  transport.fault(({ type }) => (type === types.DELTFILTER ? EBUSY : undefined))
  const { error } = await dpif.put({ ...spec, ...flow('eth_type(0x0806),arp()') }, { mode: 'modify' })
  t.match(error, { code: 'BUSY', message: /the new filter could not be taken back.*both match/ })
})

t.test('6: masks cost no priorities, so there is no end to them', async (t) => {
  const { transport, dpif } = await setUp(t)
  const priorities = new Set<number>()
  transport.fault(({ type, bytes }) => {
    if (type === types.NEWTFILTER)
      priorities.add(prioAndProtocol(tcMessage.header.take(bytes, HEADER_SIZE).info ?? 0).prio)
    return undefined
  })
  const puts = Array.from({ length: 1000 }, (_, n) => {
    const bits = `${(n + 1) >> 8}.${(n + 1) & 0xff}`
    return {
      op: 'put' as const,
      ...flow(`eth_type(0x0800),ipv4(src=10.1.${bits},dst=0.0.${bits}/0.0.${bits},frag=no)`),
    }
  })
  t.same(new Set((await dpif.operate(puts)).map(fate)), new Set(['tc']))
  t.equal(priorities.size, 1)
})

t.test('9: IP protocol 0 is matched', async (t) => {
  const { dpif, dumped } = await setUp(t)
  t.equal((await dpif.put(flow('eth_type(0x0800),ipv4(proto=0,frag=no)'))).backend, 'tc')
  t.match(await dumped(), [{ backend: 'tc', text: /proto=0[,)]/ }])
})

t.test('10: a mask TC cannot hold is refused, and kept as it is in openvswitch', async (t) => {
  const { dpif, dumped } = await setUp(t)
  const partial: readonly (readonly [match: string, objection: string])[] = [
    ['eth_type(0x0800),ipv4(proto=6/0x0f,frag=no),tcp(),tcp_flags(0/0)', 'ipv4.proto PARTIAL_MASK'],
    ['eth_type(0x0800/0),ipv4()', 'etherType NEEDS_EXACT'],
    ['eth_type(0x8847),mpls(label=5/0xf,tc=0/0,ttl=0/0,bos=1)', 'mpls[0].label PARTIAL_MASK'],
    ['eth_type(0x8847),mpls(label=0/0,tc=1/1,ttl=0/0,bos=1)', 'mpls[0].tc PARTIAL_MASK'],
    ['eth_type(0x8847),mpls(label=0/0,tc=0/0,ttl=1/1,bos=1)', 'mpls[0].ttl PARTIAL_MASK'],
    [
      'eth_type(0x0800),tunnel(tun_id=0x5/0xf,dst=10.0.0.1,flags(key)),ipv4(frag=no)',
      'tunnel.id PARTIAL_MASK',
    ],
  ]
  for (const [match, objection] of partial) {
    const { verdicts } = await dpif.explain(flow(match))
    const tc = verdicts.find(({ backend }) => backend === 'tc')?.objections ?? []
    t.ok(
      tc.some(({ path, reason }) => `${path} ${reason}` === objection),
      match,
      { found: tc },
    )
  }
  const proto = flow(partial[0]?.[0] as string)
  t.match(fate(await dpif.put(proto)), /^ovs, /)
  t.match(await dumped(), [{ backend: 'ovs', text: /proto=6\/0xf/ }])
})

t.test('16: a connection state is reported as it was asked for', async (t) => {
  const { dpif, dumped } = await setUp(t)
  t.equal((await dpif.put(flow('ct_state(-new+est+trk),eth_type(0x0800),ipv4(frag=no)'))).backend, 'tc')
  t.match(await dumped(), [{ backend: 'tc', text: /ct_state\(-new\+est\+trk\)/ }])
})

t.test('17: labels are reported with their mask', async (t) => {
  const { dpif, dumped } = await setUp(t)
  const labels = 'eth_type(0x8847),mpls(label=5,tc=0/0,ttl=0/0,bos=1)'
  t.equal((await dpif.put(flow(labels))).backend, 'tc')
  t.match(await dumped(), [{ backend: 'tc', text: /mpls\(label=5\/0xfffff,tc=0\/0,ttl=0\/0x0,bos=1\/1\)/ }])
})

t.test('18: of a VLAN tag only what is matched is reported as matched', async (t) => {
  const { dpif, dumped } = await setUp(t)
  const tag = 'eth_type(0x8100),vlan(vid=5,pcp=0/0x0),encap(eth_type(0x0800),ipv4(frag=no))'
  t.equal((await dpif.put(flow(tag))).backend, 'tc')
  t.match(await dumped(), [{ backend: 'tc', text: /vlan\(vid=5\)/ }])
})

t.test('19: create does not replace, and modify does not create', async (t) => {
  const { dpif, dumped } = await setUp(t)
  const spec = {
    ...flow('eth_type(0x0800),ipv4(frag=no)'),
    ufid: '00000001-0000-4000-8000-000000000001',
  } as const
  t.equal(fate(await dpif.put(spec, { mode: 'modify' })), 'NOT_FOUND')
  t.same(await dumped(), [])
  t.equal(fate(await dpif.put(spec)), 'tc')
  t.equal(fate(await dpif.put({ ...spec, actions: '1' })), 'EXISTS')
  t.equal((await dumped()).length, 1)
})

t.test('27: what a kernel would install differently from the request is not sent to it', async (t) => {
  const CT_STATE = [91, 92]
  const { dpif, dumped } = await setUp(t, { unknownToFlower: CT_STATE })
  const tracked = flow('ct_state(+est+trk),eth_type(0x0800),ipv4(frag=no)')
  t.equal(fate(await dpif.put(tracked)), 'ovs, ctState NEEDS_KERNEL')
  t.match(await dumped(), [{ backend: 'ovs' }])
  const unproven = Object.entries(features).filter(([, row]) => !('proof' in row))
  t.same(
    unproven.map(([feature]) => feature),
    ['erspanV2', 'geneveLength'],
    'whatever else came later is looked for in what the kernel reports back',
  )
})

t.test('43: an attribute nobody knows is no match in TC', async (t) => {
  const { dpif } = await setUp(t)
  const bytes = (key: FlowKey) => {
    const writer = new Writer()
    flowKey.write(writer, key)
    return writer.take()
  }
  const { key, mask } = parseKey('recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)')
  const unknown = [{ id: 60, data: Uint8Array.of(1, 2, 3, 4) }]
  const raw = { key: bytes({ ...key, unknown }), mask: bytes({ ...mask, unknown }) }
  const { verdicts } = await dpif.explain({ ...raw, actions: '2' })
  t.match(verdicts.find(({ backend }) => backend === 'tc')?.objections, [{ path: /unknown/ }])
})

t.test('44: a TCP key has its flags, also when they are 0', async (t) => {
  const { key } = parseKey('in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(src=1)')
  const writer = new Writer()
  flowKey.write(writer, { ...key, tcpFlags: 0 })
  t.equal(flowKey.read(writer.bytes, 0, writer.length).tcpFlags, 0)
  const { dpif, dumped } = await setUp(t)
  t.equal(fate(await dpif.put(flow('eth_type(0x0800),ipv4(proto=6,frag=no),tcp(src=1)'))), 'tc')
  t.match(await dumped(), [{ text: /tcp\(src=1/ }])
})

t.test('53: what is printed is read again', async (t) => {
  for (const text of [
    'recirc(0x5)',
    'hash(l4(0))',
    'push_mpls(label=5,tc=1,ttl=64,bos=1,eth_type=0x8847)',
    'pop_mpls(eth_type=0x800)',
    'push_eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)',
    'pop_eth',
    'dec_ttl(le_1(userspace(pid=1,slow_path(action))))',
    'set(nsh(flags=0,ttl=63,spi=0x5,si=255,c1=0x0,c2=0x0,c3=0x0,c4=0x0))',
    'userspace(pid=0,slow_path(cfm,bfd))',
  ])
    t.equal(formatActions(parseActions(text)), text)
  for (const text of [
    'recirc_id(0x5),in_port(1),eth(),eth_type(0x0800),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=6,tp_src=1,tp_dst=2),ipv4(frag=no)',
    'in_port(1),key60(01 02 03 04/ff ff ff ff),eth(),eth_type(0x0800)',
    'in_port(1),eth(),eth_type(0x894f),nsh(flags=0,ttl=63,mdtype=1,np=1,spi=0x5,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4)',
  ]) {
    const { key, mask } = parseKey(text)
    const printed = formatKey(key, mask)
    const again = parseKey(printed)
    t.equal(formatKey(again.key, again.mask), printed)
  }
})

t.test('54: a key with a network service header is read', async (t) => {
  t.match(
    parseKey('in_port(1),eth(),eth_type(0x894f),nsh(flags=0,ttl=63,mdtype=1,np=1,spi=0x5,si=255)').key,
    {
      nsh: { base: { ttl: 63, spi: 5, si: 255 } },
    },
  )
})

t.test('55: set(tunnel()) stays a set, without flags and with all of them', async (t) => {
  for (const flags of ['', ',flags(df|csum|key)', ',flags(csum)'])
    t.match(parseActions(`set(tunnel(tun_id=0x5,dst=10.0.0.1,ttl=64${flags}))`), [
      { set: { tunnel: { id: 5n } } },
    ])
})

t.test('56: a number that does not fit is an error with its place, and prefixes are read', async (t) => {
  for (const text of ['in_port(4294967296)', 'eth_type(0x10000)', 'ipv4(src=256.0.0.1)', 'ipv4(ttl=256)'])
    t.throws(() => parseKey(text), { code: 'SYNTAX', message: /position \d+/ }, text)
  t.throws(() => parseActions('push_vlan(vid=4096,pcp=0)'), { code: 'SYNTAX', message: /position \d+/ })
  const { mask } = parseKey('in_port(1),eth_type(0x0800),ipv4(dst=10.0.0.0/8)')
  t.equal(mask.ipv4?.dst, '255.0.0.0')
})

t.test('61: a ufid of another length is an error, and no flow is touched', async (t) => {
  const { dpif, dumped } = await setUp(t)
  t.equal(fate(await dpif.put(flow('eth_type(0x0800),ipv4(frag=no)'))), 'tc')
  t.equal(fate(await dpif.put(flow('eth_type(0x0806),arp()'))), 'tc')
  for (const ufid of [
    '',
    '00000001',
    '00000001-0000-4000-8000-00000000000',
    '00000001-0000-4000-8000-0000000000012',
  ]) {
    const result = await dpif.del({ ufid: ufid as never }).catch((error: unknown) => ({ error }))
    t.ok(result.error, `ufid '${ufid}'`)
  }
  t.equal((await dumped()).length, 2)
})
