import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import { createDatapath, kernelOnly, type OperatorEvents, openDpif } from '../../lib/index.js'
import { formatMetrics } from '../../lib/dpif/prometheus.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { steering } from '../../lib/testing/conformance/lab.js'

// What operators hear and count.

async function setUp(t: Test) {
  const transport = new SimulatedKernel()
  t.teardown(() => transport.close())
  await createDatapath('dp0', { transport })
  const steer = steering(['tc', 'ovs'])
  const dpif = await openDpif({ datapath: 'dp0', policy: steer.policy, transport })
  t.teardown(() => dpif.close())
  for (const name of ['eth1', 'eth2']) {
    transport.addDevice(name)
    await dpif.addPort(name)
  }
  return { dpif, steer, transport }
}

/** What is published until the test ends. */
function hear<Name extends keyof OperatorEvents>(t: Test, name: Name): OperatorEvents[Name][] {
  const heard: OperatorEvents[Name][] = []
  const listen = (event: unknown) => heard.push(event as OperatorEvents[Name])
  subscribe(name, listen)
  t.teardown(() => unsubscribe(name, listen))
  return heard
}

const key = (number: number) => `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${number},frag=no)`
const NOBODY = '00000000-0000-0000-0000-000000000000'
/** TC has no way to match that. */
const beyondTc = (number: number) => `skb_mark(0x7),${key(number)}`

t.test('puts, refusals, moves and removals are told of and counted', async (t) => {
  const { dpif, steer } = await setUp(t)
  const placements = hear(t, 'dpif-hw-acc:placement')
  const refusals = hear(t, 'dpif-hw-acc:refusal')
  const moves = hear(t, 'dpif-hw-acc:move')
  const removals = hear(t, 'dpif-hw-acc:removal')
  const ops = [1, 2, 3].map((number) => ({ op: 'put', key: key(number), actions: '2' }) as const)
  const results = await dpif.operate([...ops, { op: 'put', key: beyondTc(4), actions: '2' }])
  const [one, two, three, four] = results.map(({ ufid }) => ufid) as [string, string, string, string]
  const what = { policy: 'steering', datapath: 'dp0', mode: 'create' }
  t.match(
    placements.map(({ ufid, backend }) => ({ ufid, backend })),
    [
      { ufid: one, backend: 'tc' },
      { ufid: two, backend: 'tc' },
      { ufid: three, backend: 'tc' },
      { ufid: four, backend: 'ovs' },
    ],
  )
  t.match(placements[0], { ...what, placement: { reason: 'the case wants it so' } })
  t.match(refusals, [
    { datapath: 'dp0', ufid: four, refusal: { backend: 'tc', code: 'UNSUPPORTED_MATCH', path: 'skbMark' } },
  ])
  t.equal(refusals.length, 1)

  steer.to('ovs')
  await dpif.put({ key: key(1), actions: '2' }, { mode: 'upsert' })
  t.same(moves, [{ datapath: 'dp0', ufid: one, from: 'tc', to: 'ovs' }])
  await dpif.del({ ufid: two })
  t.same(removals, [{ datapath: 'dp0', ufid: two, from: 'tc', cause: 'del' }])
  await dpif.flush()
  t.same(
    removals
      .slice(1)
      .map(({ ufid, from, cause }) => `${ufid} ${from} ${cause}`)
      .sort(),
    [`${one} ovs flush`, `${three} tc flush`, `${four} ovs flush`].sort(),
  )
  const { toPrometheus, ...counts } = dpif.metrics()
  t.same(counts, {
    placed: { ovs: 2, tc: 3 },
    refused: { 'UNSUPPORTED_MATCH/NO_FLOWER_KEY': 1 },
    moved: { ovs: 1, tc: 0 },
    removed: { del: 1, flush: 3, idle: 0, lost: 0 },
  })
  t.match(toPrometheus(), '\ndpif_hw_acc_placed_total{datapath="dp0",backend="tc"} 3\n')
})

t.test('a flow that is in both tables is one flow, when it goes', async (t) => {
  const { dpif, transport } = await setUp(t)
  const gone: string[] = []
  const other = await openDpif({ datapath: 'dp0', transport, policy: kernelOnly() })
  t.teardown(() => other.close())
  await other.get({ ufid: NOBODY })
  const { ufid } = await dpif.put({ key: key(1), actions: '2' })
  t.equal((await other.put({ key: key(1), actions: '2' })).backend, 'ovs', 'it did not know of the other')
  const third = await openDpif({
    datapath: 'dp0',
    transport,
    policy: { ...kernelOnly(), removed: (id, from, cause) => gone.push(`${id} ${from} ${cause}`) },
  })
  t.teardown(() => third.close())
  await third.get({ ufid })
  const removals = hear(t, 'dpif-hw-acc:removal')
  await third.flush()
  t.equal(removals.length, 1)
  t.equal(third.metrics().removed.flush, 1)
  t.equal(gone.length, 1)
})

t.test('a flow that was gone when it was to move is lost, and then put', async (t) => {
  const { dpif, steer, transport } = await setUp(t)
  steer.to('ovs')
  const { ufid } = await dpif.put({ key: key(1), actions: '2' })
  const other = await openDpif({ datapath: 'dp0', transport })
  t.teardown(() => other.close())
  await other.del({ ufid })
  const removals = hear(t, 'dpif-hw-acc:removal')
  const moves = hear(t, 'dpif-hw-acc:move')
  steer.to('tc')
  t.match(await dpif.put({ key: key(1), actions: '2' }, { mode: 'upsert' }), { backend: 'tc' })
  t.same(removals, [{ datapath: 'dp0', ufid, from: 'ovs', cause: 'lost' }])
  t.same(moves, [])
})

t.test('a flow that others took away is lost, and told of once', async (t) => {
  const { dpif, transport } = await setUp(t)
  const removals = hear(t, 'dpif-hw-acc:removal')
  const { ufid } = await dpif.put({ key: key(1), actions: '2' })
  const other = await openDpif({ datapath: 'dp0', transport })
  await other.del({ ufid })
  removals.splice(0)
  t.match(await dpif.get({ ufid }), { error: { code: 'NOT_FOUND' } })
  t.match(await dpif.get({ ufid }), { error: { code: 'NOT_FOUND' } })
  t.same(removals, [{ datapath: 'dp0', ufid, from: 'tc', cause: 'lost' }])
  t.equal(dpif.metrics().removed.lost, 1)
  await other.close()
})

t.test('a flow goes with its port', async (t) => {
  const { dpif } = await setUp(t)
  const { ufid } = await dpif.put({ key: key(1), actions: '2' })
  const removals = hear(t, 'dpif-hw-acc:removal')
  await dpif.delPort(1)
  t.same(removals, [{ datapath: 'dp0', ufid, from: 'tc', cause: 'flush' }])
})

t.test('counters have the text form of Prometheus', async (t) => {
  const counts = {
    placed: { ovs: 1, tc: 20 },
    refused: { NO_SPACE: 3, 'UNSUPPORTED_MATCH/PARTIAL_MASK': 4 },
    moved: { ovs: 0, tc: 0 },
    removed: { del: 5, flush: 0, idle: 0, lost: 0 },
  }
  const text = formatMetrics(counts, 'a"b\\c\nd')
  t.ok(text.endsWith('\n'))
  const lines = text.trimEnd().split('\n')
  for (const line of lines) {
    t.match(
      line,
      /^(# HELP [a-z_]+ .+|# TYPE [a-z_]+ counter|[a-z_]+\{([a-z]+="([^"\\\n]|\\[\\n"])*",?)+\} \d+)$/,
    )
  }
  t.equal(lines.filter((line) => line.startsWith('# TYPE')).length, 4)
  const datapath = 'datapath="a\\"b\\\\c\\nd"'
  t.ok(
    lines.includes(`dpif_hw_acc_refused_total{${datapath},code="UNSUPPORTED_MATCH",reason="PARTIAL_MASK"} 4`),
  )
  t.ok(lines.includes(`dpif_hw_acc_refused_total{${datapath},code="NO_SPACE",reason=""} 3`))
  t.ok(lines.includes(`dpif_hw_acc_removed_total{${datapath},cause="del"} 5`))
})
