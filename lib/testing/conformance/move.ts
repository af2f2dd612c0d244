import assert from 'node:assert/strict'
import type { BackendName } from '../../../types/op.js'
import { parseKey } from '../../ovs/text.js'
import { backends, type Case, collect, counted, homes, type Lab, ok, other, plain, steering } from './lab.js'

/** What TC cannot carry, while openvswitch can. */
const beyondTc = 'set(skb_priority(0x5/0x7)),'

export const moveCases: readonly Case[] = [
  ...backends.flatMap((from): Case[] => {
    const away = other(from)
    return [
      {
        name: `a modify that the policy sends elsewhere moves the flow from ${from} to ${away}`,
        run: async (lab) => {
          const steer = steering([from])
          const dpif = await lab.open(steer.policy)
          const { ufid } = ok(await dpif.put(lab.flow()), from)
          steer.to(away)
          const moved = ok(await dpif.put({ ...lab.flow(), actions: [] }, { mode: 'modify' }), away)
          assert.equal(moved.ufid, ufid)
          assert.deepEqual(await homes(dpif), { [ufid]: away })
          assert.deepEqual(await homes(await lab.only('ovs')), { [ufid]: away })
          assert.deepEqual(ok(await dpif.get({ ufid }), away).flow?.actions, [])
          ok(await dpif.del({ ufid }), away)
        },
      },
      {
        name: `counters never run backwards while a flow moves from ${from} to ${away} and back`,
        run: async (lab) => {
          const steer = steering([from])
          const dpif = await lab.open(steer.policy)
          const flow = ok(await dpif.put(lab.flow()), from)
          let packets = 0n
          let bytes = 0n
          const route: BackendName[] = [from, away, away, from, away]
          for (const [turn, place] of route.entries()) {
            steer.to(place)
            if (turn > 0) {
              const { stats } = ok(await dpif.put(lab.flow(), { mode: 'modify', stats: true }), place)
              assert.equal(stats?.packets, packets, 'the put answers all that was counted')
              assert.equal(stats?.bytes, bytes)
            }
            const [dumped] = await collect(dpif)
            assert.equal(dumped?.backend, place)
            assert.equal(dumped?.stats.packets, packets, 'dumped')
            await lab.send(lab.ports[0], lab.frame(), 2)
            packets += 2n
            const { stats } = await counted(dpif, flow, packets)
            assert((stats?.bytes ?? 0n) > bytes)
            bytes = stats?.bytes ?? 0n
          }
          const { stats } = ok(await dpif.del({ ufid: flow.ufid, stats: true }))
          assert.equal(stats?.packets, packets)
          assert.equal(stats?.bytes, bytes)
        },
      },
      {
        name: `a move with zeroStats from ${from} to ${away} starts at 0`,
        run: async (lab) => {
          const steer = steering([from])
          const dpif = await lab.open(steer.policy)
          const flow = ok(await dpif.put(lab.flow()), from)
          await lab.send(lab.ports[0], lab.frame(), 2)
          await counted(dpif, flow, 2n)
          steer.to(away)
          const options = { mode: 'upsert', zeroStats: true, stats: true } as const
          assert.equal(ok(await dpif.put(lab.flow(), options), away).stats?.packets, 2n)
          assert.equal(ok(await dpif.get({ ufid: flow.ufid }), away).stats?.packets, 0n)
        },
      },
      {
        name: `a flow stays in ${from} as it was when nowhere takes what it shall become`,
        run: async (lab) => {
          const steer = steering([from])
          const dpif = await lab.open(steer.policy)
          const { ufid } = ok(await dpif.put(lab.flow()), from)
          steer.to('tc')
          const result = await dpif.put(
            { ...lab.flow(), actions: `${beyondTc}${lab.ports[2]}` },
            { mode: 'modify' },
          )
          assert.equal(result.error?.code, 'UNSUPPORTED_ACTION')
          const [flow, ...more] = await collect(dpif)
          assert.deepEqual(more, [])
          assert.equal(flow?.ufid, ufid)
          assert.equal(flow?.backend, from)
          assert.deepEqual(flow?.actions, [{ output: lab.ports[1] }])
        },
      },
    ]
  }),
  {
    name: 'actions that TC cannot carry move a flow to openvswitch, and back when they are gone',
    run: async (lab) => {
      const dpif = await lab.open(steering(['tc', 'ovs']).policy)
      const { ufid } = ok(await dpif.put(lab.flow()), 'tc')
      const away = ok(
        await dpif.put({ ...lab.flow(), actions: `${beyondTc}${lab.ports[1]}` }, { mode: 'modify' }),
        'ovs',
      )
      const [declined, ...more] = away.declined ?? []
      assert.deepEqual(more, [])
      assert.equal(declined?.backend, 'tc')
      assert.equal(declined?.code, 'UNSUPPORTED_ACTION')
      assert.match(declined?.path ?? '', /^actions\[0\]\.set/)
      assert.deepEqual(await homes(dpif), { [ufid]: 'ovs' })
      const back = ok(await dpif.put(lab.flow(), { mode: 'modify' }), 'tc')
      assert.equal(back.declined, undefined)
      assert.deepEqual(await homes(dpif), { [ufid]: 'tc' })
    },
  },
  {
    name: 'a match that TC cannot carry moves a flow to openvswitch',
    run: async (lab) => {
      const dpif = await lab.open(steering(['tc', 'ovs']).policy)
      const ufid = '00000000-0000-4000-8000-000000000001'
      ok(await dpif.put({ ...lab.flow(), ufid }), 'tc')
      const key = lab.key().replace('in_port', 'skb_mark(0x7),in_port')
      const { declined } = ok(await dpif.put({ key, ufid, actions: '' }, { mode: 'modify' }), 'ovs')
      assert.deepEqual(
        declined?.map(({ backend, code, path }) => ({ backend, code, path })),
        [{ backend: 'tc', code: 'UNSUPPORTED_MATCH', path: 'skbMark' }],
      )
      const [flow, ...more] = await collect(dpif)
      assert.deepEqual(more, [])
      assert.equal(flow?.backend, 'ovs')
      assert.equal(flow?.key.skbMark, 7)
    },
  },
  ...Object.entries({
    mask: (lab: Lab) =>
      lab.key().replace('eth_type', 'eth(dst=02:00:00:00:00:01),eth_type').replace('eth(),', ''),
    in_port: (lab: Lab) => lab.key(1, lab.ports[1]),
    'Ethernet type': (lab: Lab) => `recirc_id(0),in_port(${lab.ports[0]}),eth(),eth_type(0x0806),arp(op=1)`,
  }).map(
    ([what, keyOf]): Case => ({
      name: `a flow in tc can change its ${what} under the same ufid, and is there once`,
      run: async (lab) => {
        const dpif = await lab.open(steering(['tc']).policy)
        const ufid = '00000000-0000-4000-8000-000000000002'
        ok(await dpif.put({ ...lab.flow(), ufid }), 'tc')
        const wanted = { ufid, key: keyOf(lab), actions: '' }
        ok(await dpif.put(wanted, { mode: 'modify' }), 'tc')
        const [flow, ...more] = await collect(await lab.open(steering(['tc']).policy))
        assert.deepEqual(more, [])
        assert.equal(flow?.ufid, ufid)
        assert.deepEqual(plain(flow), plain({ ...parseKey(wanted.key), actions: [] }))
        ok(await dpif.del({ ufid }), 'tc')
      },
    }),
  ),
]
