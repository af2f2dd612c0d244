import assert from 'node:assert/strict'
import type { Dpif } from '../../../types/dpif.js'
import { backends, type Case, collect, homes, type Lab, ok } from './lab.js'
import { changeQdisc, filtersOf, hasQdisc, putForeign } from './raw.js'

/** Ifindex of the first port. */
async function deviceOf(dpif: Dpif, lab: Lab): Promise<number> {
  const port = (await dpif.ports()).find(({ number }) => number === lab.ports[0])
  assert(port, 'the datapath has the port')
  return port.ifindex
}

const ARP = 0x0806
/** A filter on the priority that we like best for IPv4. */
const inOurWay = { prio: 2, protocol: ARP, handle: 1 }

export const foreignCases: readonly Case[] = [
  ...backends.map(
    (backend): Case => ({
      name: `flush removes every flow of ours, in ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const device = await deviceOf(dpif, lab)
        const puts = Array.from({ length: 50 }, (_, index) => ({
          op: 'put' as const,
          ...lab.flow(index + 1),
        }))
        for (const result of await dpif.operate(puts)) ok(result, backend)
        assert.equal(await hasQdisc(lab.transport, device), backend === 'tc')
        await dpif.flush()
        assert.deepEqual(await homes(await lab.only(backend)), {})
        assert.equal(await hasQdisc(lab.transport, device), false, 'the qdisc we made is gone')
        ok(await dpif.put(lab.flow()), backend)
        await dpif.flush()
        await dpif.flush()
        assert.deepEqual(await homes(dpif), {})
      },
    }),
  ),
  {
    name: 'flush removes what another process of ours put, and leaves its qdisc',
    run: async (lab) => {
      const one = await lab.only('tc')
      ok(await one.put(lab.flow()), 'tc')
      const two = await lab.only('tc')
      await two.flush()
      assert.deepEqual(await homes(one), {})
      assert.equal(await hasQdisc(lab.transport, await deviceOf(two, lab)), true)
    },
  },
  {
    name: 'a qdisc that was there before us serves as it is, and stays',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const device = await deviceOf(dpif, lab)
      await changeQdisc(lab.transport, device, 'add')
      ok(await dpif.put(lab.flow()), 'tc')
      await dpif.flush()
      assert.equal(await hasQdisc(lab.transport, device), true)
    },
  },
  {
    name: 'the qdisc we made stays while a filter of others hangs on it',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const device = await deviceOf(dpif, lab)
      ok(await dpif.put(lab.flow()), 'tc')
      await putForeign(lab.transport, { ifindex: device, prio: 40, protocol: ARP, handle: 1 })
      await dpif.flush()
      assert.deepEqual(await filtersOf(lab.transport, device), ['40 0x0806 0x1'])
    },
  },
  ...[true, false].map(
    (before): Case => ({
      name: `a filter of others on the priority we like makes us take another, put ${before ? 'before we look' : 'meanwhile'}`,
      run: async (lab) => {
        const dpif = await lab.only('tc')
        const device = await deviceOf(dpif, lab)
        await changeQdisc(lab.transport, device, 'add')
        // The first op looks at what is there.
        if (!before)
          ok(await dpif.put({ key: `in_port(${lab.ports[0]}),eth(),eth_type(0x88b5)`, actions: '' }), 'tc')
        await putForeign(lab.transport, { ifindex: device, ...inOurWay })
        const results = await dpif.operate([1, 2, 3].map((number) => ({ op: 'put', ...lab.flow(number) })))
        for (const result of results) ok(result, 'tc')
        const seen = (await collect(await lab.only('tc'))).filter(({ key }) => key.etherType === 0x0800)
        assert.equal(seen.length, 3)
        await dpif.flush()
        assert.deepEqual(await filtersOf(lab.transport, device), ['2 0x0806 0x1'])
      },
    }),
  ),
  {
    name: 'a filter of others without a cookie is no flow',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const ifindex = await deviceOf(dpif, lab)
      await changeQdisc(lab.transport, ifindex, 'add')
      await putForeign(lab.transport, { ifindex, ...inOurWay })
      await putForeign(lab.transport, {
        ifindex,
        prio: 9,
        protocol: ARP,
        handle: 3,
        cookie: Uint8Array.of(1, 2, 3, 4),
      })
      assert.deepEqual(await homes(dpif), {})
      ok(await dpif.put(lab.flow()), 'tc')
      assert.equal((await collect(dpif)).length, 1)
    },
  },
  {
    name: 'a filter of others with a cookie of 16 bytes is a flow that can be read and deleted, and flush leaves it',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const ifindex = await deviceOf(dpif, lab)
      await changeQdisc(lab.transport, ifindex, 'add')
      const cookie = Uint8Array.from({ length: 16 }, (_, index) => index)
      await putForeign(lab.transport, { ifindex, prio: 9, protocol: ARP, handle: 3, cookie })
      const [flow] = await collect(dpif)
      assert.equal(flow?.key.etherType, ARP)
      assert.equal(flow?.key.inPort, lab.ports[0])
      assert.deepEqual(flow?.actions, [])
      await dpif.flush()
      assert.deepEqual(await filtersOf(lab.transport, ifindex), ['9 0x0806 0x3'])
      const { ufid } = flow as { ufid: string }
      ok(await dpif.get({ ufid }), 'tc')
      ok(await dpif.del({ ufid }), 'tc')
      assert.deepEqual(await filtersOf(lab.transport, ifindex), [])
    },
  },
  {
    name: 'two processes put filters on one port by turns and never meet',
    run: async (lab) => {
      const one = await lab.only('tc')
      const two = await lab.only('tc')
      // The first op looks at what is there.
      ok(await one.put(lab.flow(200)), 'tc')
      ok(await two.put(lab.flow(201)), 'tc')
      // The other runs far ahead while one still thinks the next handles are free.
      for (let number = 1; number <= 40; number++) ok(await two.put(lab.flow(number)), 'tc')
      ok(await one.put(lab.flow(100)), 'tc')
      for (let number = 41; number <= 60; number++)
        ok(await (number % 2 ? one : two).put(lab.flow(number)), 'tc')
      assert.equal((await collect(one)).length, 63)
      assert.deepEqual(await homes(one), await homes(two))
    },
  },
  {
    name: 'a flow that others deleted is NOT_FOUND and can be put again',
    run: async (lab) => {
      for (const backend of backends) {
        const dpif = await lab.only(backend)
        const { ufid } = ok(await dpif.put(lab.flow()), backend)
        ok(await (await lab.only(backend)).del({ ufid }), backend)
        const again = { ...lab.flow(), actions: [] }
        assert.equal((await dpif.put(again, { mode: 'modify' })).error?.code, 'NOT_FOUND')
        assert.equal((await dpif.get({ ufid })).error?.code, 'NOT_FOUND')
        ok(await dpif.put(again), backend)
        ok(await (await lab.only(backend)).del({ ufid }), backend)
        assert.equal((await dpif.del({ ufid })).error?.code, 'NOT_FOUND')
        ok(await dpif.put(again, { mode: 'upsert' }), backend)
        await dpif.flush()
      }
    },
  },
  {
    name: 'a qdisc that others removed is made again, and the flows on it are gone',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      ok(await dpif.put(lab.flow(1)), 'tc')
      const device = await deviceOf(dpif, lab)
      await changeQdisc(lab.transport, device, 'remove')
      ok(await dpif.put(lab.flow(2)), 'tc')
      const result = await dpif.put({ ...lab.flow(1), actions: [] }, { mode: 'modify' })
      assert.equal(result.error?.code, 'NOT_FOUND')
      ok(await dpif.put(lab.flow(1), { mode: 'upsert' }), 'tc')
      assert.equal((await collect(dpif)).length, 2)
      await dpif.flush()
      assert.equal(await hasQdisc(lab.transport, device), false)
    },
  },
]
