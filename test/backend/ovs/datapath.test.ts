import t from 'tap'
import {
  changeDatapath,
  createDatapath,
  kernelFeatures,
  listDatapaths,
  openDpif,
  type Transport,
} from '../../../lib/index.js'
import { features } from '../../../lib/tc/features.js'
import { flowProbes } from '../../../lib/ovs/probes.js'
import { SimulatedKernel } from '../../../lib/testing/index.js'

t.test('a datapath has the features and the cache it is made with', async (t) => {
  const transport = new SimulatedKernel()
  t.match(await createDatapath('dp0', { transport }), { features: ['tcRecircSharing'], masksCacheSize: 256 })
  t.same((await createDatapath('dp1', { transport, features: [] })).features, [])
  const made = await createDatapath('dp2', {
    transport,
    features: ['vportPids', 'unaligned'],
    masksCacheSize: 1024,
  })
  t.same(made.features, ['unaligned', 'vportPids'])
  t.equal(made.masksCacheSize, 1024)
})

t.test('what is left out of a change stays', async (t) => {
  const transport = new SimulatedKernel()
  await createDatapath('dp0', { transport, features: ['unaligned'] })
  t.match(await changeDatapath('dp0', { transport, masksCacheSize: 512 }), {
    features: ['unaligned'],
    masksCacheSize: 512,
  })
  t.match(await changeDatapath('dp0', { transport, features: ['vportPids'] }), {
    features: ['vportPids'],
    masksCacheSize: 512,
  })
  t.same((await changeDatapath('dp0', { transport, features: [], masksCacheSize: 0 })).features, [])
  t.match(await listDatapaths({ transport }), [{ features: [], masksCacheSize: 0 }])
})

t.test('settings that are none are refused before anything is asked', async (t) => {
  const transport = new SimulatedKernel()
  await createDatapath('dp0', { transport })
  const silent = { ...transport, exchange: () => t.fail('nothing is asked') } as unknown as Transport
  for (const size of [3, -1, 1.5, 2 ** 32, Number.NaN])
    await t.rejects(changeDatapath('dp0', { transport: silent, masksCacheSize: size }), RangeError, `${size}`)
  await t.rejects(changeDatapath('dp0', { transport: silent, features: ['zork' as never] }), TypeError)
  await t.rejects(changeDatapath('dp0', { transport, masksCacheSize: 8192 }), { code: 'INVALID' })
  await t.rejects(changeDatapath('nope', { transport, masksCacheSize: 256 }), { code: 'NO_DATAPATH' })
})

t.test('a kernel without what is asked for leaves nothing behind', async (t) => {
  const transport = new SimulatedKernel()
  // OVS_DP_ATTR_MASKS_CACHE_SIZE is passed over, and not told of, before Linux 5.10.
  const old = withoutCache(transport)
  await t.rejects(createDatapath('dp0', { transport: old, masksCacheSize: 512 }), { code: 'UNSUPPORTED' })
  t.same(await listDatapaths({ transport }), [])
  await createDatapath('dp0', { transport: old })
  await t.rejects(changeDatapath('dp0', { transport: old, masksCacheSize: 512 }), { code: 'UNSUPPORTED' })
})

t.test('opening and reading write nothing', async (t) => {
  const transport = new SimulatedKernel()
  await createDatapath('dp0', { transport })
  const end = transport.fault(({ protocol, command }) => {
    // NEW, DEL and SET of datapaths, ports and flows.
    if (protocol === 'generic' && [1, 2, 4].includes(command)) t.fail(`command ${command} was sent`)
    return undefined
  })
  const dpif = await openDpif({ datapath: 'dp0', transport })
  await dpif.ports()
  await dpif.stats()
  for await (const _ of dpif.dump()) t.fail('there is no flow')
  await dpif.close()
  end()
})

t.test('features are told one by one, and asking leaves no trace', async (t) => {
  const transport = new SimulatedKernel()
  await createDatapath('dp0', { transport })
  const before = JSON.stringify(await listDatapaths({ transport }), plain)
  const found = await kernelFeatures('dp0', { transport })
  t.equal(JSON.stringify(await listDatapaths({ transport }), plain), before)
  t.same(
    found.map(({ backend, name }) => `${backend} ${name}`),
    [
      ...Object.keys(flowProbes).map((name) => `ovs ${name}`),
      ...Object.keys(features).map((name) => `tc ${name}`),
    ],
  )
  const present = (name: string) => found.find((feature) => feature.name === name)?.present
  t.equal(present('ufid'), true)
  t.equal(present('psample'), false)
  t.equal(present('ctState'), true)
  t.equal(present('erspanV2'), undefined, 'nothing tells')
  const dpif = await openDpif({ datapath: 'dp0', transport })
  for await (const flow of dpif.dump()) t.fail(`${flow.ufid} was left behind`)
  await dpif.close()

  const unprivileged = new SimulatedKernel({ privileged: false })
  await t.rejects(kernelFeatures('dp0', { transport: unprivileged }), { code: 'NO_DATAPATH' })
})

const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)

/** The same kernel, before it learned of the mask cache: the attribute is lost on the way, both ways. */
function withoutCache(kernel: SimulatedKernel): Transport {
  const CACHE = 7
  const hide = (bytes: Uint8Array) => {
    const copy = bytes.slice()
    const view = new DataView(copy.buffer)
    for (let at = 0; at + 16 <= copy.length; at += (view.getUint32(at, true) + 3) & ~3) {
      const end = at + view.getUint32(at, true)
      for (let attribute = at + 24; attribute + 4 <= end; ) {
        const length = view.getUint16(attribute, true)
        // A number nobody knows.
        if ((view.getUint16(attribute + 2, true) & 0x3fff) === CACHE && length === 8)
          view.setUint16(attribute + 2, 60, true)
        attribute += Math.max(4, (length + 3) & ~3)
      }
    }
    return copy
  }
  return {
    name: 'old',
    exchange: async (protocol, batch, lane) => {
      const answer = await kernel.exchange(protocol, protocol === 'generic' ? hide(batch) : batch, lane)
      return { ...answer, replies: protocol === 'generic' ? hide(answer.replies) : answer.replies }
    },
    dump: (protocol, request) => kernel.dump(protocol, request),
    listen: (protocol, options) => kernel.listen(protocol, options),
    close: () => kernel.close(),
  }
}
