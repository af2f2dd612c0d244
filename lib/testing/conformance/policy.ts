import assert from 'node:assert/strict'
import type { ErrorCode } from '../../../types/errors.js'
import type { Policy, PolicyPut } from '../../../types/policy.js'
import { flowKey } from '../../ovs/key.js'
import { Writer } from '../../netlink/writer.js'
import { type Case, collect, homes, type Lab, ok, refused, to } from './lab.js'

/** What TC declines, and openvswitch takes. `P` is the first port. */
interface Decline {
  readonly name: string
  readonly key: string
  readonly actions?: string
  readonly code: ErrorCode
  readonly path: string
}

const ip4 = 'eth(),eth_type(0x0800)'
const udp = `${ip4},ipv4(proto=17,frag=no),udp()`

// biome-ignore format: one row per line
const declines: readonly Decline[] = [
  { name: 'no port', key: `recirc_id(0),${ip4},ipv4(dst=10.0.0.1)`, code: 'NO_IN_PORT', path: 'inPort' },
  { name: 'a port nobody has', key: `recirc_id(0),in_port(4000),${ip4},ipv4(dst=10.0.0.1)`, code: 'NO_PORT', path: 'inPort' },
  { name: 'the internal port', key: `recirc_id(0),in_port(0),${ip4},ipv4(dst=10.0.0.1)`, code: 'PORT_NOT_IN_TC', path: 'inPort' },
  { name: 'recirculation', key: `recirc_id(0x5),in_port(P),${ip4},ipv4(dst=10.0.0.1)`, code: 'UNSUPPORTED_MATCH', path: 'recircId' },
  { name: 'a mark', key: `recirc_id(0),skb_mark(0x1),in_port(P),${ip4},ipv4()`, code: 'UNSUPPORTED_MATCH', path: 'skbMark' },
  { name: 'no Ethernet type', key: 'recirc_id(0),in_port(P),eth(src=02:00:00:00:00:01)', code: 'UNSUPPORTED_MATCH', path: 'etherType' },
  { name: 'ports of any fragment', key: `recirc_id(0),in_port(P),${ip4},ipv4(proto=17),udp(dst=53)`, code: 'UNSUPPORTED_MATCH', path: 'ipv4.frag' },
  { name: 'ARP of any operation', key: 'recirc_id(0),in_port(P),eth(),eth_type(0x0806),arp(tip=10.0.0.1)', code: 'UNSUPPORTED_MATCH', path: 'arp.op' },
  { name: 'an IPv6 label', key: 'recirc_id(0),in_port(P),eth(),eth_type(0x86dd),ipv6(label=0x5,frag=no)', code: 'UNSUPPORTED_MATCH', path: 'ipv6.label' },
  { name: 'some bits of a VLAN id', key: `recirc_id(0),in_port(P),eth(),eth_type(0x8100),vlan(vid=7/0xf),encap(eth_type(0x0800),ipv4(frag=no))`, code: 'UNSUPPORTED_MATCH', path: 'vlan.vid' },
  { name: 'some bits of a priority', key: `recirc_id(0),in_port(P),${udp}`, actions: 'set(skb_priority(0x5/0x7))', code: 'UNSUPPORTED_ACTION', path: 'actions[0].setMasked.skbPriority' },
  { name: 'a rewritten address before an unknown protocol', key: `recirc_id(0),in_port(P),${ip4},ipv4(frag=no)`, actions: 'set(ipv4(src=1.2.3.4/255.255.255.255))', code: 'UNSUPPORTED_ACTION', path: 'ipv4.proto' },
  { name: 'an output to a port nobody has', key: `recirc_id(0),in_port(P),${udp}`, actions: '4000', code: 'NO_PORT', path: 'actions[0].output' },
  { name: 'an output to the internal port', key: `recirc_id(0),in_port(P),${udp}`, actions: '0', code: 'PORT_NOT_IN_TC', path: 'actions[0].output' },
]

const spec = ({ key, actions = '' }: Decline, lab: Lab) => ({
  key: key.replace('P', `${lab.ports[0]}`),
  actions,
})

/** Policies that cannot be followed. */
const failures: Readonly<Record<string, Policy['place']>> = {
  'throws an error': () => {
    throw new Error('no idea')
  },
  'throws something else': () => {
    throw 'no idea'
  },
  'names nothing': () => ({ choices: [], reason: '' }),
  'names a backend there is not': () => ({ choices: [{ backend: 'dpdk' as never }], reason: '' }),
  'answers nothing': () => undefined as never,
  'answers a promise': () => Promise.resolve({ choices: [{ backend: 'ovs' }], reason: '' }) as never,
}

export const policyCases: readonly Case[] = [
  ...declines.map(
    (decline): Case => ({
      name: `TC declines ${decline.name}, says where, and openvswitch takes it`,
      run: async (lab) => {
        const dpif = await lab.open(to('tc', 'ovs'))
        const { ufid, declined } = ok(await dpif.put(spec(decline, lab)), 'ovs')
        const { code, path } = decline
        assert.deepEqual(
          declined?.map((refusal) => [refusal.backend, refusal.code, refusal.path]),
          [['tc', code, path]],
        )
        assert.deepEqual(await homes(dpif), { [ufid]: 'ovs' })
        // Nothing but TC: the same refusal is then the result.
        await dpif.flush()
        const result = await (await lab.only('tc')).put(spec(decline, lab))
        const error = refused(result, code)
        assert.deepEqual([error.backend, error.path], ['tc', path])
        assert.equal(result.declined, undefined)
        assert.deepEqual(await homes(dpif), {})
      },
    }),
  ),
  ...declines.map(
    (decline): Case => ({
      name: `explain knows beforehand that TC declines ${decline.name}`,
      run: async (lab) => {
        const dpif = await lab.open(to('tc', 'ovs'))
        const { verdicts, backend, policy } = await dpif.explain(spec(decline, lab))
        assert.equal(policy, 'to')
        assert.equal(backend, 'ovs')
        assert.deepEqual(
          verdicts.map((verdict) => [
            verdict.backend,
            verdict.objections[0]?.code,
            verdict.objections[0]?.path,
          ]),
          [
            ['tc', decline.code, decline.path],
            ['ovs', undefined, undefined],
          ],
        )
        assert.deepEqual(await homes(dpif), {}, 'nothing was put')
      },
    }),
  ),
  ...Object.entries(failures).map(
    ([name, place]): Case => ({
      name: `a policy that ${name} fails that op alone with POLICY`,
      run: async (lab) => {
        const good = to('ovs')
        const dpif = await lab.open({
          name: 'picky',
          place: (put, facts) =>
            put.key.ipv4?.dst === '10.0.0.2' ? place(put, facts) : good.place(put, facts),
        })
        const results = await dpif.operate([1, 2, 3].map((number) => ({ op: 'put', ...lab.flow(number) })))
        ok(results[0], 'ovs')
        ok(results[2], 'ovs')
        const { message, cause } = refused(results[1], 'POLICY')
        assert.match(message, /'picky'/)
        if (name === 'throws an error') assert.equal((cause as Error).message, 'no idea')
        if (name === 'throws something else') assert.equal(cause, 'no idea')
        assert.equal((await collect(dpif)).length, 2)
        await assert.rejects(dpif.explain(lab.flow(2)), { code: 'POLICY' })
      },
    }),
  ),
  {
    name: 'a policy sees the put, the port, and where the flow lives',
    run: async (lab) => {
      const seen: unknown[] = []
      const look = (put: PolicyPut, place: string | undefined, port: string | undefined) => {
        seen.push([put.mode, put.ufid, put.key.ipv4?.dst, put.mask.ipv4?.dst, put.actions, place, port])
      }
      const inOvs = to('ovs')
      const dpif = await lab.open({
        name: 'looking',
        place: (put, facts) => {
          look(put, facts.location(put.ufid), facts.port(put.key.inPort ?? -1)?.type)
          return inOvs.place(put, facts)
        },
      })
      const { ufid } = ok(await dpif.put(lab.flow()))
      ok(await dpif.put({ ...lab.flow(), actions: [] }, { mode: 'modify' }))
      const common = [ufid, '10.0.0.1', '255.255.255.255']
      assert.deepEqual(seen, [
        ['create', ...common, [{ output: lab.ports[1] }], undefined, 'netdev'],
        ['modify', ...common, [], 'ovs', 'netdev'],
      ])
    },
  },
  {
    name: 'when every backend declines, the last one has the word and the others are kept',
    run: async (lab) => {
      const dpif = await lab.open(to('tc', 'ovs'))
      // Neither flower nor openvswitch takes TCP ports without the flags beside them.
      const key = `recirc_id(0),in_port(${lab.ports[0]}),skb_mark(0x1),${ip4},ipv4(proto=6),tcp(dst=80)`
      const result = await dpif.put({ key, actions: '' })
      const error = refused(result, 'INVALID')
      assert.deepEqual([error.backend, error.errno, error.path], ['ovs', 22, 'tcpFlags'])
      assert.deepEqual(
        result.declined?.map(({ backend, path }) => [backend, path]),
        [['tc', 'skbMark']],
      )
    },
  },
  {
    name: 'a hop through TC without a device that takes it: skip_sw is declined, openvswitch takes the flow',
    run: async (lab) => {
      const dpif = await lab.open(to({ backend: 'tc', skip: 'sw' }, 'ovs'))
      const { declined } = ok(await dpif.put(lab.flow()), 'ovs')
      assert.equal(declined?.[0]?.backend, 'tc')
      assert(declined?.[0]?.errno !== undefined, 'the kernel itself declined')
      refused(await (await lab.open(to({ backend: 'tc', skip: 'sw' }))).put(lab.flow(2)), 'UNSUPPORTED')
    },
  },
  {
    name: 'skip_hw keeps a flow in software',
    run: async (lab) => {
      const dpif = await lab.open(to({ backend: 'tc', skip: 'hw' }))
      ok(await dpif.put(lab.flow()), 'tc')
      assert.equal((await collect(dpif))[0]?.offloaded, false)
    },
  },
  {
    name: 'what is put by its number comes back from openvswitch by its name, and TC says it cannot',
    run: async (lab) => {
      const dpif = await lab.open(to('tc', 'ovs'))
      const dst = Uint8Array.of(0, 0, 0, 7)
      // SCTP ports (17), and an action that cuts packets short (13): the kernel knows both.
      const key = { ...parsedIp(lab, 132), unknown: [{ id: 17, data: dst }] }
      const actions = [{ unknown: [{ id: 13, data: Uint8Array.of(64, 0, 0, 0) }] }, { output: lab.ports[1] }]
      const { ufid, declined } = ok(await dpif.put({ key, actions }), 'ovs')
      assert.equal(declined?.[0]?.code, 'UNSUPPORTED_MATCH')
      const { flow } = ok(await dpif.get({ ufid }), 'ovs')
      const bytes = Buffer.from(flowKey.encode(new Writer(), flow?.key ?? {}))
      assert(bytes.includes(Buffer.from([8, 0, 17, 0, ...dst])), 'the key still says it')
      assert.deepEqual(flow?.actions, [{ trunc: 64 }, { output: lab.ports[1] }])
      ok(await dpif.put({ ufid, key, actions: [] }, { mode: 'modify' }), 'ovs')
    },
  },
]

function parsedIp(lab: Lab, proto: number) {
  return { recircId: 0, inPort: lab.ports[0], ethernet: {}, etherType: 0x0800, ipv4: { proto } }
}
