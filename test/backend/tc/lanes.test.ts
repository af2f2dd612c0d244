import t from 'tap'
import { create } from '../create.js'
import { TcBackend } from '../../../lib/backend/tc/flows.js'
import { allOf, divide, laneOf } from '../../../lib/backend/tc/lanes.js'
import { createDatapath, openDpif, tcOnly } from '../../../lib/index.js'
import { messagesOf } from '../../../lib/netlink/reader.js'
import { ParsedUfid } from '../../../lib/ovs/ufid.js'
import { parseKey } from '../../../lib/ovs/text.js'
import { viewOf } from '../../../lib/ovs/view.js'
import { types } from '../../../lib/tc/message.js'
import { SimulatedKernel } from '../../../lib/testing/index.js'
import type { Protocol, Transport } from '../../../types/transport.js'

const choice = { backend: 'tc' } as const
const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`
const addressed = (n: number, dst = n) => ({
  ufid: ufid(n),
  ...parseKey(`in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.${dst >> 8}.${dst & 255})`),
  actions: [{ output: 2 }],
})
const view = (n: number, dst = n) => viewOf(addressed(n, dst), 'create')
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

/** A simulated kernel with two devices, and what went to it in which lane, but for the marks of qdiscs. */
function start({ lanes = 4 } = {}) {
  const kernel = new SimulatedKernel()
  const ports = ['eth0', 'eth1'].map((name, at) => {
    return { number: at + 1, name, type: 'netdev' as const, ifindex: kernel.addDevice(name) }
  })
  const sent: { readonly lane: number; readonly types: readonly number[] }[] = []
  const room = { kernel, ports, sent, onExchange: async (_lane: number): Promise<void> => {} }
  const transport: Transport = {
    name: 'watched',
    exchange: async (protocol: Protocol, batch: Uint8Array, lane = 0) => {
      const bytes = batch.slice()
      const kinds = [...messagesOf(bytes)].map(({ type }) => type)
      if (kinds.includes(types.NEWCHAIN)) return kernel.exchange(protocol, bytes, lane)
      sent.push({ lane, types: kinds })
      await room.onExchange(lane)
      return kernel.exchange(protocol, bytes, lane)
    },
    dump: (protocol, request) => kernel.dump(protocol, request),
    listen: (protocol, options) => kernel.listen(protocol, options),
    close: async () => {},
  }
  const backend = new TcBackend(transport, { lanes })
  backend.portsChanged(ports)
  return Object.assign(room, { transport, backend })
}

async function ufidsIn(backend: TcBackend): Promise<string[]> {
  const found: string[] = []
  for await (const flows of backend.dump({ terse: true })) for (const { ufid } of flows) found.push(ufid)
  return found.sort()
}

t.test('a list is divided evenly, in order, and no lane gets few', async (t) => {
  t.same(divide(0, 4), [{ lane: 0, from: 0, to: 0 }])
  for (const count of [1, 31, 32, 63, 64, 100, 127, 128, 4096, 4099]) {
    for (const lanes of [1, 2, 4, 16]) {
      const parts = divide(count, lanes)
      t.same(
        parts.flatMap(({ from, to }) => range(from, to)),
        range(0, count),
      )
      t.same(
        parts.map(({ lane }) => lane),
        range(0, parts.length),
      )
      const sizes = parts.map(({ from, to }) => to - from)
      t.ok(parts.length <= lanes && Math.max(...sizes) - Math.min(...sizes) <= 1)
      t.ok(parts.length === 1 || Math.min(...sizes) >= 32)
      t.ok(parts.length === lanes || count < 32 * (parts.length + 1), 'as many as there may be')
    }
  }
})

t.test('a list that grows goes to all lanes, in runs', (t) => {
  for (const lanes of [1, 2, 3, 4, 7]) {
    const taken = range(0, lanes * 64).map((index) => laneOf(index, lanes * 64, lanes))
    t.same(taken.slice(0, 32), new Array(32).fill(0), 'few stay in one')
    const sizes = range(0, lanes).map((lane) => taken.filter((one) => one === lane).length)
    t.same(sizes, new Array(lanes).fill(64))
    for (const room of [1, 33, 63, 64, 65, 100]) {
      const used = range(0, room).map((index) => laneOf(index, room, lanes))
      for (const lane of new Set(used)) {
        const share = used.filter((one) => one === lane).length
        t.ok(share >= Math.min(room, 32), `${share} of ${room} flows are worth the way`)
      }
    }
  }
  t.end()
})

t.test('what fails is told when nothing is under way any more', async (t) => {
  let ended = false
  const slow = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    ended = true
  })
  await t.rejects(allOf([Promise.reject(new Error('first')), slow, Promise.reject(new Error('second'))]), {
    message: 'first',
  })
  t.ok(ended)
})

t.test('flows are put in all lanes, each once, and refusals are told by their place', async (t) => {
  const { backend, sent } = start()
  t.same(await create(backend, [view(1005), view(1150, 2000), view(1399, 2001)], choice), [])
  sent.length = 0
  // Flows of the same match under other names, in three lanes; one that is known, in the second; one on no port, in the fourth.
  const flows = range(0, 400).map((n) => view(n))
  flows[5] = view(5, 1005)
  flows[70] = view(70, 2000)
  flows[160] = view(1150, 2000)
  const lost = addressed(250)
  flows[250] = viewOf({ ...lost, key: { ...lost.key, inPort: 9 } }, 'create')
  flows[110] = view(110, 2001)
  const unmade = await create(backend, flows, choice)
  t.same(
    unmade.map(({ index, error }) => [index, error.code]),
    [
      [5, 'EXISTS'],
      [70, 'EXISTS'],
      [110, 'EXISTS'],
      [160, 'EXISTS'],
      [250, 'NO_PORT'],
    ],
  )
  const puts = sent.filter(({ types: [type] }) => type === types.NEWTFILTER)
  t.same(
    puts.map(({ lane, types: { length } }) => [lane, length]),
    [
      [0, 112],
      [1, 95],
      [2, 96],
      [3, 95],
    ],
  )
  const made = range(0, 400).filter((n) => ![5, 70, 110, 160, 250].includes(n))
  t.same(await ufidsIn(backend), [...made, 1005, 1150, 1399].map(ufid).sort())
})

t.test('ops go in all lanes, and their results come in order', async (t) => {
  const { backend, sent } = start()
  t.same(
    await create(
      backend,
      range(0, 200).map((n) => view(n)),
      choice,
    ),
    [],
  )
  const strangers = [3, 70, 199]
  const ids = range(0, 200).map((n) => new ParsedUfid(ufid(strangers.includes(n) ? n + 5000 : n)))
  const got = await backend.operate(ids.map((id) => ({ verb: 'get', id })))
  sent.length = 0
  const deleted = await backend.operate(ids.map((id) => ({ verb: 'del', id, wantStats: false })))
  for (const results of [got, deleted]) {
    t.same(
      results.flatMap(({ error }, index) => (error === undefined ? [] : [[index, error.code]])),
      strangers.map((index) => [index, 'NOT_FOUND']),
    )
  }
  t.same(
    got.map(({ flow }) => flow?.key.ipv4?.dst),
    range(0, 200).map((n) => (strangers.includes(n) ? undefined : `10.0.0.${n}`)),
  )
  t.same(
    sent.map(({ lane, types: [type] }) => [lane, type]),
    [types.GETTFILTER, types.DELTFILTER].flatMap((type) => range(0, 4).map((lane) => [lane, type])),
    'each lane looks before it deletes',
  )
  t.same(await ufidsIn(backend), strangers.map(ufid))
})

t.test('a list that puts and deletes goes through one lane, in order', async (t) => {
  const room = start()
  const { backend, sent } = room
  t.same(
    await create(
      backend,
      range(0, 64).map((n) => view(n)),
      choice,
    ),
    [],
  )
  // The lane with the first half, the deletions, is the slowest.
  room.onExchange = async (lane) => {
    for (let turn = lane; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const dels = range(0, 64).map((n) => {
    return { verb: 'del', id: new ParsedUfid(ufid(n)), wantStats: false } as const
  })
  const creates = range(0, 64).map((n) => ({ verb: 'create', flow: view(n + 1000, n), choice }) as const)
  sent.length = 0
  t.same(
    await backend.operate([...dels, ...creates]),
    range(0, 128).map(() => ({})),
  )
  t.same(new Set(sent.map(({ lane }) => lane)), new Set([0]))
  t.same(await ufidsIn(backend), range(1000, 1064).map(ufid))
  const gets = range(1000, 1064).map((n) => ({ verb: 'get', id: new ParsedUfid(ufid(n)) }) as const)
  const replaces = range(1000, 1064).map((n) => {
    const flow = view(n, n - 1000)
    return { verb: 'replace', flow, choice, zeroStats: false, wantStats: false } as const
  })
  const dropped = { verb: 'del', id: new ParsedUfid(ufid(1000)), wantStats: false } as const
  for (const [list, lanes] of [
    [[...gets, ...replaces.slice(1), dropped], [0]],
    [
      [...gets, ...replaces.slice(1)],
      [0, 1, 2],
    ],
  ] as const) {
    sent.length = 0
    await backend.operate(list)
    t.same([...new Set(sent.map(({ lane }) => lane))].sort(), lanes)
  }
})

t.test('in every lane the missing qdisc comes before the filters, and it is ours once', async (t) => {
  const { backend, sent } = start()
  // Two calls at once, as the pipeline does: the second does not know yet what becomes of the first.
  const calls = [range(0, 128), range(128, 256)].map((numbers) =>
    create(
      backend,
      numbers.map((n) => view(n)),
      choice,
    ),
  )
  t.same((await Promise.all(calls)).flat(), [])
  t.same(
    sent.map(({ lane }) => lane),
    [0, 1, 2, 3, 0, 1, 2, 3],
  )
  for (const { types: order } of sent)
    t.same(order, [types.NEWQDISC, ...range(0, 32).map(() => types.NEWTFILTER)])
  sent.length = 0
  await create(
    backend,
    range(256, 384).map((n) => view(n)),
    choice,
  )
  t.notOk(sent.some(({ types: order }) => order.includes(types.NEWQDISC)))
  sent.length = 0
  await backend.flush()
  t.equal(sent.filter(({ types: order }) => order.includes(types.DELQDISC)).length, 1)
})

t.test('a lane that fails is told after all ended, and what the others put is there', async (t) => {
  const room = start()
  const flows = range(0, 128).map((n) => view(n))
  let ended = 0
  room.onExchange = async (lane) => {
    if (lane === 2) throw new Error('the socket failed')
    await new Promise<void>((resolve) => setImmediate(resolve))
    ended++
  }
  await t.rejects(create(room.backend, flows, choice), { message: 'the socket failed' })
  t.equal(ended, 3)
  room.onExchange = async () => {}
  const unmade = await create(room.backend, flows, choice)
  t.same(
    unmade.map(({ index, error }) => [index, error.code]),
    [...range(0, 64), ...range(96, 128)].map((index) => [index, 'EXISTS']),
  )
  t.same(await ufidsIn(room.backend), range(0, 128).map(ufid))
  room.onExchange = async (lane) => {
    if (lane === 1) throw new Error('once more')
  }
  const dels = flows.map((id) => ({ verb: 'del', id, wantStats: false }) as const)
  await t.rejects(room.backend.operate(dels), { message: 'once more' })
  room.onExchange = async () => {}
  const left = await room.backend.operate(dels)
  t.equal(left.filter(({ error }) => error === undefined).length, 32, 'those of the lane that failed')
  t.same(await ufidsIn(room.backend), [])
})

t.test('one lane is all there is unless more are asked for', async (t) => {
  const { backend, sent } = start({ lanes: 1 })
  t.same(
    await create(
      backend,
      range(0, 200).map((n) => view(n)),
      choice,
    ),
    [],
  )
  t.same(
    sent.map(({ lane }) => lane),
    [0],
  )
})

t.test('openDpif takes lanes, and refuses a number that is none', async (t) => {
  const { kernel, transport, sent } = start()
  await createDatapath('dp0', { transport: kernel })
  for (const lanes of [0, 17, -1, 1.5, Number.NaN]) {
    await t.rejects(openDpif({ datapath: 'dp0', transport, lanes }), {
      name: 'RangeError',
      message: `lanes ${lanes}: a whole number from 1 to 16 is needed`,
    })
  }
  const dpif = await openDpif({ datapath: 'dp0', transport, lanes: 3, policy: tcOnly() })
  for (const device of ['eth0', 'eth1']) await dpif.addPort(device)
  sent.length = 0
  const results = await dpif.operate(range(0, 300).map((n) => ({ op: 'put', ...addressed(n) })))
  t.same(
    results.map(({ ufid: id, backend, error }) => [id, backend, error]),
    range(0, 300).map((n) => [ufid(n), 'tc', undefined]),
  )
  t.same(
    sent.filter(({ types: order }) => order.includes(types.NEWTFILTER)).map(({ lane }) => lane),
    [0, 1, 2],
  )
  await dpif.close()
})
