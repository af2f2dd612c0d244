import assert from 'node:assert/strict'
import { changeDatapath, kernelFeatures } from '../../index.js'
import { type Case, homes, type Lab, ok } from './lab.js'

const change = async (lab: Lab, settings: Parameters<typeof changeDatapath>[1]) => {
  const { name } = (await lab.only('ovs')).datapath
  return changeDatapath(name, { transport: lab.transport, ...settings })
}

export const datapathCases: readonly Case[] = [
  {
    name: 'the mask cache is set, and nothing else changes with it',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const put = ok(await dpif.put(lab.flow()))
      const { features, masksCacheSize } = dpif.datapath
      assert.equal(masksCacheSize, 256)
      for (const size of [1024, 0, 256]) {
        const changed = await change(lab, { masksCacheSize: size })
        assert.equal(changed.masksCacheSize, size)
        assert.deepEqual(changed.features, features)
      }
      assert.deepEqual(await homes(dpif), { [put.ufid]: 'ovs' })
      assert.equal((await dpif.ports()).length, 4)
    },
  },
  {
    name: 'features are switched on and off, and the mask cache stays',
    run: async (lab) => {
      await change(lab, { masksCacheSize: 512 })
      const changed = await change(lab, { features: ['vportPids', 'unaligned'] })
      assert.deepEqual(changed.features, ['unaligned', 'vportPids'])
      assert.equal(changed.masksCacheSize, 512)
      assert.deepEqual((await change(lab, { features: [] })).features, [])
    },
  },
  {
    name: 'a mask cache larger than the kernel has is refused, and changes nothing',
    run: async (lab) => {
      await assert.rejects(change(lab, { masksCacheSize: 2 ** 20, features: ['unaligned'] }), {
        code: 'INVALID',
      })
      const { masksCacheSize, features } = await change(lab, {})
      assert.equal(masksCacheSize, 256)
      assert(!features.includes('unaligned'))
    },
  },
  {
    name: 'a kernel that is asked for its features keeps no trace of it',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const found = await kernelFeatures(dpif.datapath.name, { transport: lab.transport })
      assert(found.some(({ name, present }) => name === 'ufid' && present === true))
      assert(found.some(({ backend, name, present }) => backend === 'tc' && name === 'ctState' && present))
      assert.deepEqual(await homes(dpif), {})
      assert.equal((await dpif.stats()).flows, 0n)
    },
  },
]
