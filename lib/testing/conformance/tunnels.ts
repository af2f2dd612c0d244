import assert from 'node:assert/strict'
import type { AddPortOptions, TunnelType } from '../../../types/port.js'
import { createDatapath, deleteDatapath, openDpif } from '../../index.js'
import { backends, type Case, collect, ok, plain, refused } from './lab.js'

/** Every type of tunnel, and what its port is to say of it. */
const types: Readonly<Record<TunnelType, AddPortOptions['tunnel']>> = {
  vxlan: { dstPort: 4789 },
  geneve: { dstPort: 6081 },
  gre: {},
  ip6gre: {},
  erspan: {},
  ip6erspan: {},
}

/** Fits what every device is called. */
const NAME = 'conf-tunnel'

const nonsense: readonly (readonly [options: object, error: typeof TypeError | typeof RangeError])[] = [
  [{ type: 'stt' }, TypeError],
  [{ tunnel: { dstPort: 4789 } }, TypeError],
  [{ type: 'internal', tunnel: {} }, TypeError],
  [{ type: 'geneve', tunnel: { gbp: true } }, TypeError],
  [{ type: 'gre', tunnel: { dstPort: 4789 } }, TypeError],
  [{ type: 'vxlan', tunnel: { dstPort: 0 } }, RangeError],
  [{ type: 'vxlan', tunnel: { dstPort: 65536 } }, RangeError],
]

export const tunnelCases: readonly Case[] = [
  ...Object.entries(types).map(
    ([type, tunnel]): Case => ({
      name: `a port of type ${type} comes with its device and takes it along, whoever deletes it`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        const port = await dpif.addPort(NAME, { type: type as TunnelType, number: 40 })
        const { name, number, ifindex } = port
        assert.deepEqual(
          { name, number, type: port.type, tunnel: port.tunnel },
          { name: NAME, number: 40, type, tunnel },
        )
        const later = await lab.only('tc')
        const listed = (await later.ports()).find((known) => known.number === 40)
        assert.deepEqual({ ...listed, stats: undefined }, { ...port, stats: undefined })
        assert(ifindex > 0)
        await later.delPort(NAME)
        assert(!(await dpif.ports()).some((known) => known.number === 40))
        await assert.rejects(dpif.addPort(NAME), { code: 'NO_PORT' })
      },
    }),
  ),
  {
    name: 'a VXLAN port has the UDP port and the group policy that were asked for',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const tunnel = { dstPort: 4444, gbp: true }
      await dpif.addPort(NAME, { type: 'vxlan', tunnel })
      assert.deepEqual((await dpif.ports()).find(({ name }) => name === NAME)?.tunnel, tunnel)
      await dpif.delPort(NAME)
    },
  },
  {
    name: 'options of tunnels that make no sense are refused before anything is made',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      for (const [options, error] of nonsense) await assert.rejects(dpif.addPort(NAME, options), error)
      await assert.rejects(dpif.addPort(NAME), { code: 'NO_PORT' })
    },
  },
  {
    name: 'there is one tunnel of a kind and a UDP port, and a device of another kind does not become one',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const taken = (error: { code: string }) => ['BUSY', 'EXISTS'].includes(error.code)
      for (const type of ['vxlan', 'geneve', 'gre'] as const) {
        await dpif.addPort(NAME, { type })
        await assert.rejects(dpif.addPort(`${NAME}2`, { type }), taken)
        await assert.rejects(dpif.addPort(`${NAME}2`), { code: 'NO_PORT' })
        // It is a port already, and stays one.
        await assert.rejects(dpif.addPort(NAME, { type }), taken)
        await assert.rejects(dpif.addPort(NAME, { type: type === 'gre' ? 'erspan' : 'gre' }), {
          code: 'EXISTS',
        })
        assert.equal((await dpif.ports()).find(({ name }) => name === NAME)?.type, type)
        await dpif.delPort(NAME)
      }
    },
  },
  {
    name: 'the device of a port that could not be is taken away again',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      await assert.rejects(dpif.addPort(NAME, { type: 'vxlan', number: lab.ports[0] }), { code: 'BUSY' })
      await assert.rejects(dpif.addPort(NAME), { code: 'NO_PORT' })
    },
  },
  {
    name: 'a datapath takes the tunnels along that were made for it',
    run: async (lab) => {
      const { transport } = lab
      const datapath = 'conf-dp'
      await createDatapath(datapath, { transport })
      const dpif = await openDpif({ transport, datapath })
      await dpif.addPort(NAME, { type: 'geneve' })
      await dpif.close()
      await deleteDatapath(datapath, { transport })
      await assert.rejects((await lab.only('ovs')).addPort(NAME), { code: 'NO_PORT' })
    },
  },
  ...backends.map(
    (backend): Case => ({
      name: `flows into and out of a tunnel live in ${backend} and are dumped as they were put`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const { number } = await dpif.addPort(NAME, { type: 'vxlan' })
        const out = {
          key: lab.key(),
          actions: `set(tunnel(tun_id=0x7,dst=192.0.2.2,ttl=64,tp_dst=4789,flags(key))),${number}`,
        }
        const into = {
          key: lab.key(2, number),
          actions: `${lab.ports[0]}`,
        }
        const ufids = [ok(await dpif.put(out), backend).ufid, ok(await dpif.put(into), backend).ufid]
        const flows = await collect(dpif)
        assert.deepEqual(flows.map(({ ufid }) => ufid).sort(), [...ufids].sort())
        const [sent, received] = ufids.map((ufid) => flows.find((flow) => flow.ufid === ufid))
        assert.equal(sent?.actions.length, 2)
        assert.deepEqual(sent?.actions[1], { output: number })
        assert.equal(received?.key.inPort, number)
        const again = (await (await lab.only(backend)).get({ ufid: ufids[1] as string })).flow
        assert.deepEqual(again && plain(again), received && plain(received))
        await dpif.delPort(NAME)
        if (backend === 'tc') refused(await dpif.put({ key: lab.key(3, number), actions: [] }), 'NO_PORT')
      },
    }),
  ),
]
