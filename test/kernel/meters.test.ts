import t from 'tap'
import { DpifError, type Dpif, kernelOnly, NativeTransport, preferTc, tcOnly } from '../../lib/index.js'
import type { MeterSpec } from '../../types/meter.js'
import { bench, datapath, eventually, missing, open, type Owner, tc } from '../fixtures/lab.js'
import { sender, udpFrame } from '../fixtures/packets.js'

// Meters in both places: what they let pass of a burst, what they count, and who is in the way when they go. Rates are as low as they
// get, so that nothing flows back into a bucket while a burst is sent.

t.setTimeout(0)

const frame = new Uint8Array(1014)
const small = udpFrame({
  src: '02:00:00:00:00:02',
  dst: '02:00:00:00:00:01',
  from: ['10.0.0.1', 1],
  to: ['10.0.0.2', 2],
})
frame.set(small)

const flow = (id: number) => ({
  key: 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)',
  actions: `meter(${id}),2`,
})
const polices = () => JSON.parse(tc('-j -s actions ls action police') || '[]') as { actions?: Police[] }[]
interface Police {
  readonly index: number
  readonly bind: number
  readonly ref: number
}
const policeList = () => polices().flatMap(({ actions = [] }) => actions)

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (error instanceof DpifError) return error.code
    throw error
  }
}

/** A datapath whose port 1 gets frames. */
async function stage(t: Owner, policy = preferTc()) {
  const made = await bench(t, policy, 2)
  const far = await datapath(t)
  const farDpif = await open(t, far.name, kernelOnly())
  for (const [index, name] of made.peers.entries()) await farDpif.addPort(name, { number: index + 1 })
  const transport = new NativeTransport()
  t.teardown(() => transport.close())
  const send = await sender(transport, far.ifindex)
  return { ...made, send, far: farDpif }
}

async function passed(dpif: Dpif, ufid: string): Promise<bigint> {
  return (await dpif.get({ ufid })).stats?.packets ?? 0n
}

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('what the kernel says of meters', async (t) => {
    const { dpif } = await bench(t, preferTc(), 2)
    t.match(await dpif.meterFeatures(), { maxBands: 1, bandTypes: ['drop'] })
    t.ok((await dpif.meterFeatures()).maxMeters > 0)
    t.equal(await codeOf(dpif.getMeter(1)), 'NOT_FOUND')
    t.equal(await codeOf(dpif.delMeter(1)), 'NOT_FOUND')
    const band = { rate: 1000 }
    t.equal(await codeOf(dpif.setMeter({ id: 1, unit: 'kbps', bands: [band, band] })), 'INVALID')
    await t.rejects(dpif.setMeter({ id: 1, unit: 'kbps', bands: [{ rate: 0 }] }), { name: 'RangeError' })
    await t.rejects(dpif.setMeter({ id: 1, unit: 'bits' as 'kbps', bands: [band] }), { name: 'TypeError' })
    t.same(await dpif.dumpMeters(), [])
    const made = await dpif.setMeter({ id: 1, unit: 'kbps', bands: [band] })
    t.match(made, { id: 1, unit: 'kbps', stats: { packets: 0n, bytes: 0n } })
    t.match(made.bands, [{ rate: 1000, burst: 1000, stats: { packets: 0n, bytes: 0n } }])
    t.match(await dpif.dumpMeters(), [made])
    // A number whose slot another meter has: the remainder of 1024 to begin with.
    t.equal(await codeOf(dpif.setMeter({ id: 1025, unit: 'kbps', bands: [band] })), 'BUSY')
    t.match(await dpif.delMeter(1), { id: 1 })
    t.same(await dpif.dumpMeters(), [])
    t.same(policeList(), [], 'no police stays')
  })

  const burst: MeterSpec = { id: 3, unit: 'kbps', bands: [{ rate: 1, burst: 40 }] }

  t.test('a burst of bytes: as many pass as fit', async (t) => {
    const { dpif, send } = await stage(t)
    const other = await open(t, dpif.datapath.name, kernelOnly())
    const meter = await dpif.setMeter(burst)
    t.ok(meter.police, 'it is a police, too')
    const inTc = await dpif.put(flow(3))
    t.equal(inTc.backend, 'tc', inTc.error?.message ?? 'in TC')
    await send(1, frame, 20)
    const tcMeter = await eventually(
      () => dpif.getMeter(3),
      ({ stats }) => stats.packets === 20n,
    )
    // 40 kilobits are 5000 bytes: five of 1000, behind the Ethernet header.
    t.equal(await passed(dpif, inTc.ufid), 5n)
    t.equal(tcMeter.bands[0]?.stats.packets, 15n)
    t.equal(tcMeter.stats.bytes, 20_280n)
    t.equal(await codeOf(dpif.delMeter(3)), 'BUSY', 'a filter uses it')
    t.equal((await dpif.getMeter(3)).stats.packets, 20n, 'and nothing has changed')
    await dpif.del({ ufid: inTc.ufid })

    const inOvs = await other.put(flow(3))
    t.equal(inOvs.backend, 'ovs')
    await send(1, frame, 20)
    const both = await eventually(
      () => dpif.getMeter(3),
      ({ stats }) => stats.packets === 40n,
    )
    // Four of 1014, with the Ethernet header.
    t.equal(both.bands[0]?.stats.packets, 15n + 16n)
    t.equal(both.stats.bytes, 20_280n + 20_280n)
    t.equal(await passed(other, inOvs.ufid), 20n, 'openvswitch counts what matched')

    // Counters go on, buckets are full again.
    const changed = await dpif.setMeter({ ...burst, bands: [{ rate: 1, burst: 80 }] })
    t.match(changed, { stats: { packets: 40n }, bands: [{ burst: 80, stats: { packets: 31n } }] })
    t.equal(changed.police, meter.police, 'changed in place')
    await other.del({ ufid: inOvs.ufid })
    const zeroed = await dpif.setMeter(burst, { zeroStats: true })
    t.match(zeroed, { stats: { packets: 0n, bytes: 0n }, bands: [{ stats: { packets: 0n, bytes: 0n } }] })
    await dpif.delMeter(3)
    t.same(policeList(), [])
  })

  t.test('packets a second', async (t) => {
    const { dpif, send } = await stage(t)
    await dpif.setMeter({ id: 4, unit: 'pktps', bands: [{ rate: 1, burst: 5 }] })
    const other = await open(t, dpif.datapath.name, kernelOnly())
    const inOvs = await other.put(flow(4))
    await send(1, small, 20)
    const first = await eventually(
      () => dpif.getMeter(4),
      ({ stats }) => stats.packets === 20n,
    )
    t.equal(first.bands[0]?.stats.packets, 15n, 'five of twenty in openvswitch')
    await other.del({ ufid: inOvs.ufid })
    const { ufid, backend } = await dpif.put(flow(4))
    t.equal(backend, 'tc')
    await send(1, small, 20)
    const both = await eventually(
      () => dpif.getMeter(4),
      ({ stats }) => stats.packets === 40n,
    )
    const through = await passed(dpif, ufid)
    t.equal(both.bands[0]?.stats.packets, 35n - through, 'what did not pass was dropped')
    // A bucket of packets begins empty in TC (tcf_police_init()), so how many passed is a matter of time.
    t.ok(through <= 5n, `${through} passed in TC`)
    await dpif.del({ ufid })
    await dpif.delMeter(4)
  })

  t.test('another object recognises meters, and what cannot be a police', async (t) => {
    const { name, dpif } = await bench(t, tcOnly(), 2)
    const specs: MeterSpec[] = [
      { id: 7, unit: 'kbps', bands: [{ rate: 100_000_000, burst: 99_999_999 }] },
      { id: 8, unit: 'kbps', bands: [{ rate: 4_294_967_295, burst: 7 }] },
      { id: 4_000_000_000, unit: 'pktps', bands: [{ rate: 3, burst: 1_000_000 }] },
    ]
    for (const spec of specs) t.equal((await dpif.setMeter(spec)).declined, undefined, `meter ${spec.id}`)
    const large = await dpif.setMeter({ id: 9, unit: 'kbps', bands: [{ rate: 1, burst: 275 }] })
    t.match(large.declined, { reason: 'NO_METER', path: 'bands[0].burst' })
    const other = await open(t, name, tcOnly())
    const { verdicts } = await other.explain(flow(8))
    t.same(verdicts[0]?.objections, [], 'explain knows')
    const fresh = await open(t, name, tcOnly())
    const puts = await fresh.operate([{ op: 'put', ...flow(7) }])
    t.equal(puts[0]?.backend, 'tc', puts[0]?.error?.message ?? 'a first put finds it')
    const declined = await fresh.put({
      ...flow(9),
      key: flow(9).key.replace('0x0800', '0x86dd').replace('ipv4', 'ipv6'),
    })
    t.match(declined.error, { code: 'UNSUPPORTED_ACTION', reason: 'NO_METER', path: 'actions[0].meter' })
    const reader = await open(t, name, tcOnly())
    for await (const found of reader.dump()) t.match(found.actions, [{ meter: 7 }, { output: 2 }])
    for (const { id, unit, bands } of specs) t.match(await reader.getMeter(id), { id, unit, bands })
    t.same(
      (await reader.dumpMeters()).map(({ id }) => id),
      [7, 8, 9, 4_000_000_000],
    )
    t.match(await reader.getMeter(9), { id: 9, bands: [{}] })

    // A meter that is a police and is to be none, while a filter uses it.
    const none = { id: 7, unit: 'kbps', bands: [{ rate: 1, burst: 275 }] } as const
    t.equal(await codeOf(reader.setMeter(none)), 'BUSY')
    await reader.flush()
    t.match((await reader.setMeter(none)).declined, { reason: 'NO_METER' })
    for (const id of [7, 8, 9, 4_000_000_000]) await reader.delMeter(id)
    t.same(policeList(), [])
  })

  t.test('a police is never made by naming it, and those of others stay', async (t) => {
    const { dpif } = await bench(t, preferTc(), 2)
    tc('actions add action police index 7 rate 1mbit burst 10k conform-exceed drop/pipe')
    t.teardown(() => tc('actions flush action police'))
    const { police } = await dpif.setMeter(burst)
    tc(`actions add action police index ${(police ?? 0) + 1} rate 1mbit burst 10k conform-exceed drop/pipe`)
    const next = await dpif.setMeter({ ...burst, id: 4 })
    t.equal(next.police, (police ?? 0) + 2, 'a number that is taken is passed over')
    t.equal((await dpif.put(flow(3))).backend, 'tc')
    await dpif.flush()
    tc(`actions del action police index ${police}`)
    t.equal((await dpif.put(flow(3))).backend, 'ovs', 'it went meanwhile')
    t.notOk(
      policeList().some(({ index }) => index === police),
      'and is not there',
    )
    const again = await dpif.setMeter(burst)
    t.equal(again.police, police)
    await dpif.delMeter(3)
    await dpif.delMeter(4)
    t.same(
      policeList().map(({ index }) => index),
      [7, (police ?? 0) + 1],
    )
  })
}
