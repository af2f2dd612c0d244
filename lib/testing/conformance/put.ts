import assert from 'node:assert/strict'
import type { BackendName, PutMode } from '../../../types/op.js'
import { parseKey } from '../../ovs/text.js'
import { backends, type Case, collect, homes, ok, other, plain, refused, steering } from './lab.js'

/** What a put does, for each mode and each place the flow may already be in: the table of `PutMode`. */
interface Row {
  readonly mode: PutMode
  /** Where the flow is before; absent for nowhere. */
  readonly before?: BackendName
  readonly expect: 'created' | 'changed' | 'EXISTS' | 'NOT_FOUND'
}

// biome-ignore format: one row per line
const rows: readonly Row[] = [
  { mode: 'create',                expect: 'created' },
  { mode: 'create', before: 'ovs', expect: 'EXISTS' },
  { mode: 'create', before: 'tc',  expect: 'EXISTS' },
  { mode: 'modify',                expect: 'NOT_FOUND' },
  { mode: 'modify', before: 'ovs', expect: 'changed' },
  { mode: 'modify', before: 'tc',  expect: 'changed' },
  { mode: 'upsert',                expect: 'created' },
  { mode: 'upsert', before: 'ovs', expect: 'changed' },
  { mode: 'upsert', before: 'tc',  expect: 'changed' },
]

/** The flow was put by us, or by somebody else before we looked, or by somebody else after. */
const hands = ['by us', 'by another process', 'by another process meanwhile'] as const

/** Nothing of what conformance is tried on offloads anything; what does is tried with an e-switch. */
const confirmed = backends.flatMap((target): Case[] =>
  (['create', 'upsert'] as const).map((mode) => ({
    name: `a put in ${target} that is confirmed says where it is not: ${mode}`,
    run: async (lab) => {
      const dpif = await lab.only(target)
      const results = await dpif.operate([
        { op: 'put', ...lab.flow(1), mode, confirm: true },
        { op: 'put', ...lab.flow(2), mode },
        { op: 'put', ...lab.flow(3), mode: 'modify', confirm: true },
      ])
      assert.deepEqual(
        results.map(({ backend, offloaded }) => [backend, offloaded]),
        [
          [target, false],
          [target, undefined],
          [undefined, undefined],
        ],
      )
      const changed = await dpif.put(lab.flow(1), { mode: 'modify', confirm: true, stats: true })
      assert.equal(changed.offloaded, false)
      assert.equal(changed.stats?.packets, 0n)
      assert.equal((await collect(dpif)).length, 2)
    },
  })),
)

const table = rows.flatMap(({ mode, before, expect }) =>
  backends.flatMap((target): Case[] =>
    (before === undefined ? (['by us'] as const) : hands).map((hand) => ({
      name: `${mode} for ${target} of a flow ${before ? `in ${before}, put ${hand}` : 'that is absent'}: ${expect}`,
      run: async (lab) => {
        const steer = steering([before ?? target])
        const dpif = await lab.open(steer.policy)
        const flow = lab.flow()
        if (hand === 'by another process meanwhile') await collect(dpif)
        if (before !== undefined) {
          ok(await (hand === 'by us' ? dpif : await lab.only(before)).put(flow), before)
        }
        steer.to(target)
        const result = await dpif.put({ key: flow.key, actions: `${lab.ports[2]}` }, { mode })
        const [seen, ...more] = await collect(dpif)
        assert.deepEqual(more, [], 'there is one copy')
        if (expect === 'created' || expect === 'changed') {
          ok(result, target)
          assert.equal(seen?.ufid, result.ufid)
          assert.equal(seen?.backend, target)
          assert.deepEqual(seen?.actions, [{ output: lab.ports[2] }])
          return
        }
        const { errno, message } = refused(result, expect)
        assert.equal(errno, expect === 'EXISTS' ? 17 : 2)
        assert(message.includes(result.ufid), 'the message names the flow')
        assert.equal(seen?.backend, before, 'nothing has changed')
        if (before !== undefined) assert.deepEqual(seen?.actions, [{ output: lab.ports[1] }])
      },
    })),
  ),
)

export const putCases: readonly Case[] = [
  ...table,
  ...confirmed,
  ...backends.flatMap((backend): Case[] => [
    {
      name: `a put without a mode creates, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        ok(await dpif.put(lab.flow()), backend)
        refused(await dpif.put(lab.flow()), 'EXISTS')
      },
    },
    {
      name: `what was deleted can be created again, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        for (let turn = 0; turn < 3; turn++) {
          const { ufid } = ok(await dpif.put(lab.flow()), backend)
          ok(await dpif.del({ ufid }), backend)
          assert.deepEqual(await homes(dpif), {})
        }
      },
    },
    {
      name: `a doubled match under another ufid is EXISTS, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.open({
          name: 'both',
          place: () => ({ choices: [{ backend }, { backend: other(backend) }], reason: '' }),
        })
        const first = { ...lab.flow(), ufid: '00000000-0000-4000-8000-000000000001' }
        ok(await dpif.put(first), backend)
        const second = { ...first, ufid: '00000000-0000-4000-8000-000000000002', actions: '' }
        for (const mode of ['create', 'upsert'] as const) {
          const result = await dpif.put(second, { mode })
          assert.equal(refused(result, 'EXISTS').errno, 17)
          assert.equal(result.declined, undefined, 'it moves on to no other backend')
        }
        assert.deepEqual(await homes(dpif), { [first.ufid]: backend })
      },
    },
    {
      name: `a modify keeps the match, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const { ufid } = ok(await dpif.put(lab.flow()))
        const { flow: before } = ok(await dpif.get({ ufid }))
        ok(await dpif.put({ ...lab.flow(), actions: [] }, { mode: 'modify' }))
        const { flow: after } = ok(await dpif.get({ ufid }))
        assert(before && after)
        assert.deepEqual(plain(after), { ...(plain(before) as object), actions: [] })
      },
    },
    {
      name: `a modify with another match under the same ufid ${backend === 'tc' ? 'takes effect' : 'changes the actions alone'}, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const { ufid } = ok(await dpif.put(lab.flow(1)))
        const changed = { ufid, key: lab.key(2), actions: [] }
        ok(await dpif.put(changed, { mode: 'modify' }), backend)
        const [flow, ...more] = await collect(dpif)
        assert(flow)
        assert.deepEqual(more, [])
        // openvswitch finds the flow by its ufid and does not look at the match (ovs_flow_cmd_set(), Linux 6.1).
        const match = parseKey(lab.key(backend === 'tc' ? 2 : 1))
        assert.deepEqual(plain(flow), plain({ ...match, actions: [] }))
      },
    },
    {
      name: `a flow that was dumped can be put back as it is, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        ok(await dpif.put(lab.flow()))
        const [flow] = await collect(dpif)
        assert(flow)
        const { ufid, key, mask, actions } = flow
        ok(await dpif.put({ ufid, key, mask, actions }, { mode: 'modify' }), backend)
        ok(await dpif.del({ ufid }), backend)
        ok(await dpif.put({ ufid, key, mask, actions }), backend)
        const [again] = await collect(dpif)
        assert(again)
        assert.deepEqual(plain(again), plain(flow))
      },
    },
    {
      name: `get and del of what is not there are NOT_FOUND, with ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const ufid = '00000000-0000-4000-8000-000000000009'
        for (const named of [{ ufid }, { key: lab.key() }]) {
          assert.equal(refused(await dpif.get(named), 'NOT_FOUND').errno, 2)
          assert.equal(refused(await dpif.del(named), 'NOT_FOUND').errno, 2)
        }
      },
    },
  ]),
]
