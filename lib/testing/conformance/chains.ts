import assert from 'node:assert/strict'
import type { BackendName, FlowSpec } from '../../../types/op.js'
import { type Case, collect, counted, homes, type Lab, ok, refused, steering, to } from './lab.js'

/*
 * Recirculation: a flow sends packets on with a recirculation id, and a flow that matches the id takes them up. In TC that is a
 * chain; where one of the two is in openvswitch, a packet goes from one to the other.
 */

/** The first pass of the packets with this number: they go on with `id`. */
const first = (lab: Lab, id: number, number = 1): FlowSpec & { readonly key: string } => ({
  key: lab.key(number),
  actions: `recirc(${id})`,
})
/** The pass that begins with `id`; by default the packets leave through the second port. */
const pass = (
  lab: Lab,
  id: number,
  actions = `${lab.ports[1]}`,
  number = 1,
): FlowSpec & { readonly key: string } => ({
  key: lab.key(number).replace('recirc_id(0)', `recirc_id(0x${id.toString(16)})`),
  actions,
})

/** Where two passes are put, and how the packets are seen by both. */
const pairs: readonly (readonly [BackendName, BackendName])[] = [
  ['tc', 'tc'],
  ['tc', 'ovs'],
  ['ovs', 'ovs'],
]

const cases: readonly Case[] = [
  ...pairs.map(
    ([one, two]): Case => ({
      name: `packets pass through a flow in ${one} and go on in ${two}`,
      run: async (lab) => {
        const steer = steering([one])
        const dpif = await lab.open(steer.policy)
        const before = ok(await dpif.put(first(lab, 5)), one)
        steer.to(two)
        const after = ok(await dpif.put(pass(lab, 5)), two)
        assert.deepEqual(await homes(dpif), { [before.ufid]: one, [after.ufid]: two })
        await lab.send(lab.ports[0], lab.frame(), 3)
        await counted(dpif, before, 3n)
        await counted(dpif, after, 3n)
        for (const { ufid, key, mask } of await collect(dpif)) {
          assert.deepEqual([key.recircId, mask.recircId], [ufid === after.ufid ? 5 : 0, 0xffffffff])
        }
        for await (const page of dpif.sweep()) {
          for (let at = 0; at < page.count; at++) assert.equal(page.packets[at], 3n)
        }
        ok(await dpif.del({ ufid: before.ufid }), one)
        ok(await dpif.del({ ufid: after.ufid }), two)
        assert.deepEqual(await homes(dpif), {})
      },
    }),
  ),
  {
    name: 'a pass that nothing in TC leads to is declined, and openvswitch takes it',
    run: async (lab) => {
      const steer = steering(['ovs'])
      const dpif = await lab.open(steer.policy)
      const before = ok(await dpif.put(first(lab, 5)), 'ovs')
      steer.to('tc', 'ovs')
      const after = ok(await dpif.put(pass(lab, 5)), 'ovs')
      assert.match(after.declined?.[0]?.message ?? '', /recirculation id 5/)
      assert.deepEqual(
        after.declined?.map(({ code, path, reason }) => [code, path, reason]),
        [['UNSUPPORTED_MATCH', 'recircId', 'NOT_REACHED']],
      )
      await lab.send(lab.ports[0], lab.frame(), 2)
      await counted(dpif, before, 2n)
      await counted(dpif, after, 2n)
    },
  },
  {
    name: 'what leads to another recirculation id, or starts on another port, does not count',
    run: async (lab) => {
      const dpif = await lab.open(to('tc'))
      ok(await dpif.put(first(lab, 6)), 'tc')
      const elsewhere = { ...first(lab, 5), key: lab.key(1, lab.ports[2]) }
      ok(await dpif.put(elsewhere), 'tc')
      assert.equal(refused(await dpif.put(pass(lab, 5)), 'UNSUPPORTED_MATCH').reason, 'NOT_REACHED')
    },
  },
  {
    name: 'passes that come in one call go to TC all, however many',
    run: async (lab) => {
      const dpif = await lab.open(to('tc', 'ovs'))
      const count = 20
      const flows = [
        first(lab, 1),
        ...Array.from({ length: count }, (_, at) => pass(lab, at + 1, `recirc(${at + 2})`)),
      ]
      const results = await dpif.operate(
        [...flows, pass(lab, count + 1)].map((flow) => ({ op: 'put', ...flow })),
      )
      for (const result of results) ok(result, 'tc')
      await lab.send(lab.ports[0], lab.frame(), 1)
      // The kernel follows 16 jumps (tcf_classify(), max_reclassify_loop).
      await counted(dpif, { ufid: results[15]?.ufid ?? '' }, 1n)
      await dpif.flush()
      assert.deepEqual(await homes(dpif), {})
    },
  },
  {
    name: 'another process knows what leads where',
    run: async (lab) => {
      const before = ok(await (await lab.open(to('tc'))).put(first(lab, 5)), 'tc')
      const dpif = await lab.open(to('tc'))
      const after = ok(await dpif.put(pass(lab, 5)), 'tc')
      assert.deepEqual(await homes(dpif), { [before.ufid]: 'tc', [after.ufid]: 'tc' })
    },
  },
  {
    name: 'a pass follows to openvswitch when what led to it is gone from TC',
    run: async (lab) => {
      const steer = steering(['tc', 'ovs'])
      const dpif = await lab.open(steer.policy)
      const before = ok(await dpif.put(first(lab, 5)), 'tc')
      const after = ok(await dpif.put(pass(lab, 5)), 'tc')
      await lab.send(lab.ports[0], lab.frame(), 2)
      await counted(dpif, after, 2n)
      steer.to('ovs')
      ok(await dpif.put(first(lab, 5), { mode: 'modify' }), 'ovs')
      // What a switch does when the packets turn up again: it puts the flow once more.
      steer.to('tc', 'ovs')
      ok(await dpif.put(pass(lab, 5), { mode: 'upsert' }), 'ovs')
      assert.deepEqual(await homes(dpif), { [before.ufid]: 'ovs', [after.ufid]: 'ovs' })
      await lab.send(lab.ports[0], lab.frame(), 1)
      await counted(dpif, before, 3n)
      await counted(dpif, after, 3n)
    },
  },
  {
    name: 'a flow that no more recirculates leads nowhere',
    run: async (lab) => {
      const dpif = await lab.open(to('tc'))
      ok(await dpif.put(first(lab, 5)), 'tc')
      ok(await dpif.put({ ...first(lab, 5), actions: 'recirc(6)' }, { mode: 'modify' }), 'tc')
      assert.equal(refused(await dpif.put(pass(lab, 5)), 'UNSUPPORTED_MATCH').reason, 'NOT_REACHED')
      ok(await dpif.put(pass(lab, 6)), 'tc')
      ok(await dpif.put({ ...first(lab, 5), actions: '' }, { mode: 'modify' }), 'tc')
      assert.equal(refused(await dpif.put(pass(lab, 6, '', 2)), 'UNSUPPORTED_MATCH').reason, 'NOT_REACHED')
    },
  },
  {
    name: 'explain says what leads to a pass is missing, and nothing once it is there',
    run: async (lab) => {
      const dpif = await lab.open(to('tc', 'ovs'))
      const before = await dpif.explain(pass(lab, 5))
      assert.deepEqual(
        before.verdicts[0]?.objections.map(({ reason, path }) => [reason, path]),
        [['NOT_REACHED', 'recircId']],
      )
      assert.equal(before.backend, 'ovs')
      ok(await dpif.put(first(lab, 5)), 'tc')
      assert.equal((await dpif.explain(pass(lab, 5))).backend, 'tc')
    },
  },
  {
    name: 'recirculation ids TC has no chains for go to openvswitch',
    run: async (lab) => {
      const dpif = await lab.open(to('tc', 'ovs'))
      const large = ok(await dpif.put(first(lab, 0x10000000)), 'ovs')
      assert.deepEqual(
        large.declined?.map(({ path, reason }) => [path, reason]),
        [['actions[0].recirc', 'VALUE_TOO_LARGE']],
      )
      const after = ok(await dpif.put(pass(lab, 0x10000000)), 'ovs')
      assert.equal(after.declined?.[0]?.reason, 'VALUE_TOO_LARGE')
      const some = { key: lab.key(2).replace('recirc_id(0)', 'recirc_id(0x4/0xc)'), actions: '' }
      const refusal = refused(await (await lab.only('tc')).put(some), 'UNSUPPORTED_MATCH')
      assert.deepEqual([refusal.path, refusal.reason], ['recircId', 'PARTIAL_MASK'])
    },
  },
]

/** A kernel without CONFIG_NET_TC_SKB_EXT shares no recirculation with TC: there everything that recirculates stays in openvswitch. */
export const chainCases: readonly Case[] = cases.map(({ name, run }) => ({
  name,
  run: async (lab) => {
    const { datapath } = await lab.open(to('ovs'))
    if (datapath.features.includes('tcRecircSharing')) return run(lab)
    const dpif = await lab.open(to('tc', 'ovs'))
    const [before, after] = [
      ok(await dpif.put(first(lab, 5)), 'ovs'),
      ok(await dpif.put(pass(lab, 5)), 'ovs'),
    ]
    assert.deepEqual(
      [before, after].map(({ declined }) => declined?.map(({ path, reason }) => [path, reason])),
      [[['actions[0].recirc', 'NOT_SHARED']], [['recircId', 'NOT_SHARED']]],
    )
    await lab.send(lab.ports[0], lab.frame(), 2)
    await counted(dpif, before, 2n)
    await counted(dpif, after, 2n)
  },
}))
