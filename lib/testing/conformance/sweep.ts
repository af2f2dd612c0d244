import assert from 'node:assert/strict'
import type { Dpif } from '../../../types/dpif.js'
import type { BackendName } from '../../../types/op.js'
import { backends, type Case, collect, counted, eventually, ok, other, steering, to } from './lab.js'

interface Swept {
  readonly backend: BackendName
  readonly packets: bigint
  readonly bytes: bigint
  readonly used: number
  readonly offloaded: number
}

/** Everything a sweep tells, by ufid. */
async function swept(dpif: Dpif): Promise<Map<string, Swept>> {
  const found = new Map<string, Swept>()
  for await (const page of dpif.sweep()) {
    for (let index = 0; index < page.count; index++) {
      const ufid = page.ufid(index)
      assert(!found.has(ufid), `${ufid} is swept twice`)
      const [packets, bytes, used] = [page.packets[index], page.bytes[index], page.used[index]]
      const offloaded = page.offloaded[index]
      assert(packets !== undefined && bytes !== undefined && used !== undefined && offloaded !== undefined)
      found.set(ufid, { backend: page.backend, packets, bytes, used, offloaded })
    }
    assert.throws(() => page.ufid(page.count), { name: 'RangeError' })
  }
  return found
}

/** CLOCK_MONOTONIC in ms, as the kernel under test has it. */
const clock = async () => Number(process.hrtime.bigint() / 1_000_000n)
const TICK = 10
/** Until the clock shows more than `time` by a few ticks. */
const later = (time: number) => eventually(clock, (now) => now > time + 3 * TICK)

export const sweepCases: readonly Case[] = [
  {
    name: 'a sweep without flows has none',
    run: async (lab) => assert.equal((await swept(await lab.only('ovs'))).size, 0),
  },
  ...backends.flatMap((backend): Case[] => [
    {
      name: `a sweep counts what a dump counts, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const flow = ok(await dpif.put(lab.flow()), backend)
        const idle = ok(await dpif.put(lab.flow(2)), backend)
        await lab.send(lab.ports[0], lab.frame(), 3)
        await counted(dpif, flow, 3n)
        const found = await swept(dpif)
        for (const { ufid, stats } of await collect(dpif, { terse: true })) {
          const { used, ...counts } = found.get(ufid) as Swept
          assert.deepEqual(counts, { backend, packets: stats.packets, bytes: stats.bytes, offloaded: 0 })
          // The kernel counts time back from now, tick by tick, so it never says quite the same twice. A sweep of TC has no 'never'.
          assert.equal(used > 0, stats.used > 0 || backend === 'tc')
        }
        assert.equal(found.get(flow.ufid)?.packets, 3n)
        assert.equal(found.get(idle.ufid)?.packets, 0n)
        assert.equal(found.size, 2)
      },
    },
    {
      name: `a sweep has every flow of many, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const ops = Array.from({ length: 3000 }, (_, index) => ({
          op: 'put' as const,
          ...lab.flow(index + 1),
        }))
        const put = (await dpif.operate(ops)).map((result) => ok(result, backend).ufid)
        for (let turn = 0; turn < 2; turn++) {
          assert.deepEqual([...(await swept(dpif)).keys()].sort(), [...put].sort())
        }
      },
    },
    {
      name: `a sweep one breaks out of is over, and nothing waits for it, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        ok(await dpif.put(lab.flow()), backend)
        for (let turn = 0; turn < 3; turn++) for await (const _ of dpif.sweep()) break
        assert.equal((await swept(dpif)).size, 1)
      },
    },
    {
      name: `a sweep goes on with what a flow counted before it moved away from ${backend}`,
      run: async (lab) => {
        const { policy, to: steer } = steering([backend])
        const dpif = await lab.open(policy)
        const flow = ok(await dpif.put(lab.flow()), backend)
        await lab.send(lab.ports[0], lab.frame(), 3)
        await counted(dpif, flow, 3n)
        steer(other(backend))
        ok(await dpif.put(lab.flow(), { mode: 'modify' }), other(backend))
        const after = (await swept(dpif)).get(flow.ufid)
        assert.equal(after?.backend, other(backend))
        assert.equal(after?.packets, 3n)
      },
    },
  ]),
  {
    name: 'a sweep of TC tells when the counters were seen to move, and that time stands still while they do',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const flow = ok(await dpif.put(lab.flow()), 'tc')
      const idle = ok(await dpif.put(lab.flow(2)), 'tc')
      const usedOf = async ({ ufid }: { ufid: string }) => (await swept(dpif)).get(ufid)?.used ?? 0
      const before = await clock()
      const first = await usedOf(flow)
      assert(first > before - TICK && first <= (await clock()), 'seen first')
      await later(first)
      assert.equal(await usedOf(flow), first, 'no packet came')
      await lab.send(lab.ports[0], lab.frame(), 3)
      await counted(dpif, flow, 3n)
      const moved = await usedOf(flow)
      assert(moved > first, 'packets came')
      await later(moved)
      // Another comes, and one goes.
      const young = ok(await dpif.put(lab.flow(3)), 'tc')
      assert((await usedOf(young)) > moved)
      ok(await dpif.del({ ufid: idle.ufid }))
      assert.equal(await usedOf(flow), moved)
      // Whoever stops in the middle has seen nothing.
      for await (const _ of dpif.sweep()) break
      assert.equal(await usedOf(flow), moved)
    },
  },
  {
    name: 'a flow that is in both backends is swept once',
    run: async (lab) => {
      const first = await lab.open(to('ovs'))
      const second = await lab.open(to('tc'))
      // Both have looked already, so neither hears of the other's flow.
      for (const dpif of [first, second]) await dpif.get({ ufid: '00000000-0000-4000-8000-000000000000' })
      const { ufid } = ok(await first.put(lab.flow()), 'ovs')
      ok(await second.put(lab.flow()), 'tc')
      ok(await first.put(lab.flow(2)), 'ovs')
      const found = await swept(first)
      assert.equal(found.get(ufid)?.backend, 'tc')
      assert.equal(found.size, 2)
    },
  },
]
