import assert from 'node:assert/strict'
import type { Dpif } from '../../../types/dpif.js'
import { openDpif } from '../../index.js'
import { backends, type Case, collect, homes, type Lab, ok, refused } from './lab.js'

/** Everything a closed object can be asked. */
const calls: Readonly<Record<string, (dpif: Dpif, lab: Lab) => Promise<unknown>>> = {
  operate: (dpif) => dpif.operate([]),
  put: (dpif, lab) => dpif.put(lab.flow()),
  execute: (dpif, lab) => dpif.execute({ packet: lab.frame(), actions: '' }),
  upcalls: async (dpif) => dpif.upcalls().next(),
  stats: (dpif) => dpif.stats(),
  get: (dpif, lab) => dpif.get({ key: lab.key() }),
  del: (dpif, lab) => dpif.del({ key: lab.key() }),
  dump: (dpif) => collect(dpif),
  flush: (dpif) => dpif.flush(),
  explain: (dpif, lab) => dpif.explain(lab.flow()),
  trace: (dpif, lab) => dpif.trace(lab.flow()),
  audit: async (dpif) => dpif.audit().next(),
  tidy: async (dpif) => dpif.tidy().next(),
  ports: (dpif) => dpif.ports(),
  addPort: (dpif) => dpif.addPort('lo'),
  delPort: (dpif) => dpif.delPort(1),
}

export const lifetimeCases: readonly Case[] = [
  ...Object.entries(calls).map(
    ([name, call]): Case => ({
      name: `${name} after close rejects with CLOSED`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        await dpif.close()
        await dpif.close()
        await assert.rejects(call(dpif, lab), { name: 'DpifError', code: 'CLOSED' })
      },
    }),
  ),
  {
    name: 'close waits for what is under way, and flows stay',
    run: async (lab) => {
      for (const backend of backends) {
        const dpif = await lab.only(backend)
        const put = dpif.put(lab.flow())
        await dpif.close()
        const { ufid } = ok(await put, backend)
        const again = await lab.only(backend)
        assert.deepEqual(await homes(again), { [ufid]: backend })
        await again.flush()
      }
    },
  },
  {
    name: 'a datapath that is not there is NO_DATAPATH',
    run: async (lab) => {
      const options = { transport: lab.transport, datapath: 'no-such-dp' }
      await assert.rejects(openDpif(options), { name: 'DpifError', code: 'NO_DATAPATH', errno: 19 })
    },
  },
  {
    name: 'the ports are listed by their numbers, the internal one first',
    run: async (lab) => {
      const ports = await (await lab.only('ovs')).ports()
      assert.deepEqual(
        ports.map(({ number, type }) => [number, type]),
        [[0, 'internal'], ...lab.ports.map((number) => [number, 'netdev'])],
      )
      assert(ports.every(({ ifindex, name }) => ifindex > 0 && name !== ''))
    },
  },
  {
    name: 'a port that is not there cannot be deleted, and one that is there not added',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      await assert.rejects(dpif.delPort(4000), { code: 'NO_PORT' })
      await assert.rejects(dpif.delPort('no-such-port'), { code: 'NO_PORT' })
      await assert.rejects(dpif.addPort('no-such-dev'), { code: 'NO_PORT', errno: 19 })
      const [, port] = await dpif.ports()
      await assert.rejects(dpif.addPort(port?.name ?? ''), (error: { code: string }) =>
        ['BUSY', 'EXISTS'].includes(error.code),
      )
    },
  },
  {
    name: 'a detached port takes no flows in TC, and takes them again when it is back, under another number',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      ok(await dpif.put(lab.flow()), 'tc')
      await dpif.flush()
      const name = (await dpif.ports()).find(({ number }) => number === lab.ports[0])?.name ?? ''
      await dpif.delPort(lab.ports[0])
      assert.equal(refused(await dpif.put(lab.flow()), 'NO_PORT').path, 'inPort')
      const { number } = await dpif.addPort(name, { number: 77 })
      assert.equal(number, 77)
      ok(await dpif.put({ key: lab.key(1, 77), actions: [] }), 'tc')
      assert.equal((await collect(dpif))[0]?.key.inPort, 77)
      await dpif.flush()
    },
  },
]
