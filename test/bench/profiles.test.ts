import t from 'tap'
import {
  type BenchFlow,
  dpctlLine,
  generate,
  profileNamed,
  profiles,
  tcLine,
  ufidOf,
} from '../../bench/profiles.js'
import { createDatapath, kernelOnly, openDpif, parseFlowFile, tcOnly } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/index.js'

const ends = { inPorts: [1, 2], outPort: 3 }
const text = (flow: Pick<BenchFlow, 'key' | 'mask'>) => JSON.stringify([flow.key, flow.mask])

for (const profile of Object.values(profiles)) {
  t.test(`${profile.name}: the same flows in every run, no two alike`, async (t) => {
    const all = generate(profile, { from: 0, to: 5000 }, ends, { masks: 3 })
    t.same(all, generate(profile, { from: 0, to: 5000 }, ends, { masks: 3 }))
    t.same(
      all.slice(100, 200),
      generate(profile, { from: 100, to: 200 }, ends, { masks: 3 }),
      'any part of them',
    )
    t.equal(new Set(all.map(text)).size, 5000, 'matches')
    t.equal(new Set(all.map(({ ufid }) => ufid)).size, 5000, 'ufids')
  })

  t.test(`${profile.name}: as many masks as were asked for`, async (t) => {
    for (const masks of [1, 7, profile.maxMasks]) {
      const flows = generate(profile, { from: 0, to: 2 * masks }, ends, { masks })
      t.equal(new Set(flows.map(({ mask }) => JSON.stringify(mask))).size, masks)
    }
  })

  t.test(`${profile.name}: both kernels take every flow`, async (t) => {
    for (const policy of [kernelOnly(), tcOnly({ skip: 'hw' })]) {
      const transport = new SimulatedKernel()
      await createDatapath('dp0', { transport })
      const dpif = await openDpif({ datapath: 'dp0', policy, transport })
      t.teardown(() => dpif.close())
      for (const name of ['eth1', 'eth2']) {
        transport.addDevice(name)
        await dpif.addPort(name)
      }
      if (profile.tunnel) await dpif.addPort('vxlan0', { type: 'vxlan' })
      else {
        transport.addDevice('eth3')
        await dpif.addPort('eth3')
      }
      if (profile.name === 'ct') {
        // No connections are simulated.
        const [flow] = generate(profile, { from: 0, to: 1 }, ends, { masks: 1 })
        const { verdicts } = await dpif.explain(flow as BenchFlow)
        t.match(verdicts, [{ objections: [] }], policy.name)
        continue
      }
      const flows = generate(profile, { from: 0, to: 200 }, ends, { masks: Math.min(40, profile.maxMasks) })
      const results = await dpif.operate(flows.map((flow) => ({ op: 'put', ...flow })))
      const [error] = results.flatMap((result) => result.error ?? [])
      t.equal(error, undefined, `${policy.name}: ${error?.message ?? 'no error'}`)
    }
  })

  t.test(`${profile.name}: its lines are those of the other programs`, async (t) => {
    const [flow] = generate(profile, { from: 7, to: 8 }, ends, { masks: 1 })
    const [entry] = parseFlowFile(dpctlLine(flow as BenchFlow), 'add')
    t.equal(entry?.error, undefined)
    t.match(entry, { verb: 'add', ufid: ufidOf(7), key: { etherType: 0x0800, ipv4: flow?.key.ipv4 } })
    const where = { inDevice: 'a', outDevice: 'b', skip: 'hw' }
    const line = tcLine(profile, 7, 1, where)
    t.match(
      line,
      /^filter add dev a ingress protocol ip pref 2 handle 0x8 flower skip_hw .* dev b cookie [0-9a-f]{32}$/,
    )
  })
}

t.test('mask objects are shared only when asked', async (t) => {
  const options = { masks: 1 }
  const [a, b] = generate(profiles.l2, { from: 0, to: 2 }, ends, options)
  t.not(a?.mask, b?.mask)
  const [c, d] = generate(profiles.l2, { from: 0, to: 2 }, ends, { ...options, shared: true })
  t.equal(c?.mask, d?.mask)
})

t.test('ufids of a million flows differ', async (t) => {
  const seen = new Set<string>()
  for (let index = 0; index < 1_000_000; index++) seen.add(ufidOf(index).slice(0, 8))
  t.equal(seen.size, 1_000_000)
  t.match(ufidOf(0), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
})

t.test('a profile nobody knows is an error that names those there are', async (t) => {
  t.throws(() => profileNamed('x'), /'x' is no profile; there are l2, 5tuple, encap, ct, rewrite/)
})
