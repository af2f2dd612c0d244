import t from 'tap'
import { Arrivals } from '../../lib/dpif/arrivals.js'
import { Merge } from '../../lib/dpif/merge.js'
import { PlacementMap } from '../../lib/dpif/placement.js'
import {
  byPort,
  createDatapath,
  type Flow,
  type FlowSpec,
  kernelOnly,
  openDpif,
  tcOnly,
  type Transport,
} from '../../lib/index.js'
import { ParsedUfid } from '../../lib/ovs/ufid.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import type { Backend, DumpedFlow } from '../../types/backend.js'
import type { BackendName } from '../../types/op.js'

const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`

/** A backend that dumps these lists, and a note of what happens to which flow and list. */
function backendOf(name: BackendName, lists: readonly (readonly number[])[], log: string[]): Backend {
  const flowOf = (n: number) => ({
    backend: name,
    offloaded: n % 2 === 1,
    suspect: false,
    id: new ParsedUfid(ufid(n)),
    ufid: ufid(n),
    stats: { packets: 1n, bytes: 1n, used: 0, tcpFlags: 0 },
    detach: () => log.push(`detach ${name} ${n}`),
  })
  async function* dump() {
    for (const [index, list] of lists.entries()) {
      log.push(`${name} page ${index}`)
      yield list.map(flowOf) as unknown as DumpedFlow[]
    }
    log.push(`${name} ends`)
  }
  return { name, dump } as unknown as Backend
}

t.test('the flows that were handed out are detached, before their page is used again', async (t) => {
  const log: string[] = []
  const tables = [backendOf('tc', [[1, 2], [3]], log), backendOf('ovs', [[2, 4], []], log)]
  const placement = new PlacementMap()
  // Its counters are told with what it counted before.
  placement.add(new ParsedUfid(ufid(3)), 'tc')
  placement.carry(new ParsedUfid(ufid(3)), { packets: 9n, bytes: 9n })
  const merge = new Merge({
    backends: tables,
    placement,
    arrivals: new Arrivals(),
    prepare: async () => {},
    get: async () => [],
  })
  for await (const { ufid, stats } of merge.dump({}))
    log.push(`${Number.parseInt(ufid, 16)}: ${stats.packets}`)
  t.same(log.splice(0), [
    'tc page 0',
    ...['1: 1', '2: 1', 'detach tc 1', 'detach tc 2'],
    'tc page 1',
    ...['3: 10', 'detach tc 3'],
    'tc ends',
    'ovs page 0',
    ...['4: 1', 'detach ovs 4'],
    'ovs page 1',
    'ovs ends',
  ])
  for await (const { ufid } of merge.dump({ types: ['offloaded'] })) {
    log.push(`${Number.parseInt(ufid, 16)}`)
    break
  }
  t.same(log, ['tc page 0', '1', 'detach tc 1'], 'also when the user breaks off')
})

/** A kernel whose dumps come on one page, which is rubbish as soon as it may be. */
function onOnePage(kernel: SimulatedKernel): Transport {
  const memory = new Uint8Array(1 << 20)
  return {
    name: 'one page',
    exchange: (protocol, batch, lane) => kernel.exchange(protocol, batch, lane),
    async *dump(protocol, request) {
      for await (const page of kernel.dump(protocol, request)) {
        memory.set(page)
        try {
          yield memory.subarray(0, page.length)
        } finally {
          memory.fill(0xff)
        }
      }
    },
    listen: (protocol, options) => kernel.listen(protocol, options),
    close: async () => {},
  }
}

t.test('no flow outlives its page: in dumps, adoption, a second look and flush', async (t) => {
  const kernel = new SimulatedKernel()
  for (const device of ['v0', 'v1']) kernel.addDevice(device)
  const transport = onOnePage(kernel)
  await createDatapath('dp0', { transport })
  const open = () => openDpif({ datapath: 'dp0', policy: byPort({ 1: tcOnly() }, kernelOnly()), transport })
  const dpif = await open()
  for (const device of ['v0', 'v1']) await dpif.addPort(device)
  const specs: FlowSpec[] = Array.from({ length: 600 }, (_, n) => ({
    ufid: ufid(n),
    key: `in_port(${1 + (n % 2)}),eth(),eth_type(0x0800),ipv4(dst=10.0.${n >> 8}.${n & 255})`,
    actions: '2',
  }))
  const put = await dpif.operate(specs.map((spec) => ({ op: 'put', ...spec })))
  t.same([...new Set(put.map(({ backend }) => backend))].sort(), ['ovs', 'tc'])

  const told = ({ ufid, key, mask, actions, stats }: Flow) => ({
    ...{ ufid, dst: key.ipv4?.dst, mask: mask.ipv4?.dst, actions },
    packets: stats.packets,
  })
  const expected = specs.map((_, n) => ({
    ...{ ufid: ufid(n), dst: `10.0.${n >> 8}.${n & 255}`, mask: '255.255.255.255', actions: [{ output: 2 }] },
    packets: 0n,
  }))
  const stranger = await open()
  const flows: Flow[] = []
  for await (const flow of stranger.dump()) flows.push(flow)
  t.same(
    flows.map(told).sort((a, b) => (a.ufid < b.ufid ? -1 : 1)),
    expected,
  )
  const few: Flow[] = []
  for await (const flow of stranger.dump()) if (few.push(flow) === 3) break
  t.ok(few.map(told).every(({ dst, packets }) => dst !== undefined && packets === 0n))
  const terse: string[] = []
  for await (const flow of stranger.dump({ terse: true })) terse.push(flow.ufid)
  t.same(
    terse.sort(),
    specs.map((_, n) => ufid(n)),
  )

  const again = await stranger.operate(specs.map((spec) => ({ op: 'put', ...spec })))
  t.same(new Set(again.map(({ error }) => error?.code)), new Set(['EXISTS']), 'adopted')
  await (await open()).flush()
  for await (const { ufid } of stranger.dump()) t.fail(`${ufid} is still there`)
  // This one still believes in them.
  const deleted = await stranger.operate(specs.map(({ ufid }) => ({ op: 'del', ufid: ufid as string })))
  t.same(new Set(deleted.map(({ error }) => error?.code)), new Set(['NOT_FOUND']))
})

t.test('a dump that cannot follow all moves says so at its end', async (t) => {
  const arrivals = new Arrivals()
  const log: string[] = []
  const asked: number[] = []
  const merge = new Merge({
    backends: [backendOf('tc', [[1]], log), backendOf('ovs', [[2]], log)],
    placement: new PlacementMap(),
    arrivals,
    prepare: async () => {},
    get: async (ids) => {
      asked.push(ids.length)
      return []
    },
  })
  const told: string[] = []
  await t.rejects(
    async () => {
      for await (const { ufid: id } of merge.dump({})) {
        told.push(id)
        if (told.length === 1) for (let n = 1; n <= 65_537; n++) arrivals.note(new ParsedUfid(ufid(n)), 'tc')
      }
    },
    { code: 'DUMP_INTERRUPTED' },
  )
  t.same(told, [ufid(1), ufid(2)])
  t.same(asked, [65_534], 'those that were told of already are not asked for')
  // One that has ended hears of nothing.
  arrivals.note(new ParsedUfid(ufid(3)), 'tc')
  t.equal(asked.length, 1)
})
