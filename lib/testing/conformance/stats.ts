import assert from 'node:assert/strict'
import { backends, type Case, collect, counted, ok } from './lab.js'

const zeros = { packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 }

export const statsCases: readonly Case[] = backends.flatMap((backend): Case[] => [
  {
    name: `stats come only when asked for, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const { ufid, stats } = ok(await dpif.put(lab.flow()))
      assert.equal(stats, undefined)
      assert.equal(ok(await dpif.put(lab.flow(), { mode: 'modify' })).stats, undefined)
      assert.equal(ok(await dpif.del({ ufid })).stats, undefined)
    },
  },
  {
    name: `a flow that nothing hit has counted nothing, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const { ufid, stats } = ok(await dpif.put(lab.flow(), { stats: true }))
      assert.deepEqual(stats, zeros, 'created')
      assert.deepEqual(
        ok(await dpif.put(lab.flow(), { mode: 'upsert', stats: true })).stats,
        zeros,
        'modified',
      )
      assert.deepEqual(ok(await dpif.get({ ufid })).stats, zeros)
      const [flow] = await collect(dpif)
      assert.deepEqual(flow?.stats, zeros, 'dumped')
      assert.deepEqual(ok(await dpif.del({ ufid, stats: true })).stats, zeros, 'deleted')
    },
  },
  {
    name: `packets are counted with their time, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const flow = ok(await dpif.put(lab.flow()))
      await lab.send(lab.ports[0], lab.frame(), 3)
      const { stats } = await counted(dpif, flow, 3n)
      assert.equal(stats?.bytes, 180n)
      const [dumped] = await collect(dpif)
      const [terse] = await collect(dpif, { terse: true })
      assert.equal(dumped?.stats.packets, 3n)
      assert.equal(terse?.stats.packets, 3n)
    },
  },
  {
    name: `a modify answers the counters before it, and they go on, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const flow = ok(await dpif.put(lab.flow()))
      const change = (actions: string) =>
        dpif.put({ ...lab.flow(), actions }, { mode: 'modify', stats: true })
      await lab.send(lab.ports[0], lab.frame(), 2)
      await counted(dpif, flow, 2n)
      assert.equal(ok(await change('')).stats?.packets, 2n)
      assert.equal(ok(await change(`${lab.ports[2]}`)).stats?.packets, 2n)
      await lab.send(lab.ports[0], lab.frame(), 1)
      const { stats } = await counted(dpif, flow, 3n)
      const [dumped] = await collect(dpif)
      assert.equal(dumped?.stats.packets, 3n)
      assert.equal(dumped?.stats.bytes, stats?.bytes)
      assert.equal(ok(await dpif.del({ ufid: flow.ufid, stats: true })).stats?.packets, 3n)
    },
  },
  {
    name: `zeroStats answers the counters before it and sets them back, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const flow = ok(await dpif.put(lab.flow()))
      const again = (options: object) => dpif.put(lab.flow(), { mode: 'upsert', stats: true, ...options })
      await lab.send(lab.ports[0], lab.frame(), 2)
      await counted(dpif, flow, 2n)
      assert.equal(ok(await again({})).stats?.packets, 2n)
      assert.equal(ok(await again({ zeroStats: true })).stats?.packets, 2n)
      assert.equal(ok(await dpif.get(flow)).stats?.packets, 0n)
      await lab.send(lab.ports[0], lab.frame(), 1)
      await counted(dpif, flow, 1n)
      const [dumped] = await collect(dpif)
      assert.equal(dumped?.stats.packets, 1n)
      assert.equal(ok(await dpif.del({ ufid: flow.ufid, stats: true })).stats?.packets, 1n)
    },
  },
  {
    name: `a flow that comes back after a del counts from 0, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const flow = ok(await dpif.put(lab.flow()))
      await lab.send(lab.ports[0], lab.frame(), 2)
      await counted(dpif, flow, 2n)
      ok(await dpif.put(lab.flow(), { mode: 'modify' }))
      ok(await dpif.del({ ufid: flow.ufid }))
      assert.deepEqual(ok(await dpif.put(lab.flow(), { stats: true })).stats, zeros)
      assert.deepEqual(ok(await dpif.get({ ufid: flow.ufid })).stats, zeros)
    },
  },
])
