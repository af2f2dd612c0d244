import t from 'tap'
import {
  type Dpif,
  type ErrorCode,
  createDatapath,
  deleteDatapath,
  type FlowKey,
  kernelOnly,
  openDpif,
  parseKey,
  preferTc,
  tcOnly,
} from '../../lib/index.js'
import { held } from '../transport/process.js'
import { bench, eventually, ip, missing, open, tc, unique, veth } from '../fixtures/lab.js'

// Every refusal of ours provoked for real: what the kernel says, how it is told, and that nothing else has changed.

t.setTimeout(0)

/** A key as text, with what is taken away from it or added, that openvswitch refuses. */
interface Wrong {
  readonly name: string
  readonly key: string
  readonly without?: readonly (keyof FlowKey)[]
  readonly plus?: FlowKey
  readonly maskPlus?: FlowKey
  readonly actions?: string
  /** What we tell the person; absent where nobody knows but the kernel. */
  readonly path?: string
}

const ip4 = 'eth(),eth_type(0x0800)'
const ip6 = 'eth(),eth_type(0x86dd)'

// match_validate() and __ovs_nla_copy_actions(), net/openvswitch/flow_netlink.c
// biome-ignore format: one row per line
const wrongs: readonly Wrong[] = [
  { name: 'no Ethernet header and no type', key: 'eth()', without: ['ethernet'], path: 'ethernet' },
  { name: 'IPv4 without ipv4', key: `${ip4},ipv4()`, without: ['ipv4'], path: 'ipv4' },
  { name: 'IPv6 without ipv6', key: `${ip6},ipv6()`, without: ['ipv6'], path: 'ipv6' },
  { name: 'ARP without arp', key: 'eth(),eth_type(0x0806),arp()', without: ['arp'], path: 'arp' },
  { name: 'RARP without arp', key: 'eth(),eth_type(0x8035)', path: 'arp' },
  { name: 'TCP without tcp', key: `${ip4},ipv4(proto=6)`, path: 'tcp' },
  { name: 'TCP without its flags', key: `${ip4},ipv4(proto=6),tcp()`, path: 'tcpFlags' },
  { name: 'UDP without udp', key: `${ip4},ipv4(proto=17)`, path: 'udp' },
  { name: 'ICMP without icmp', key: `${ip4},ipv4(proto=1)`, path: 'icmp' },
  { name: 'TCP in IPv6 without tcp', key: `${ip6},ipv6(proto=6)`, path: 'tcp' },
  { name: 'UDP in IPv6 without udp', key: `${ip6},ipv6(proto=17)`, path: 'udp' },
  { name: 'ICMPv6 without icmpv6', key: `${ip6},ipv6(proto=58)`, path: 'icmpv6' },
  { name: 'a tag without what follows it', key: 'eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4())', without: ['encap'], path: 'encap' },
  { name: 'UDP behind a tag without udp', key: 'eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4(proto=17))', path: 'encap.udp' },
  { name: 'a tag masked without its CFI', key: 'eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4())', maskPlus: { vlan: { vid: 0xfff, cfi: 0 } }, path: 'vlan.cfi' },
  { name: 'IPv4 masked, its type not', key: `${ip4},ipv4(dst=10.0.0.1)`, maskPlus: { etherType: 0 }, path: 'ipv4' },
  { name: 'UDP masked, its protocol not', key: `${ip4},ipv4(proto=17/0),udp(dst=53)`, path: 'udp' },
  { name: 'TCP flags masked, the protocol not', key: `${ip4},ipv4(proto=6/0),tcp(),tcp_flags(0x2/0x2)`, path: 'tcpFlags' },
  { name: 'IPv4 masked that is not in the key', key: 'eth(),eth_type(0x88b5)', maskPlus: { ipv4: { dst: '255.255.255.255' } }, path: 'ipv4' },
  { name: 'a port that cannot be', key: 'eth(),eth_type(0x88b5)', plus: { inPort: 65535 } },
  { name: 'a fragment type that is none', key: `${ip4},ipv4(frag=no)`, plus: { ipv4: { frag: 3 } } },
  { name: 'an Ethernet type that is a length', key: 'eth(),eth_type(0x0100)', path: 'etherType' },
  { name: 'an attribute nobody knows', key: 'eth(),eth_type(0x88b5)', plus: { unknown: [{ id: 60, data: new Uint8Array(4) }] } },
  { name: 'a rewrite of what is not matched', key: 'eth(),eth_type(0x88b5)', actions: 'set(ipv4(ttl=3/0xff))', path: 'actions[0].setMasked.ipv4' },
  { name: 'a rewrite of UDP before TCP', key: `${ip4},ipv4(proto=6,frag=no),tcp(),tcp_flags(0/0)`, actions: 'set(udp(dst=3/0xffff))', path: 'actions[0].setMasked.udp' },
  { name: 'a tag without its CFI', key: 'eth(),eth_type(0x88b5)', actions: 'push_vlan(vid=3,pcp=0,cfi=0)', path: 'actions[0].pushVlan.cfi' },
]

async function count(dpif: Dpif): Promise<number> {
  let flows = 0
  for await (const _ of dpif.dump({ terse: true })) flows++
  return flows
}

const GOOD = 'recirc_id(0),in_port(1),eth(),eth_type(0x88cc)'
const ipv4 = (last: number) =>
  `recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${last},frag=no)`

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('openvswitch refuses what breaks its rules, and we say which', async (t) => {
    const { dpif } = await bench(t, kernelOnly(), 2)
    for (const { name, key: text, without = [], plus = {}, maskPlus = {}, actions = '', path } of wrongs) {
      const { key, mask } = parseKey(`recirc_id(0),in_port(1),${text}`)
      for (const attribute of without) {
        delete (key as Record<string, unknown>)[attribute]
        delete (mask as Record<string, unknown>)[attribute]
      }
      const [before, wrong, after] = await dpif.operate([
        { op: 'put', key: GOOD, actions: '2' },
        { op: 'put', key: { ...key, ...plus }, mask: { ...mask, ...maskPlus }, actions },
        { op: 'del', key: GOOD },
      ])
      t.same([before?.error, after?.error], [undefined, undefined], `${name}: the others are carried out`)
      t.match(wrong?.error, { code: 'INVALID', errno: 22, backend: 'ovs' }, name)
      t.equal(wrong?.error?.path, path, `${name}: ${wrong?.error?.message}`)
      const { verdicts } = await dpif.explain({
        key: { ...key, ...plus },
        mask: { ...mask, ...maskPlus },
        actions,
      })
      t.equal(verdicts[0]?.objections[0]?.path, path, `${name}: explain knows`)
      t.equal(await count(dpif), 0, `${name}: nothing is left`)
    }
  })

  // What stands in the way of our favourite priority on the port; the put has to find another.
  const obstacles = [
    ['a filter for another protocol', 'protocol arp flower action drop'],
    ['another classifier', 'protocol ip matchall action drop'],
    ['another classifier for another protocol', 'protocol arp matchall action drop'],
  ] as const
  for (const [name, filter] of obstacles) {
    for (const early of [true, false]) {
      t.test(
        `${name} on our priority, ${early ? 'there before us' : 'put meanwhile'}, makes us take another`,
        async (t) => {
          const { dpif, ports } = await bench(t, tcOnly(), 2)
          t.equal((await dpif.put({ key: GOOD, actions: '2' })).error, undefined)
          const other = await open(t, dpif.datapath.name, tcOnly())
          if (early) tc(`filter add dev ${ports[0]} ingress prio 2 ${filter}`)
          else await other.put({ key: 'in_port(2),eth(),eth_type(0x88cc)', actions: '1' })
          if (!early) tc(`filter add dev ${ports[0]} ingress prio 2 ${filter}`)
          const results = await other.operate(
            [1, 2, 3].map((last) => ({ op: 'put', key: ipv4(last), actions: '2' })),
          )
          t.same(
            results.map(({ error }) => error?.message),
            [undefined, undefined, undefined],
          )
          await other.flush()
          t.match(tc(`filter show dev ${ports[0]} ingress`), /pref 2 /, 'theirs is still there')
        },
      )
    }
  }

  t.test('a handle somebody else took is left to them', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    t.equal((await dpif.put({ key: ipv4(1), actions: '2' })).error, undefined)
    for (const handle of ['0x68000001', '0x68000002']) {
      tc(
        `filter add dev ${ports[0]} ingress protocol ip prio 2 handle ${handle} flower dst_ip 10.1.0.${handle.at(-1)} action drop`,
      )
    }
    t.equal((await dpif.put({ key: ipv4(2), actions: '2' })).error, undefined)
    t.equal(tc(`filter show dev ${ports[0]} ingress`).match(/handle 0x/g)?.length, 4)
  })

  t.test('a doubled match and a missing flow', async (t) => {
    for (const [backend, policy] of [
      ['ovs', kernelOnly()],
      ['tc', tcOnly()],
    ] as const) {
      const { dpif } = await bench(t, policy, 2)
      const ufid = '00000000-0000-4000-8000-000000000001'
      t.equal((await dpif.put({ key: ipv4(1), actions: '2' })).error, undefined)
      const doubled = await dpif.put({ ufid, key: ipv4(1), actions: '2' })
      t.match(doubled.error, { code: 'EXISTS', errno: 17, backend })
      t.match((await dpif.put({ ufid, key: ipv4(2), actions: '2' }, { mode: 'modify' })).error, {
        code: 'NOT_FOUND',
        errno: 2,
      })
      t.equal(await count(dpif), 1)
    }
  })

  t.test('skip_sw on a device that has no hardware is refused, or falls to openvswitch', async (t) => {
    const { dpif, name } = await bench(t, tcOnly({ skip: 'sw' }), 2)
    const { error } = await dpif.put({ key: ipv4(1), actions: '2' })
    t.match(error, { code: 'UNSUPPORTED', errno: 95, backend: 'tc' })
    t.equal(await count(dpif), 0)
    const falling = await open(t, name, preferTc({ skip: 'sw' }))
    const result = await falling.put({ key: ipv4(1), actions: '2' })
    t.match(result, { backend: 'ovs', declined: [{ backend: 'tc', errno: 95 }] })
    t.equal(await count(falling), 1)
  })

  t.test('a port that vanishes takes its filters along, and the rest goes on', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly())
    for (const port of [1, 2, 3]) {
      const key = `recirc_id(0),in_port(${port}),eth(),eth_type(0x88cc)`
      t.equal((await dpif.put({ key, actions: 'drop' })).error, undefined)
    }
    const gone = await dpif.put({ key: ipv4(9), actions: '2' })
    ip(`link del ${ports[0]}`)
    // The port list is a moment behind.
    for (const mode of ['create', 'upsert'] as const) {
      const { error } = await dpif.put({ key: ipv4(5), actions: '2' }, { mode })
      t.match(error, { code: 'NO_PORT', backend: 'tc' })
      t.match(error?.message, /10|port|device/)
    }
    t.match(
      (await dpif.put({ key: ipv4(9), actions: '3' }, { mode: 'modify' })).error?.code,
      /NO_PORT|NOT_FOUND/,
    )
    t.match((await dpif.get({ ufid: gone.ufid })).error?.code, /NO_PORT|NOT_FOUND/)
    t.equal(await count(dpif), 2)
    t.match((await dpif.del({ ufid: gone.ufid })).error?.code, 'NOT_FOUND')
    const { error } = await dpif.put({ key: 'recirc_id(0),in_port(2),eth(),eth_type(0x88b5)', actions: '1' })
    t.match(error, { code: 'NO_PORT', path: 'actions[0].output' }, 'nor is it a way out any more')
    t.equal((await dpif.put({ key: 'in_port(3),eth(),eth_type(0x88b5)', actions: '2' })).error, undefined)
    await dpif.flush()
    t.equal(await count(dpif), 0)
  })

  t.test('a device that vanished and came back under its name is another one', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    t.equal((await dpif.put({ key: ipv4(1), actions: '2' })).error, undefined)
    ip(`link del ${ports[0]}`)
    const [port] = veth(t)
    await eventually(
      async () => (await dpif.ports()).length,
      (length) => length === 2,
    )
    await dpif.addPort(port, { number: 1 })
    t.equal(await count(dpif), 0)
    t.equal((await dpif.put({ key: ipv4(1), actions: '2' })).error, undefined)
    t.equal(await count(dpif), 1)
  })

  t.test('a qdisc that is deleted under us is made again', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    t.equal((await dpif.put({ key: ipv4(1), actions: '2' })).error, undefined)
    tc(`qdisc del dev ${ports[0]} ingress`)
    t.equal((await dpif.put({ key: ipv4(2), actions: '2' })).error, undefined)
    t.match((await dpif.put({ key: ipv4(1), actions: '' }, { mode: 'modify' })).error, { code: 'NOT_FOUND' })
    t.match((await dpif.get({ key: ipv4(1) })).error, { code: 'NOT_FOUND' })
    t.equal(await count(dpif), 1)
  })

  t.test('a qdisc that stands in the way is told of', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    tc(`qdisc add dev ${ports[0]} clsact`)
    t.equal((await dpif.put({ key: ipv4(1), actions: '2' })).error, undefined, 'clsact has an ingress, too')
    await dpif.flush()
    t.match(tc(`qdisc show dev ${ports[0]}`), /clsact/)
  })

  t.test('a datapath that is deleted under us', async (t) => {
    const { dpif, name } = await bench(t, kernelOnly(), 2)
    t.equal((await dpif.put({ key: ipv4(1), actions: '2' })).error, undefined)
    await deleteDatapath(name)
    t.match((await dpif.put({ key: ipv4(2), actions: '2' })).error, {
      code: 'NO_DATAPATH',
      errno: 19,
      backend: 'ovs',
    })
    t.match((await dpif.get({ key: ipv4(1) })).error, { code: 'NO_DATAPATH' })
    t.match((await dpif.del({ key: ipv4(1) })).error, { code: 'NO_DATAPATH' })
    const calls: (() => Promise<unknown>)[] = [
      () => count(dpif),
      () => dpif.flush(),
      () => dpif.ports(),
      () => dpif.addPort('lo'),
      () => dpif.delPort(1),
    ]
    for (const call of calls) {
      await t.rejects(call() as Promise<void>, { code: 'NO_DATAPATH', errno: 19 })
    }
    await t.rejects(deleteDatapath(name), { code: 'NO_DATAPATH' })
    await t.rejects(openDpif({ datapath: name }), { code: 'NO_DATAPATH' })
  })

  t.test('names that cannot be', async (t) => {
    for (const name of ['', 'x'.repeat(16), 'x'.repeat(300)])
      await t.rejects(createDatapath(name), { name: 'TypeError' })
    const name = unique('dp')
    await createDatapath(name)
    t.teardown(() => deleteDatapath(name))
    await t.rejects(createDatapath(name), { code: 'EXISTS', errno: 17 })
    const dpif = await open(t, name, kernelOnly())
    // biome-ignore format: one row per line
    const rows: readonly [string, object, readonly ErrorCode[]][] = [
      ['no-such-dev', {}, ['NO_PORT']],
      [name, {}, ['EXISTS', 'BUSY', 'INVALID']],
      ['lo', {}, ['INVALID']],
    ]
    for (const [device, options, codes] of rows) {
      const error = await dpif.addPort(device, options).catch((problem: unknown) => problem)
      t.ok(codes.includes((error as { code: ErrorCode }).code), `${device}: ${error}`)
    }
    const [one] = veth(t)
    const [two] = veth(t)
    await dpif.addPort(one, { number: 7 })
    await t.rejects(dpif.addPort(two, { number: 7 }), { code: 'BUSY' }, 'a number that is taken')
    await t.rejects(dpif.addPort(two, { number: 70_000 }), { code: 'NO_SPACE' }, 'a number that cannot be')
    t.equal((await dpif.ports()).length, 2)
  })

  t.test('more ports than a filter has actions', async (t) => {
    const { dpif, name } = await bench(t, tcOnly(), 2)
    const actions = Array.from({ length: 33 }, () => ({ output: 2 }))
    const { error } = await dpif.put({ key: ipv4(1), actions })
    t.match(error, { code: 'UNSUPPORTED_ACTION', path: 'actions', backend: 'tc' })
    t.equal((await dpif.put({ key: ipv4(1), actions: actions.slice(1) })).error, undefined, '32 fit')
    const falling = await open(t, name, preferTc())
    t.match(await falling.put({ key: ipv4(2), actions }), { backend: 'ovs', declined: [{ path: 'actions' }] })
  })

  t.test('our own sockets are given back', async (t) => {
    const { name } = await bench(t, kernelOnly(), 1)
    const before = held().sockets
    for (let turn = 0; turn < 20; turn++) {
      const dpif = await openDpif({ datapath: name })
      for await (const _ of dpif.dump()) break
      await dpif.close()
      await openDpif({ datapath: 'no-such-dp' }).catch(() => {})
    }
    t.equal(held().sockets, before)
  })
}
