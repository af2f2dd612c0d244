import t, { type Test } from 'tap'
import {
  createDatapath,
  type Dpif,
  openDpif,
  type Policy,
  preferTc,
  type RebalanceOptions,
  type RebalancePass,
  tcOnly,
} from '../../lib/index.js'
import { monotonic } from '../../lib/dpif/loop.js'
import { types } from '../../lib/tc/message.js'
import { SimulatedKernel } from '../../lib/testing/index.js'

// An e-switch with little room, and more flows than that.

/** Time goes on between passes, by as much each time: rates are what they are meant to be. */
let now = 1_000_000
const BETWEEN_MS = 100

const ufid = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`

async function setUp(t: Test, capacity: number, policy: Policy, count: number) {
  t.intercept(monotonic, 'now', { value: () => now })
  const kernel = new SimulatedKernel()
  kernel.addEswitch('pci/0000:08:00.0', { mode: 'switchdev', capacity })
  await createDatapath('dp0', { transport: kernel })
  const dpif = await openDpif({ datapath: 'dp0', policy, transport: kernel })
  t.teardown(() => dpif.close())
  for (const name of ['es0_pf0vf0', 'es0_pf0vf1']) await dpif.addPort(name)
  const put = (n: number) =>
    dpif.put({
      ufid: ufid(n),
      key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${n},frag=no)`,
      actions: '2',
    })
  for (let n = 1; n <= count; n++) await put(n)
  const send = (n: number, packets: number) => {
    const frame = {
      ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' },
      etherType: 0x0800,
      ipv4: { src: '10.9.9.9', dst: `10.0.0.${n}`, proto: 17, tos: 0, ttl: 64, frag: 0 },
      udp: { src: 1, dst: 2 },
    }
    for (let turn = 0; turn < packets; turn++) kernel.receive('es0_pf0vf0', frame)
  }
  const inHardware = async () => {
    const found: number[] = []
    for await (const flow of dpif.dump({ types: ['offloaded'] }))
      found.push(Number.parseInt(flow.ufid.slice(-12), 16))
    return found.sort((a, b) => a - b)
  }
  return { kernel, dpif, put, send, inHardware }
}

/** Passes, with packets before each. */
async function passes(dpif: Dpif, traffic: readonly (() => void)[], options: RebalanceOptions = {}) {
  const seen: RebalancePass[] = []
  const loop = dpif.rebalance({ everyMs: 1, restMs: 0, ...options })
  for (const send of traffic) {
    send()
    now += BETWEEN_MS
    seen.push((await loop.next()).value)
  }
  await loop.return?.()
  return seen
}

const policies = { 'in openvswitch': preferTc({ skip: 'sw' }), "in TC's software": preferTc() }

for (const [where, policy] of Object.entries(policies)) {
  t.test(
    `the fastest change places with the slowest, which are then ${where}; and it comes to rest`,
    async (t) => {
      const { dpif, send, inHardware } = await setUp(t, 3, policy, 8)
      t.same(await inHardware(), [1, 2, 3], 'who came first')
      const traffic = () => {
        for (let n = 1; n <= 8; n++) send(n, n * 10)
      }
      const [first, second, third] = await passes(dpif, [traffic, traffic, traffic])
      t.match(first, { flows: 8, promoted: 0, demoted: 0, waiting: 5 })
      t.match(second, { promoted: 3, demoted: 3, waiting: 5 })
      t.same(await inHardware(), [6, 7, 8])
      t.match(third, { promoted: 0, demoted: 0 })
      for await (const { ufid, stats } of dpif.dump())
        t.equal(stats.packets, BigInt(Number.parseInt(ufid.slice(-12), 16) * 30), 'no counter is lost')
    },
  )
}

t.test('a little faster is not enough, and nobody moves twice in a row', async (t) => {
  const { dpif, send, inHardware } = await setUp(t, 1, preferTc({ skip: 'sw' }), 2)
  const rates = (one: number, two: number) => () => {
    send(1, one)
    send(2, two)
  }
  const close = await passes(dpif, [rates(100, 110), rates(100, 110), rates(100, 110)])
  t.same(
    close.map(({ promoted }) => promoted),
    [0, 0, 0],
  )
  const [, , moved, back] = await passes(
    dpif,
    [rates(100, 100), rates(100, 100), rates(100, 200), rates(200, 100), rates(200, 100)],
    { restMs: 3_600_000 },
  )
  t.match(
    [moved, back],
    [
      { promoted: 1, demoted: 1 },
      { promoted: 0, demoted: 0 },
    ],
  )
  t.same(await inHardware(), [2])
})

t.test('room is used without a change of places', async (t) => {
  const { dpif, send, inHardware } = await setUp(t, 2, preferTc({ skip: 'sw' }), 4)
  await dpif.del({ ufid: ufid(1) })
  const traffic = () => {
    send(2, 1)
    send(3, 5)
    send(4, 9)
  }
  const [, second] = await passes(dpif, [traffic, traffic], { ratio: 1000 })
  t.match(second, { promoted: 1, waiting: 1 })
  t.ok((await inHardware()).includes(4), 'the fastest of them')
})

t.test('one that is refused when its turn comes gives the other its place back', async (t) => {
  const { kernel, dpif, send, inHardware } = await setUp(t, 1, preferTc({ skip: 'sw' }), 2)
  const traffic = () => {
    send(1, 1)
    send(2, 50)
  }
  let turn = 0
  // What comes when the slow one has gone is the fast one.
  kernel.fault(({ type }) => {
    if (type === types.DELTFILTER) turn++
    return type === types.NEWTFILTER && turn++ === 1 ? 95 : undefined
  })
  const [, second, third] = await passes(dpif, [traffic, traffic, traffic], { restMs: 3_600_000 })
  t.match(second, { promoted: 0, demoted: 0 })
  t.ok(turn >= 3, 'it was tried')
  t.same(await inHardware(), [1])
  t.match(third, { promoted: 0, demoted: 0 }, 'and it is not tried again at once')
  for await (const { ufid, stats } of dpif.dump()) t.equal(stats.packets, ufid.endsWith('1') ? 3n : 150n)
})

t.test('one that has nowhere else to go stays, and what is worth more is up to the policy', async (t) => {
  const { dpif, send, inHardware } = await setUp(t, 1, tcOnly({ skip: 'sw' }), 1)
  dpif.setPolicy({ ...preferTc({ skip: 'sw' }), worth: ({ ufid }) => (ufid.endsWith('2') ? 1 : 1000) })
  await dpif.put({
    ufid: ufid(2),
    key: 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.2,frag=no)',
    actions: '2',
  })
  const traffic = () => send(2, 50)
  const [, second] = await passes(dpif, [traffic, traffic])
  t.match(second, { promoted: 0, demoted: 0, waiting: 1 })
  t.same(await inHardware(), [1])
})

t.test(
  'a policy that counts the room itself says who waits, and is asked again when there is room',
  async (t) => {
    const held = new Set<string>()
    const counting: Policy = {
      name: 'counting',
      place: ({ ufid }) =>
        held.has(ufid) || held.size < 1
          ? { choices: [{ backend: 'tc', skip: 'sw' }, { backend: 'ovs' }], reason: 'there is room' }
          : { choices: [{ backend: 'ovs' }], waitsFor: 'tc', reason: 'there is none' },
      placed: (_, { ufid, backend }) => {
        if (backend === 'tc') held.add(ufid)
        else held.delete(ufid)
      },
      removed: (ufid) => held.delete(ufid),
    }
    const { dpif, send, inHardware } = await setUp(t, 10, counting, 3)
    t.same(await inHardware(), [1])
    const traffic = () => {
      send(1, 1)
      send(2, 10)
      send(3, 90)
    }
    const [, second, third] = await passes(dpif, [traffic, traffic, traffic])
    t.match(second, { promoted: 1, demoted: 1, failed: 0 })
    t.same(await inHardware(), [3])
    t.match(third, { promoted: 0, demoted: 0 })
  },
)

t.test('what the policy does not want there any more leaves', async (t) => {
  const { dpif, send, inHardware } = await setUp(t, 10, preferTc({ skip: 'sw' }), 3)
  dpif.setPolicy({
    name: 'busy',
    place: ({ ufid }, facts) =>
      (facts.history(ufid)?.packetsPerSecond ?? 0) > 0
        ? { choices: [{ backend: 'tc', skip: 'sw' }, { backend: 'ovs' }], reason: 'busy' }
        : { choices: [{ backend: 'ovs' }], reason: 'idle' },
  })
  const traffic = () => send(2, 10)
  const [first, second] = await passes(dpif, [traffic, traffic])
  t.match(first, { demoted: 3 }, 'nobody is known to be busy')
  t.match(second, { promoted: 1 })
  t.same(await inHardware(), [2])
})

t.test('a policy that throws ends it', async (t) => {
  const { dpif } = await setUp(t, 1, preferTc(), 1)
  dpif.setPolicy({
    name: 'broken',
    place: () => {
      throw new Error('no idea')
    },
  })
  const loop = dpif.rebalance({ everyMs: 1 })
  await t.rejects(loop.next(), { code: 'POLICY', message: /no idea/ })
  t.match(await loop.next(), { done: true })
  for (const options of [{ everyMs: 0 }, { maxMoves: 0 }, { ratio: 1 }, { restMs: -1 }])
    t.throws(() => dpif.rebalance(options), RangeError)
  t.throws(() => dpif.replace({ movesPerSecond: 0 }), RangeError)
  t.throws(() => dpif.expire({ idleMs: 0 }), RangeError)
  t.throws(() => dpif.sweep({ idleMs: Number.NaN }), RangeError)
})

t.test('a full device keeps nobody out of software of TC', async (t) => {
  const { dpif, put, send, inHardware } = await setUp(t, 1, preferTc(), 2)
  const traffic = () => {
    send(1, 100)
    send(2, 100)
  }
  const tried = await passes(dpif, [traffic, traffic])
  t.match(tried[1], { promoted: 0, failed: 1 }, 'there is no room')
  t.same(await inHardware(), [1])
  const result = await put(3)
  t.equal(result.backend, 'tc')
  t.equal(result.declined, undefined)
})
