import t, { type Test } from 'tap'
import { BackOff } from '../../lib/dpif/back-off.js'
import { Devices } from '../../lib/dpif/devices.js'
import { PlacementMap } from '../../lib/dpif/placement.js'
import { createDatapath, openDpif, preferTc } from '../../lib/index.js'
import { viewOf } from '../../lib/ovs/view.js'
import { types } from '../../lib/tc/message.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import type { Failure } from '../../types/errors.js'

const flow = (n: number, port = 1, actions = '2') =>
  viewOf({ key: `in_port(${port}),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${n},frag=no)`, actions }, 'create')
const choice = { backend: 'tc', skip: 'sw' } as const
const noSpace: Failure = { code: 'NO_SPACE', message: 'no', errno: 28, kernel: 'the table is full' }
const unsupported: Failure = { code: 'UNSUPPORTED', message: 'no', errno: 95, kernel: 'cannot' }

function setUp() {
  let now = 1000
  const devices = new Devices(new PlacementMap())
  const backOff = new BackOff(devices, () => now)
  return { backOff, devices, pass: (ms: number) => (now += ms) }
}

t.test('after a refusal one tries after a second, then after two, and at last after 64', (t) => {
  const { backOff, pass } = setUp()
  t.notOk(backOff.isActive)
  backOff.refused(flow(1), choice, noSpace)
  backOff.refused(flow(2), choice, noSpace)
  t.ok(backOff.isActive)
  let probes = 20
  for (const seconds of [1, 2, 4, 8, 16, 32, 64, 64]) {
    t.match(backOff.objection(flow(9), choice), {
      code: 'NO_SPACE',
      backend: 'tc',
      kernel: 'the table is full',
      message: /^not tried in tc: .*back-off until \d+ ms/,
    })
    pass(seconds * 1000 - 1)
    t.ok(backOff.objection(flow(9), choice), `not within ${seconds} s`)
    pass(1)
    t.notOk(backOff.objection(flow(probes), choice), 'then one is asked for')
    t.ok(backOff.objection(flow(9), choice), 'and no other')
    backOff.refused(flow(probes++), choice, noSpace)
  }
  pass(64_000)
  t.notOk(backOff.objection(flow(100), choice))
  backOff.worked(flow(100))
  t.notOk(backOff.isActive, 'when that works all may come')
  t.end()
})

t.test('a full table is that of the port, or of all ports of an e-switch; a shape is that of a port', (t) => {
  const { backOff, devices } = setUp()
  const port = { type: 'netdev', ifindex: 5 } as const
  devices.replace([
    { number: 1, name: 'a', switchId: 'e5', ...port },
    { number: 2, name: 'b', switchId: 'e5', ...port },
    { number: 3, name: 'c', ...port },
  ])
  backOff.refused(flow(1), choice, noSpace)
  t.ok(backOff.objection(flow(2, 2), choice), 'the same e-switch')
  t.notOk(backOff.objection(flow(2, 3), choice), 'another device')
  t.notOk(backOff.objection(flow(2), { backend: 'tc' }), 'software of TC is another thing')
  backOff.left(0)
  t.ok(backOff.isActive, 'what left was on no e-switch')
  backOff.left(1)
  t.notOk(backOff.isActive)
  backOff.refused(flow(1, 3), choice, unsupported)
  t.ok(backOff.objection(flow(2, 3), choice), 'another address')
  t.notOk(backOff.objection(flow(2, 3, '1'), choice), 'another way out')
  t.notOk(backOff.objection(flow(2, 2), choice), 'another port')
  t.ok(backOff.hasRefused(flow(2, 3), choice))
  backOff.left(0)
  t.ok(backOff.isActive, 'that has nothing to do with room')
  backOff.clear()
  t.notOk(backOff.isActive)
  t.end()
})

t.test('what we refuse ourselves is not remembered, nor more than a thousand of what kernels do', (t) => {
  const { backOff } = setUp()
  backOff.refused(flow(1), choice, { code: 'UNSUPPORTED_MATCH', message: '' })
  backOff.refused(flow(1), choice, { code: 'EXISTS', message: '', errno: 17 })
  t.notOk(backOff.isActive)
  for (let port = 1; port <= 1100; port++) backOff.refused(flow(1, port), choice, noSpace)
  t.notOk(backOff.objection(flow(2, 1), choice), 'the oldest are forgotten')
  t.ok(backOff.objection(flow(2, 1100), choice))
  t.end()
})

async function device(t: Test, capacity: number) {
  const kernel = new SimulatedKernel()
  kernel.addEswitch('pci/0000:08:00.0', { mode: 'switchdev', capacity })
  await createDatapath('dp0', { transport: kernel })
  const dpif = await openDpif({ datapath: 'dp0', policy: preferTc({ skip: 'sw' }), transport: kernel })
  t.teardown(() => dpif.close())
  for (const name of ['es0_pf0vf0', 'es0_pf0vf1']) await dpif.addPort(name)
  let filters = 0
  kernel.fault(({ type }) => {
    if (type === types.NEWTFILTER) filters++
    return undefined
  })
  const put = (n: number) =>
    dpif.put({ key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${n},frag=no)`, actions: '2' })
  return { dpif, put, asked: () => filters }
}

t.test('a full device is not asked at each put, until a flow leaves it', async (t) => {
  const { dpif, put, asked } = await device(t, 1)
  t.equal((await put(1)).backend, 'tc')
  t.match(await put(2), { backend: 'ovs', declined: [{ code: 'NO_SPACE', errno: 28 }] })
  const before = asked()
  for (let n = 3; n < 20; n++) t.equal((await put(n)).backend, 'ovs')
  t.ok(asked() - before <= 5, `${asked() - before} filters for 17 puts, once a second`)
  const held = await dpif.operate(
    [20, 21].map((n) => ({
      op: 'put',
      key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${n},frag=no)`,
      actions: '2',
      stats: true,
    })),
  )
  t.match(held[1], {
    backend: 'ovs',
    declined: [{ code: 'NO_SPACE', message: /^not tried/ }],
    stats: { packets: 0n },
  })
  await dpif.del({ key: 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1,frag=no)' })
  t.equal((await put(30)).backend, 'tc', 'there is room')
})

t.test('facts say how full a device is', async (t) => {
  const { dpif, put } = await device(t, 2)
  const seen: unknown[] = []
  const inner = preferTc({ skip: 'sw' })
  dpif.setPolicy({
    ...inner,
    place: (flow, facts) => {
      seen.push(facts.device('e500000000000000'), facts.device('nobody'))
      return inner.place(flow, facts)
    },
  })
  for (let n = 1; n <= 4; n++) await put(n)
  await dpif.del({ key: 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1,frag=no)' })
  await put(5)
  const switchId = 'e500000000000000'
  t.match(seen, [
    ...[{ switchId, flows: 0 }, undefined],
    ...[{ switchId, flows: 1 }, undefined],
    ...[{ switchId, flows: 2 }, undefined],
    ...[{ switchId, flows: 2, capacity: 2, fullSince: Number }, undefined],
    ...[{ switchId, flows: 1, capacity: 2 }, undefined],
  ])
  await dpif.delPort(1)
  await put(6)
  t.match(seen.at(-2), { flows: 0 }, 'the flows went with their port')
})

t.test('a policy may look at what was refused, for as long as it is not tried again', async (t) => {
  const { backOff, pass } = setUp()
  const none = backOff.recent()
  t.same(none, [])
  t.equal(backOff.recent(), none, 'nothing is made for nothing')
  backOff.refused(flow(1), choice, unsupported)
  backOff.refused(flow(1, 2), choice, noSpace)
  backOff.stayedInSoftware(flow(1, 3), choice, { code: 'NO_SPACE', message: 'in software', backend: 'tc' })
  t.match(backOff.recent(), [
    { code: 'UNSUPPORTED', backend: 'tc', kernel: 'cannot', inPort: 1, until: 2000 },
    { code: 'NO_SPACE', backend: 'tc', kernel: 'the table is full', inPort: 2, until: 2000 },
    { code: 'NO_SPACE', backend: 'tc', message: 'in software', inPort: 3, until: 2000 },
  ])
  t.equal(backOff.objection(flow(2, 3), choice), undefined, 'that keeps nobody out')
  pass(1000)
  t.same(backOff.recent(), [])
})

t.test("and a dpif's policy does", async (t) => {
  const kernel = new SimulatedKernel()
  await createDatapath('dp0', { transport: kernel })
  const seen: unknown[] = []
  const dpif = await openDpif({
    datapath: 'dp0',
    transport: kernel,
    policy: {
      name: 'curious',
      place: (_put, facts) => {
        seen.push(...facts.refusals())
        return { choices: [{ backend: 'tc' }, { backend: 'ovs' }], reason: '' }
      },
    },
  })
  t.teardown(() => dpif.close())
  for (const name of ['v0', 'v1']) {
    kernel.addDevice(name)
    await dpif.addPort(name)
  }
  kernel.fault(({ type }) => (type === types.NEWTFILTER ? { errno: 95, text: 'not today' } : undefined))
  for (const n of [1, 2])
    await dpif.put({ key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${n},frag=no)`, actions: '2' })
  t.match(seen, [{ code: 'UNSUPPORTED', backend: 'tc', kernel: 'not today', inPort: 1 }])
})
