import assert from 'node:assert/strict'
import type { Dpif } from '../../../types/dpif.js'
import type { Upcall, UpcallDispatch, UpcallOptions, Upcalls } from '../../../types/upcall.js'
import { listDatapaths } from '../../index.js'
import { type Case, counted, eventually, type Lab, ok } from './lab.js'

const dispatches: readonly UpcallDispatch[] = ['per-cpu', 'per-vport']

/** The next upcalls of the case's own frames; hosts behind real links send some of their own. */
async function next(upcalls: Upcalls, lab: Lab, count = 1, number = 1): Promise<Upcall[]> {
  const found: Upcall[] = []
  const frame = Buffer.from(lab.frame(number))
  while (found.length < count) {
    const { value, done } = await upcalls.next()
    assert(!done, 'the loop goes on')
    for (const upcall of value.upcalls) {
      if (frame.subarray(0, upcall.packet.length).equals(upcall.packet)) found.push(upcall)
    }
  }
  assert.equal(found.length, count)
  return found
}

const features = async (dpif: Dpif, lab: Lab) =>
  (await listDatapaths({ transport: lab.transport })).find(({ name }) => name === dpif.datapath.name)
    ?.features

/** A match of one frame of the case's own, as it was handed over. */
const mask = { recircId: 0xffffffff, inPort: 0xffffffff, etherType: 0xffff, ipv4: { dst: '255.255.255.255' } }

const wrong: readonly UpcallOptions[] = [
  { handlers: 0 },
  { handlers: 65 },
  { handlers: 1.5 },
  { buffer: 1 },
  { dispatch: 'x' as never },
]

export const upcallCases: readonly Case[] = [
  {
    name: 'however many packets wait, a batch is as large as can be answered at once, and none is missed',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const upcalls = dpif.upcalls()
      await upcalls.start()
      const COUNT = 700
      await lab.send(lab.ports[0], lab.frame(), COUNT)
      const frame = Buffer.from(lab.frame())
      const sizes: number[] = []
      let found = 0
      while (found < COUNT) {
        const { value } = await upcalls.next()
        assert.equal(value.lost, 0n)
        sizes.push(value.upcalls.length)
        found += value.upcalls.filter(({ packet }: Upcall) =>
          frame.subarray(0, packet.length).equals(packet),
        ).length
      }
      assert.equal(found, COUNT)
      assert(Math.max(...sizes) <= 256, `batches of ${sizes.join(', ')}`)
      await upcalls.return()
    },
  },
  ...dispatches.flatMap((dispatch): Case[] => [
    {
      name: `a packet without a flow is handed over ${dispatch}, and its key can be put as it came`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        const upcalls = dpif.upcalls({ dispatch, handlers: 3 })
        const route = await upcalls.start()
        assert.equal(route.dispatch, dispatch)
        assert(route.handlers >= 1 && route.handlers <= 3)
        assert(route.pid !== 0)
        const [port, out] = lab.ports
        await lab.send(port, lab.frame(), 1)
        const [upcall] = await next(upcalls, lab)
        assert(upcall)
        assert.equal(upcall.kind, 'miss')
        assert.equal(upcall.length, 60)
        assert.equal(upcall.key.inPort, port)
        assert.equal(upcall.key.ipv4?.dst, '10.0.0.1')
        for (const part of ['userdata', 'egressTunnel', 'actions', 'mru'] as const)
          assert.equal(upcall[part], undefined, part)
        const { packet, rawKey, hash } = upcall
        const [put, executed] = await dpif.operate([
          { op: 'put', key: rawKey, mask, actions: `${out}` },
          { op: 'execute', packet, key: rawKey, hash, actions: `${out}` },
        ])
        ok(executed)
        // The packet that was executed met no flow.
        await lab.send(port, lab.frame(), 2)
        await counted(dpif, ok(put, 'ovs'), 2n)
        await lab.send(port, lab.frame(2), 1)
        await next(upcalls, lab, 1, 2)
        await upcalls.return()
      },
    },
    {
      name: `an action hands a packet over ${dispatch}, with what it says`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        const upcalls = dpif.upcalls({ dispatch })
        const { pid } = await upcalls.start()
        const userdata = Uint8Array.of(1, 2, 3, 4, 5)
        const [port, out] = lab.ports
        const actions = [{ output: out }, { userspace: { pid, userdata, actions: true as const } }]
        ok(await dpif.put({ key: lab.key(), actions }))
        await lab.send(port, lab.frame(), 2)
        for (const upcall of await next(upcalls, lab, 2)) {
          assert.equal(upcall.kind, 'action')
          assert.deepEqual([...(upcall.userdata ?? [])], [...userdata])
          assert.deepEqual(upcall.actions?.[0], { output: out })
          assert.equal(upcall.key.inPort, port)
        }
        const cut = [{ trunc: 20 }, { userspace: { pid } }]
        ok(await dpif.put({ key: lab.key(), actions: cut }, { mode: 'modify' }))
        await lab.send(port, lab.frame(), 1)
        const [short] = await next(upcalls, lab)
        assert.equal(short?.packet.length, 20)
        assert.equal(short?.length, 60)
        assert.equal(short?.userdata, undefined)
        await upcalls.return()
      },
    },
    {
      name: `a port that is added later is heard ${dispatch}`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        const upcalls = dpif.upcalls({ dispatch })
        await upcalls.start()
        const name = (await dpif.ports()).find(({ number }) => number === lab.ports[0])?.name ?? ''
        await dpif.delPort(name)
        await dpif.addPort(name, { number: lab.ports[0] })
        await lab.send(lab.ports[0], lab.frame(), 1)
        await next(upcalls, lab)
        await upcalls.return()
      },
    },
    {
      name: `what does not fit while nobody reads is lost and counted, ${dispatch}`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        const upcalls = dpif.upcalls({ dispatch, handlers: 1, buffer: 8192 })
        await upcalls.start()
        const { lost: before } = await dpif.stats()
        for (let turn = 0; turn < 4; turn++) await lab.send(lab.ports[0], lab.frame(), 50)
        const counted = async () => (await dpif.stats()).lost - before
        await eventually(counted, (lost) => lost >= 100n)
        let told = 0n
        let heard = 0
        // Reading on until nothing is missing; what comes meanwhile from elsewhere is heard as well.
        while (told < (await counted())) {
          const { value } = await upcalls.next()
          told += value.lost
          heard += value.upcalls.length
        }
        assert(heard > 0, 'what did fit was heard')
        assert.equal(told, await counted())
        await lab.send(lab.ports[0], lab.frame(2), 1)
        await next(upcalls, lab, 1, 2)
        await upcalls.return()
      },
    },
    {
      name: `when the loop ends nobody is sent anything, and the datapath is as before, ${dispatch}`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        const before = await features(dpif, lab)
        const upcalls = dpif.upcalls({ dispatch })
        await upcalls.start()
        const { lost } = await dpif.stats()
        await upcalls.return()
        assert.deepEqual(await features(dpif, lab), before)
        await lab.send(lab.ports[0], lab.frame(), 3)
        await eventually(
          () => dpif.stats(),
          (now) => now.lost - lost >= 3n,
        )
        assert.deepEqual(await upcalls.next(), { done: true, value: undefined })
        await assert.rejects(upcalls.start(), { code: 'CLOSED' })
      },
    },
    {
      name: `whoever took the dispatch over keeps it when the one before ends, ${dispatch}`,
      run: async (lab) => {
        const first = await lab.only('ovs')
        const second = await lab.only('ovs')
        const before = first.upcalls({ dispatch })
        await before.start()
        const after = second.upcalls({ dispatch })
        await after.start()
        await before.return()
        await lab.send(lab.ports[0], lab.frame(), 1)
        await next(after, lab)
        await after.return()
      },
    },
  ]),
  {
    name: 'a dpif has one loop at a time, and options that make no sense are refused at once',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const upcalls = dpif.upcalls()
      assert.throws(() => dpif.upcalls(), { code: 'BUSY' })
      await upcalls.return()
      for (const options of wrong) assert.throws(() => dpif.upcalls(options), RangeError)
      await dpif.upcalls().return()
    },
  },
  {
    name: 'a loop that waits ends when it is returned from, and when its dpif closes',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const upcalls = dpif.upcalls()
      await upcalls.start()
      const over = (async () => {
        for await (const batch of upcalls) assert(batch.upcalls.length > 0 || batch.lost > 0n)
      })()
      await upcalls.return()
      await over
      const again = (async () => {
        for await (const batch of dpif.upcalls()) assert(batch.upcalls.length > 0 || batch.lost > 0n)
      })()
      await dpif.close()
      await again
    },
  },
]
