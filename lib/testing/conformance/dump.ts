import assert from 'node:assert/strict'
import type { BackendName, DumpType } from '../../../types/op.js'
import { DpifError } from '../../errors.js'
import { backends, type Case, collect, homes, ok, to } from './lab.js'

/** Which of a flow in TC and one in openvswitch a dump of these types yields; no device takes flows here. */
// biome-ignore format: one row per line
const kinds: readonly { types: readonly DumpType[]; expect: readonly BackendName[] }[] = [
  { types: [],                       expect: ['ovs', 'tc'] },
  { types: ['ovs'],                  expect: ['ovs'] },
  { types: ['tc'],                   expect: ['tc'] },
  { types: ['ovs', 'tc'],            expect: ['ovs', 'tc'] },
  { types: ['offloaded'],            expect: [] },
  { types: ['non-offloaded'],        expect: ['ovs', 'tc'] },
  { types: ['offloaded', 'ovs'],     expect: ['ovs'] },
  { types: ['tc', 'non-offloaded'],  expect: ['ovs', 'tc'] },
]

export const dumpCases: readonly Case[] = [
  {
    name: 'a dump without flows is empty',
    run: async (lab) => assert.deepEqual(await collect(await lab.open(to('tc', 'ovs'))), []),
  },
  {
    name: 'a dump has the flows of both backends, those in TC first',
    run: async (lab) => {
      const inOvs = await lab.only('ovs')
      const inTc = await lab.only('tc')
      const expected: Record<string, BackendName> = {}
      for (let number = 1; number <= 6; number++) {
        const backend = number % 2 === 0 ? 'ovs' : 'tc'
        const { ufid } = ok(await (backend === 'ovs' ? inOvs : inTc).put(lab.flow(number)), backend)
        expected[ufid] = backend
      }
      for (const dpif of [inOvs, inTc, await lab.open(to('tc', 'ovs'))]) {
        assert.deepEqual(await homes(dpif), expected)
        assert.deepEqual(
          (await collect(dpif)).map(({ backend }) => backend),
          ['tc', 'tc', 'tc', 'ovs', 'ovs', 'ovs'],
        )
      }
    },
  },
  {
    name: 'flows on several ports are dumped with the port they are on',
    run: async (lab) => {
      for (const backend of backends) {
        const dpif = await lab.only(backend)
        for (const port of lab.ports) ok(await dpif.put({ key: lab.key(1, port), actions: [] }))
        const seen = (await collect(dpif)).map(({ key, mask }) => [key.inPort, mask.inPort])
        assert.deepEqual(
          seen.sort(([a = 0], [b = 0]) => a - b),
          lab.ports.map((port) => [port, 0xffffffff]),
        )
        await dpif.flush()
      }
    },
  },
  {
    name: 'a flow that is in both backends is dumped once, and deleted from both',
    run: async (lab) => {
      const inTc = await lab.only('tc')
      const inOvs = await lab.only('ovs')
      // Opened and read before there is anything, so that neither knows of the other's.
      await collect(inTc)
      const { ufid } = ok(await inTc.put(lab.flow()), 'tc')
      const other = '00000000-0000-4000-8000-000000000001'
      ok(await inOvs.put({ ...lab.flow(2), ufid: other }), 'ovs')
      const both = { ...lab.flow(2), ufid }
      ok(await inOvs.del({ ufid: other }), 'ovs')
      // What a process leaves that ends in the middle of a move.
      ok(await inOvs.put(both, { mode: 'upsert' }), 'ovs')
      assert.deepEqual(await homes(await lab.open(to('tc'))), { [ufid]: 'ovs' })
    },
  },
  ...kinds.map(
    ({ types, expect }): Case => ({
      name: `a dump of ${types.join(' and ') || 'no types in particular'} has ${expect.join(' and ') || 'nothing'}`,
      run: async (lab) => {
        for (const backend of backends) {
          ok(await (await lab.only(backend)).put(lab.flow(backend === 'ovs' ? 1 : 2)), backend)
        }
        const dpif = await lab.open(to('tc', 'ovs'))
        for (const terse of [false, true]) {
          const seen = (await collect(dpif, { types, terse })).map(({ backend }) => backend)
          assert.deepEqual(seen.sort(), [...expect])
        }
      },
    }),
  ),
  {
    name: 'a dump of an unknown type throws a TypeError',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      await assert.rejects(collect(dpif, { types: ['dpdk' as never] }), {
        name: 'TypeError',
        message: /dpdk/,
      })
    },
  },
  ...backends.flatMap((backend): Case[] => [
    {
      name: `a terse dump has identity and counters only, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const { ufid } = ok(await dpif.put(lab.flow()), backend)
        const [flow, ...more] = await collect(dpif, { terse: true })
        assert(flow)
        assert.deepEqual(more, [])
        assert.equal(flow.ufid, ufid)
        assert.equal(flow.ufidPresent, true)
        assert.equal(flow.backend, backend)
        assert.deepEqual(
          { key: flow.key, mask: flow.mask, actions: flow.actions },
          { key: {}, mask: {}, actions: [] },
        )
        assert.deepEqual(flow.stats, { packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 })
      },
    },
    {
      name: `a dump goes on while flows are put, and has all that were there throughout, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const first = await dpif.operate(
          Array.from({ length: 200 }, (_, index) => ({ op: 'put' as const, ...lab.flow(index + 1) })),
        )
        const seen = new Set<string>()
        let number = 1000
        try {
          for await (const { ufid } of dpif.dump()) {
            assert(!seen.has(ufid), `${ufid} is dumped twice`)
            seen.add(ufid)
            if (seen.size % 20 === 0) ok(await dpif.put(lab.flow(number++)), backend)
          }
        } catch (error) {
          // The kernel's right, at the end, after all that could be read.
          if (!(error instanceof DpifError) || error.code !== 'DUMP_INTERRUPTED') throw error
        }
        for (const result of first) assert(seen.has(ok(result, backend).ufid))
      },
    },
    {
      name: `a dump one breaks out of is over, and nothing waits for it, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        await dpif.operate(
          Array.from({ length: 300 }, (_, index) => ({ op: 'put' as const, ...lab.flow(index + 1) })),
        )
        for (let turn = 0; turn < 20; turn++) {
          for await (const flow of dpif.dump()) {
            assert.equal(flow.backend, backend)
            break
          }
        }
        assert.equal(Object.keys(await homes(dpif)).length, 300)
        await dpif.close()
      },
    },
    {
      name: `a flow that was dumped keeps what it said when the flow is gone, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        ok(await dpif.put(lab.flow()), backend)
        const [flow] = await collect(dpif)
        await dpif.flush()
        await collect(dpif)
        assert.equal(flow?.key.inPort, lab.ports[0])
        assert.deepEqual(flow?.actions, [{ output: lab.ports[1] }])
      },
    },
  ]),
]
