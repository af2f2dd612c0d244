import t, { type Test } from 'tap'
import {
  type BackendName,
  createDatapath,
  type Dpif,
  type ListenOptions,
  openDpif,
  type Policy,
  preferTc,
  type Protocol,
  type Transport,
} from '../../lib/index.js'
import { types } from '../../lib/tc/message.js'
import { SimulatedKernel } from '../../lib/testing/index.js'

// Moves, step by step: what anybody sees who looks between two messages, and what stays when a step fails.

/** Packets come, and somebody looks, before and after each batch to the kernel. */
class Between implements Transport {
  readonly name = 'between'
  readonly kernel: SimulatedKernel
  step: () => Promise<void> = async () => {}
  /** Called before the kernel's answer to a dump is read. */
  reading: (protocol: Protocol) => Promise<void> = async () => {}
  #isLooking = false

  constructor(kernel: SimulatedKernel) {
    this.kernel = kernel
  }

  async exchange(protocol: Protocol, batch: Uint8Array, lane?: number) {
    const bytes = batch.slice()
    await this.#look()
    // One message at a time, so that nothing hides within a batch.
    const whole = await this.kernel.exchange(protocol, bytes, lane)
    await this.#look()
    return whole
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      await this.step()
    } finally {
      this.#isLooking = false
    }
  }

  async *dump(protocol: Protocol, request: Uint8Array) {
    const bytes = request.slice()
    await this.reading(protocol)
    yield* this.kernel.dump(protocol, bytes)
  }

  listen(protocol: Protocol, options?: ListenOptions) {
    return this.kernel.listen(protocol, options)
  }

  async close() {}
}

const ufid = '00000000-0000-4000-8000-000000000001'
const spec = { ufid, key: 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1,frag=no)', actions: '2' }
const frame = {
  ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' },
  etherType: 0x0800,
  ipv4: { src: '10.9.9.9', dst: '10.0.0.1', proto: 17, tos: 0, ttl: 64, frag: 0 },
  udp: { src: 1, dst: 2 },
}

const only = (backend: BackendName): Policy => ({
  name: `to ${backend}`,
  place: () => ({ choices: [{ backend }], reason: '' }),
})

async function setUp(t: Test, policy: Policy) {
  const kernel = new SimulatedKernel()
  for (const name of ['v0', 'v1']) kernel.addDevice(name)
  const transport = new Between(kernel)
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', policy, transport })
  t.teardown(() => dpif.close())
  for (const name of ['v0', 'v1']) await dpif.addPort(name)
  const send = (count: number) => {
    for (let turn = 0; turn < count; turn++) kernel.receive('v0', frame)
  }
  return { kernel, transport, dpif, send }
}

async function replace(dpif: Dpif, policy: Policy) {
  dpif.setPolicy(policy)
  const seen = []
  for await (const progress of dpif.replace({ movesPerSecond: 1e6 })) seen.push(progress)
  return seen.at(-1)
}

/** In both tables, as a process sees it that knows nothing: each backend by itself. */
async function copies(transport: Transport): Promise<string[]> {
  const stranger = await openDpif({ datapath: 'dp0', policy: only('ovs'), transport })
  const found: string[] = []
  for (const type of ['tc', 'ovs'] as const)
    for await (const flow of stranger.dump({ types: [type] }))
      found.push(`${flow.backend} ${flow.ufid === ufid}`)
  await stranger.close()
  return found.map((text) => text.split(' ')[0] as string)
}

const ways: Readonly<Record<string, (dpif: Dpif, to: Policy) => Promise<unknown>>> = {
  'by replace': replace,
  'by a modify': async (dpif, to) => {
    dpif.setPolicy(to)
    await dpif.put(spec, { mode: 'modify' })
  },
}

for (const [way, move] of Object.entries(ways)) {
  for (const [from, to] of [
    ['ovs', 'tc'],
    ['tc', 'ovs'],
    ['tc', 'tc'],
  ] as const) {
    // What is where it is wanted is not moved.
    if (from === to && move === replace) continue
    t.test(
      `from ${from} to ${to} ${way}, nobody sees counters run backwards between two steps`,
      async (t) => {
        const { transport, dpif, send } = await setUp(t, only(from))
        await dpif.put(spec)
        send(10)
        let sent = 10n
        let told = 0n
        let looks = 0
        transport.step = async () => {
          for (const look of ['before', 'after']) {
            for await (const { stats } of dpif.dump()) {
              t.ok(stats.packets >= told, `${stats.packets} ${look} new packets, and ${told} before`)
              t.ok(stats.packets <= sent, `${stats.packets} are no more than the ${sent} there were`)
              told = stats.packets
              looks++
            }
            for await (const page of dpif.sweep()) {
              for (let at = 0; at < page.count; at++) {
                t.ok((page.packets[at] ?? 0n) >= told, `${page.packets[at]} swept, and ${told} before`)
                told = page.packets[at] ?? 0n
              }
            }
            if (look === 'after') break
            send(3)
            sent += 3n
          }
        }
        await move(dpif, only(to))
        transport.step = async () => {}
        t.ok(looks >= 8, `${looks} looks`)
        const { stats, backend } = await dpif.get({ ufid })
        t.equal(backend, to)
        t.ok((stats?.packets ?? 0n) >= told)
        if (from !== to) t.equal(stats?.packets, sent, 'all of them')
      },
    )
  }
}

t.test('a move that is refused leaves the flow where it was, with what it counted', async (t) => {
  const { kernel, transport, dpif, send } = await setUp(t, only('ovs'))
  await dpif.put(spec)
  send(4)
  kernel.fault(({ type }) => (type === types.NEWTFILTER ? { errno: 28, text: 'full' } : undefined))
  t.match(await replace(dpif, only('tc')), { looked: 1, moved: 0, failed: 1, left: 0 })
  t.same(await copies(transport), ['ovs'])
  t.match(await dpif.get({ ufid }), { backend: 'ovs', stats: { packets: 4n } })
})

t.test('a copy that cannot be deleted is remembered, and goes with the next op', async (t) => {
  const { kernel, transport, dpif, send } = await setUp(t, only('tc'))
  await dpif.put(spec)
  send(4)
  const heal = kernel.fault(({ type }) => (type === types.DELTFILTER ? 16 : undefined))
  t.match(await replace(dpif, only('ovs')), { moved: 1 })
  t.same(await copies(transport), ['tc', 'ovs'])
  send(2)
  const told = async () => (await dpif.get({ ufid })).stats?.packets
  t.equal(await told(), 6n)
  heal()
  t.match(await dpif.put(spec, { mode: 'modify' }), { backend: 'ovs', error: undefined })
  t.same(await copies(transport), ['ovs'])
  t.equal(await told(), 6n)
  t.match(await dpif.del({ ufid, stats: true }), { stats: { packets: 6n } })
})

t.test('what others did to a flow since it was looked at counts', async (t) => {
  const { kernel, transport, dpif } = await setUp(t, only('ovs'))
  await dpif.put(spec)
  const other = await openDpif({ datapath: 'dp0', policy: only('ovs'), transport: kernel })
  let isDone = false
  dpif.setPolicy(only('tc'))
  transport.step = async () => {
    if (isDone) return
    isDone = true
    await other.put({ ...spec, actions: '1' }, { mode: 'modify' })
  }
  for await (const _ of dpif.replace());
  t.ok(isDone)
  for await (const { backend, actions } of dpif.dump())
    t.match({ backend, actions }, { backend: 'tc', actions: [{ output: 1 }] })
  isDone = false
  dpif.setPolicy(only('ovs'))
  transport.step = async () => {
    if (isDone) return
    isDone = true
    await other.del({ ufid })
  }
  for await (const { moved, failed } of dpif.replace()) t.same([moved, failed], [0, 0], 'it is gone')
  t.same(await copies(transport), [])
  await other.close()
})

t.test('who wants hardware or openvswitch does not leave a flow in software of TC', async (t) => {
  const { dpif } = await setUp(t, only('tc'))
  t.match(await dpif.put(spec), { backend: 'tc' })
  const choices = [{ backend: 'tc', skip: 'sw' }, { backend: 'ovs' }] as const
  dpif.setPolicy({ name: 'hardware', place: () => ({ choices, reason: '' }) })
  const moved: number[] = []
  for await (const progress of dpif.replace({ movesPerSecond: 1000 })) moved.push(progress.moved)
  t.same(moved, [1])
  t.match(await dpif.get(spec), { backend: 'ovs' })
})

t.test('a port on no e-switch is not full because its flows are in software', async (t) => {
  const { dpif } = await setUp(t, only('ovs'))
  await dpif.put(spec)
  dpif.setPolicy(preferTc())
  const loop = dpif.rebalance({ everyMs: 1, restMs: 0 })
  await loop.next()
  t.match((await loop.next()).value, { promoted: 1, failed: 0 })
  await loop.return?.()
  const other = { key: spec.key.replace('10.0.0.1', '10.0.0.2'), actions: '2' }
  const result = await dpif.put(other)
  t.equal(result.backend, 'tc')
  t.equal(result.declined, undefined)
})

for (const [when, isSeenBefore] of [
  ['before the old place is read', false],
  ['after the old place was read', true],
] as const) {
  t.test(`a dump tells of a flow that moves to where it has been, ${when}, and once`, async (t) => {
    const { transport, dpif, send } = await setUp(t, only('ovs'))
    await dpif.put(spec)
    const another = { ...spec, ufid: ufid.replace(/1$/, '2'), key: spec.key.replace('10.0.0.1', '10.0.0.2') }
    await dpif.put(another)
    send(5)
    dpif.setPolicy(only('tc'))
    const move = () => dpif.put(spec, { mode: 'modify' })
    let hasReadTc = false
    transport.reading = async (protocol) => {
      if (protocol === 'route') hasReadTc = true
      if (protocol === 'route' || !hasReadTc || isSeenBefore) return
      transport.reading = async () => {}
      await move()
    }
    const found: string[] = []
    for await (const flow of dpif.dump()) {
      if (found.length === 0 && isSeenBefore) await move()
      found.push(flow.ufid)
      if (flow.ufid === ufid) t.equal(flow.stats.packets, 5n)
    }
    t.same(found.sort(), [ufid, another.ufid])
    t.match(await dpif.get({ ufid }), { backend: 'tc', stats: { packets: 5n } })
  })
}
