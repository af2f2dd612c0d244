import assert from 'node:assert/strict'
import type { FlowSpec } from '../../../types/op.js'
import { Writer } from '../../netlink/writer.js'
import { actionList } from '../../ovs/action.js'
import { flowKey } from '../../ovs/key.js'
import { parseActions, parseKey } from '../../ovs/text.js'
import { backends, type Case, collect, homes, type Lab, ok, plain, refused } from './lab.js'
import { putWithoutUfid } from './raw.js'

/** One flow in every spelling there is. */
function spellings(lab: Lab): Record<string, FlowSpec> {
  const { key: text, actions: actionText } = lab.flow()
  const { key, mask } = parseKey(text)
  const actions = parseActions(actionText as string)
  const encoded = { key: flowKey.encode(new Writer(), key), mask: flowKey.encode(new Writer(), mask) }
  const writer = new Writer()
  actionList.write(writer, actions)
  return {
    text: { key: text, actions: actionText },
    typed: { key, mask, actions },
    raw: { ...encoded, actions: writer.take() },
    'raw key and typed actions': { ...encoded, actions },
    'typed key and text actions': { key, mask, actions: actionText },
  }
}

export const identityCases: readonly Case[] = [
  ...backends.flatMap((backend): Case[] => [
    {
      name: `every spelling gives the same flow, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const seen: unknown[] = []
        for (const [name, spec] of Object.entries(spellings(lab))) {
          const { ufid } = ok(await dpif.put(spec), backend)
          const { flow } = ok(await dpif.get({ ufid }), backend)
          assert(flow)
          seen.push({ ufid, ...(plain(flow) as object) })
          assert.deepEqual(seen.at(-1), seen[0], name)
          for (const key of [spec.key, lab.key()]) {
            assert.equal(ok(await dpif.get({ key }), backend).ufid, ufid, `got by key: ${name}`)
          }
          ok(await dpif.del({ key: spec.key }), backend)
          assert.deepEqual(await homes(dpif), {})
        }
      },
    },
    {
      name: `every spelling is EXISTS when the flow is there in another, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        ok(await dpif.put(lab.flow()), backend)
        for (const spec of Object.values(spellings(lab))) refused(await dpif.put(spec), 'EXISTS')
      },
    },
    {
      name: `a ufid is found in any case, in text or beside it, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const ufid = 'abcdef01-2345-4789-abcd-ef0123456789'
        ok(await dpif.put({ ...lab.flow(), ufid: ufid.toUpperCase() }), backend)
        assert.deepEqual(await homes(dpif), { [ufid]: backend })
        ok(await dpif.get({ ufid: ufid.toUpperCase() }), backend)
        ok(await dpif.get({ key: `ufid:${ufid},${lab.key()}` }), backend)
        ok(await dpif.del({ key: `ufid:${ufid},${lab.key()}` }), backend)
      },
    },
    {
      name: `a generated ufid depends on the key alone, in ${backend}`,
      run: async (lab) => {
        const first = ok(await (await lab.only(backend)).put(lab.flow(1)), backend)
        const another = await lab.only(backend)
        assert.equal(ok(await another.del({ key: lab.key(1) }), backend).ufid, first.ufid)
        assert.equal(ok(await another.put({ key: lab.key(1), actions: [] }), backend).ufid, first.ufid)
        assert.notEqual(ok(await another.put(lab.flow(2)), backend).ufid, first.ufid)
      },
    },
    {
      name: `another process sees, gets, modifies and deletes what was put, in ${backend}`,
      run: async (lab) => {
        const { ufid } = ok(await (await lab.only(backend)).put(lab.flow()), backend)
        const get = await lab.only(backend)
        assert.equal(ok(await get.get({ ufid }), backend).flow?.ufid, ufid)
        const dump = await lab.only(backend)
        assert.deepEqual(await homes(dump), { [ufid]: backend })
        const modify = await lab.only(backend)
        ok(await modify.put({ ...lab.flow(), actions: [] }, { mode: 'modify' }), backend)
        assert.deepEqual((await collect(dump))[0]?.actions, [])
        ok(await (await lab.only(backend)).del({ ufid }), backend)
        assert.deepEqual(await homes(dump), {})
      },
    },
    {
      name: `an op that names nothing, or no ufid, fails alone, with ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        refused(await dpif.get({}), 'SYNTAX')
        refused(await dpif.del({}), 'SYNTAX')
        for (const ufid of ['', 'nonsense', '3f2a9c10-0000-4000-8000-0123456789a', 'g'.repeat(36)]) {
          refused(await dpif.get({ ufid }), 'SYNTAX')
          refused(await dpif.del({ ufid }), 'SYNTAX')
          refused(await dpif.put({ ...lab.flow(), ufid }), 'SYNTAX')
        }
        assert.deepEqual(await homes(dpif), {})
      },
    },
  ]),
  {
    name: 'a flow without a ufid is dumped with one that was computed, and found by its key',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const match = parseKey(lab.key())
      await putWithoutUfid(lab.transport, dpif.datapath.ifindex, { ...match, actions: [] })
      const [flow] = await collect(dpif)
      assert(flow)
      assert.equal(flow.ufidPresent, false)
      assert.deepEqual(plain(flow), plain({ ...match, actions: [] }))
      for (const key of [lab.key(), flow.key]) {
        assert.equal(ok(await dpif.get({ key }), 'ovs').flow?.ufidPresent, false)
        refused(
          await dpif.put({ key, actions: [], ...(typeof key === 'string' ? {} : { mask: flow.mask }) }),
          'EXISTS',
        )
      }
    },
  },
  {
    name: 'a flow without a ufid is modified by the key it was put with',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      await putWithoutUfid(lab.transport, dpif.datapath.ifindex, { ...parseKey(lab.key()), actions: [] })
      ok(await dpif.put(lab.flow(), { mode: 'modify' }), 'ovs')
      assert.deepEqual((await collect(dpif))[0]?.actions, [{ output: lab.ports[1] }])
    },
  },
  {
    name: 'a flow without a ufid is modified by the key it is dumped with',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      await putWithoutUfid(lab.transport, dpif.datapath.ifindex, { ...parseKey(lab.key()), actions: [] })
      const [flow] = await collect(dpif)
      assert(flow)
      const { key, mask } = flow
      ok(await dpif.put({ key, mask, actions: [{ output: lab.ports[1] }] }, { mode: 'upsert' }), 'ovs')
      const [after, ...more] = await collect(dpif)
      assert.deepEqual(more, [])
      assert.deepEqual(after?.actions, [{ output: lab.ports[1] }])
    },
  },
  ...(['put', 'dumped', 'dumped, ufid and all,'] as const).map(
    (which): Case => ({
      name: `a flow without a ufid is found and deleted by the key it was ${which} with`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        await putWithoutUfid(lab.transport, dpif.datapath.ifindex, { ...parseKey(lab.key()), actions: [] })
        const [flow] = await collect(dpif)
        assert(flow)
        const ufid = which === 'dumped, ufid and all,' ? { ufid: flow.ufid } : {}
        const named = { key: which === 'put' ? lab.key() : flow.key, ...ufid }
        assert.equal(ok(await dpif.get(named), 'ovs').flow?.ufid, flow.ufid)
        ok(await dpif.del({ ...named, stats: true }), 'ovs')
        assert.deepEqual(await collect(dpif), [])
      },
    }),
  ),
]
