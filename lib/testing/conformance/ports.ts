import assert from 'node:assert/strict'
import type { Dpif } from '../../../types/dpif.js'
import type { PortChange, PortChanges, PortEvent } from '../../../types/port.js'
import { createDatapath, deleteDatapath, openDpif } from '../../index.js'
import { type Case, eventually } from './lab.js'

const NAME = 'conf-int'

async function next(changes: PortChanges): Promise<PortChange> {
  const { value, done } = await changes.next()
  assert(!done, 'the loop goes on')
  return value
}

/** The next event of a port, as `change name`. */
async function told(changes: PortChanges): Promise<string> {
  const event = await next(changes)
  return event.change === 'unknown' ? event.change : `${event.change} ${event.port.name}`
}

async function portOf(dpif: Dpif, number: number) {
  const port = (await dpif.ports()).find((known) => known.number === number)
  assert(port, `there is a port ${number}`)
  return port
}

const wrong: readonly (readonly [options: object, error: typeof TypeError | typeof RangeError])[] = [
  [{ upcallPids: [] }, TypeError],
  [{ upcallPids: [-1] }, RangeError],
  [{ upcallPids: [2 ** 32] }, RangeError],
]

export const portCases: readonly Case[] = [
  {
    name: 'ports that come, go and change are told of in order, whoever does it',
    run: async (lab) => {
      const watcher = await lab.only('ovs')
      const actor = await lab.only('ovs')
      const changes = watcher.portChanges()
      await changes.start()
      const made = await actor.addPort(NAME, { type: 'internal', number: 40 })
      await actor.setPort(40, { upcallPids: [7] })
      await actor.delPort(40)
      const added = (await next(changes)) as PortEvent
      assert.equal(added.change, 'added')
      const { name, number, type, ifindex } = added.port
      assert.deepEqual(
        { name, number, type, ifindex },
        { name: NAME, number: 40, type: 'internal', ifindex: made.ifindex },
      )
      assert.equal(await told(changes), `changed ${NAME}`)
      const removed = (await next(changes)) as PortEvent
      assert.equal(removed.change, 'removed')
      assert.equal(removed.port.number, 40)
      assert.equal(removed.port.ifindex, made.ifindex)
      await changes.return()
      assert.deepEqual(await changes.next(), { done: true, value: undefined })
      await assert.rejects(changes.start(), { code: 'CLOSED' })
    },
  },
  {
    name: 'a tunnel that comes is told of with what its device says',
    run: async (lab) => {
      const changes = (await lab.only('ovs')).portChanges()
      await changes.start()
      const actor = await lab.only('ovs')
      await actor.addPort(NAME, { type: 'vxlan', tunnel: { dstPort: 4444 } })
      const added = (await next(changes)) as PortEvent
      assert.equal(added.port.type, 'vxlan')
      assert.deepEqual(added.port.tunnel, { dstPort: 4444 })
      await actor.delPort(NAME)
      const removed = (await next(changes)) as PortEvent
      assert.deepEqual([removed.change, removed.port.type], ['removed', 'vxlan'])
      await changes.return()
    },
  },
  {
    name: 'ports of other datapaths are not told of',
    run: async (lab) => {
      const { transport } = lab
      const dpif = await lab.only('ovs')
      const changes = dpif.portChanges()
      await changes.start()
      await createDatapath('conf-dp', { transport })
      try {
        const other = await openDpif({ transport, datapath: 'conf-dp' })
        await other.addPort(NAME, { type: 'internal' })
        await other.close()
      } finally {
        await deleteDatapath('conf-dp', { transport })
      }
      await dpif.setPort(lab.ports[0], { upcallPids: [0] })
      const event = (await next(changes)) as PortEvent
      assert.deepEqual([event.change, event.port.number], ['changed', lab.ports[0]])
      await changes.return()
    },
  },
  {
    name: 'changes that do not fit are told of as a loss, and those after it are told',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const changes = dpif.portChanges({ buffer: 4096 })
      await changes.start()
      for (let turn = 0; turn < 100; turn++) await dpif.setPort(lab.ports[0], { upcallPids: [turn] })
      let before = 0
      while ((await next(changes)).change !== 'unknown') before++
      assert(before < 100, `${before} of 100 changes fitted`)
      await dpif.addPort(NAME, { type: 'internal' })
      // What was read together with the loss, and came after it, is told behind it.
      let event = await told(changes)
      while (event.startsWith('changed')) event = await told(changes)
      assert.equal(event, `added ${NAME}`)
      await dpif.delPort(NAME)
      await changes.return()
    },
  },
  {
    name: 'a loop over changes that waits ends when it is returned from, and when its dpif closes',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      for (const end of ['return', 'close'] as const) {
        const changes = dpif.portChanges()
        await changes.start()
        const waiting = changes.next()
        await (end === 'return' ? changes.return() : dpif.close())
        assert.deepEqual(await waiting, { done: true, value: undefined })
      }
      assert.throws(() => dpif.portChanges(), { code: 'CLOSED' })
      const late = await lab.only('ovs')
      const never = late.portChanges()
      await late.close()
      await assert.rejects(never.next(), { code: 'CLOSED' })
    },
  },
  {
    name: 'a loop over changes ends with an error when the datapath is deleted',
    run: async (lab) => {
      const { transport } = lab
      await createDatapath('conf-dp', { transport })
      const dpif = await openDpif({ transport, datapath: 'conf-dp' })
      const changes = dpif.portChanges()
      await changes.start()
      await deleteDatapath('conf-dp', { transport })
      await assert.rejects(next(changes), { code: 'NO_DATAPATH' })
      assert.deepEqual(await changes.next(), { done: true, value: undefined })
      await dpif.close()
    },
  },
  {
    name: 'options of changes that make no sense are refused at once',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      for (const buffer of [1, 4095.5, 2 ** 31]) assert.throws(() => dpif.portChanges({ buffer }), RangeError)
    },
  },
  {
    name: 'a port is given the sockets its upcalls go to, and keeps everything else',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const [number] = lab.ports
      const port = await portOf(dpif, number)
      const { name, type } = port
      assert.deepEqual((await dpif.setPort(name, { upcallPids: [4711] })).upcallPids, [4711])
      assert.deepEqual((await portOf(dpif, number)).upcallPids, [4711])
      assert.equal((await dpif.setPort(number, { type, number, tunnel: {} })).name, name)
      for (const options of [
        { type: 'internal' },
        { number: number + 1 },
        { tunnel: { dstPort: 1 } },
      ] as const)
        await assert.rejects(dpif.setPort(number, options), { code: 'UNSUPPORTED' })
      for (const [options, error] of wrong) await assert.rejects(dpif.setPort(number, options), error)
      await assert.rejects(dpif.setPort('nobody', {}), { code: 'NO_PORT' })
      await dpif.setPort(number, { upcallPids: [0] })
    },
  },
  {
    name: 'with dispatch by port, a port that somebody else adds is heard',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const upcalls = dpif.upcalls({ dispatch: 'per-vport', handlers: 1 })
      const { pid } = await upcalls.start()
      const [number] = lab.ports
      const other = await lab.only('ovs')
      const { name } = await portOf(other, number)
      const heard = (async () => {
        for await (const batch of upcalls)
          if (batch.upcalls.some(({ key, packet }) => key.inPort === number && packet.length === 60)) return
        assert.fail('the loop goes on')
      })()
      // What goes wrong below ends the loop, and is what is to be told.
      heard.catch(() => {})
      await other.delPort(name)
      // By the time it is read back it may have been given its socket.
      const [first] = (await other.addPort(name, { number })).upcallPids ?? []
      assert.ok(first === 0 || first === pid, `pid ${first}`)
      await eventually(
        async () => (await portOf(other, number)).upcallPids,
        (pids) => pids?.[0] === pid,
      )
      await lab.send(number, lab.frame(), 1)
      await heard
      // One that was given to somebody is left to them.
      const kept = dpif.upcalls({ dispatch: 'per-vport', handlers: 1 })
      const { pid: ours } = await kept.start()
      const waiting = kept.next()
      await other.addPort(NAME, { type: 'internal', number: 41 })
      await eventually(
        async () => (await portOf(other, 41)).upcallPids,
        (pids) => pids?.[0] === ours,
      )
      await other.delPort(41)
      await kept.return()
      await waiting
    },
  },
]
