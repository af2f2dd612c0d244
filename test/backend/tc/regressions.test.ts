import t from 'tap'
import { create } from '../create.js'
import { TcBackend } from '../../../lib/backend/tc/flows.js'
import { Identities, isOurs } from '../../../lib/backend/tc/identity.js'
import { u32 } from '../../../lib/netlink/integers.js'
import { messagesOf } from '../../../lib/netlink/reader.js'
import { parseKey } from '../../../lib/ovs/text.js'
import { viewOf } from '../../../lib/ovs/view.js'
import { types } from '../../../lib/tc/message.js'
import type { FlowSpec } from '../../../types/op.js'
import type { Transport } from '../../../types/transport.js'

/** A backend whose kernel takes everything, and the filters it asked for, batch by batch, handles cleared; not the marks of qdiscs. */
function recorder() {
  const batches: string[][] = []
  const transport: Transport = {
    name: 'recorder',
    exchange: async (_protocol, batch) => {
      const filters: string[] = []
      let count = 0
      let isMark = false
      for (const { start, end, type } of messagesOf(batch)) {
        isMark ||= type === types.NEWCHAIN
        const bytes = batch.slice(start, end)
        u32.put(bytes, HANDLE, 0)
        if (type === types.NEWTFILTER) filters.push(Buffer.from(bytes).toString('hex'))
        count++
      }
      if (!isMark) batches.push(filters)
      return { count, failures: [], replies: new Uint8Array() }
    },
    dump: () => {
      throw new Error('nothing is dumped here')
    },
    listen: () => {
      throw new Error('nothing is dumped here')
    },
    close: async () => {},
  }
  const backend = new TcBackend(transport)
  backend.portsChanged(
    [1, 2, 3].map((number) => ({ number, name: `p${number}`, type: 'netdev', ifindex: number + 10 })),
  )
  const create = (flows: readonly FlowSpec[]) =>
    backend.operate(
      flows.map((flow) => ({
        verb: 'create' as const,
        flow: viewOf(flow, 'create'),
        choice: { backend: 'tc' as const },
      })),
    )
  return { batches, create }
}

/** Where a filter's message has its handle. */
const HANDLE = 24

const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`

/** Kinds of flows that have nothing in common; each flow has a mask object of its own. */
const kinds: readonly ((n: number) => FlowSpec)[] = [
  (n) => ({
    ufid: ufid(n),
    ...parseKey(`in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.1.${n},proto=17,frag=no),udp(dst=${n + 1})`),
    actions: [{ output: 2 }],
  }),
  (n) => ({
    ufid: ufid(n),
    ...parseKey(`in_port(2),eth(src=00:00:00:00:01:${(n + 16).toString(16)}),eth_type(0x86dd),ipv6(proto=6)`),
    actions: [{ output: 1 }, { output: 3 }],
  }),
  (n) => ({
    ufid: ufid(n),
    ...parseKey(`in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.2.${n},dst=10.0.3.0/24,ttl=${n})`),
    actions: [],
  }),
]

for (const count of [2, 3]) {
  t.test(`${count} kinds of flows that take turns in a batch are written as one by one`, async (t) => {
    const flows = Array.from({ length: 60 }, (_, n) => (kinds[n % count] as (typeof kinds)[number])(n))
    const masks = new Set(flows.map(({ mask }) => mask))
    t.equal(masks.size, flows.length, 'each has a mask of its own')
    const together = recorder()
    const alone = recorder()
    for (const { error } of await together.create(flows)) t.equal(error, undefined)
    for (const flow of flows) for (const { error } of await alone.create([flow])) t.equal(error, undefined)
    t.equal(together.batches.length, 1)
    t.equal(together.batches[0]?.length, flows.length)
    t.same(together.batches.flat(), alone.batches.flat())
    t.equal(new Set(together.batches.flat()).size, flows.length, 'every flow has its own')
  })
}

t.test('a filter seen with the last handle makes the next one begin anew', async (t) => {
  const last = 0x6fffffff
  const identities = new Identities()
  identities.seen({ ifindex: 1, prio: 2, protocol: 0x0800, handle: last, chain: 0 }, true)
  const handles = Array.from({ length: 3 }, () => identities.allocate(1, 0x0800, 0)?.handle ?? 0)
  t.ok(handles.every(isOurs), `in the range: ${handles.map((handle) => handle.toString(16))}`)
  t.equal(new Set(handles).size, 3)
})

t.test('a priority that was chosen is chosen again only as long as it is ours', async (t) => {
  const identities = new Identities()
  const prioNow = (ifindex: number, protocol = 0x0800) => identities.allocate(ifindex, protocol, 0)?.prio
  t.equal(prioNow(1), 2)
  t.equal(prioNow(1), 2)
  t.equal(prioNow(1, 0x86dd), 3, 'another protocol has another')
  t.equal(prioNow(1), 2)
  identities.avoid({ ifindex: 1, prio: 2, protocol: 0x0800, handle: 0, chain: 0 })
  const second = prioNow(1)
  t.not(second, 2, 'the kernel says that it is taken')
  t.equal(prioNow(2), 2, 'on another port it is not')
  identities.seen({ ifindex: 2, prio: 2, protocol: 0x86dd, handle: 0, chain: 0 }, true)
  t.not(prioNow(2), 2, 'somebody else has put a filter with it')
  t.equal(prioNow(1), second)
  identities.keep(new Set([2]))
  t.equal(prioNow(1), 2, 'the port has gone, and another one has its number')
})

t.test('handles stay in their range however far they leap', async (t) => {
  const identities = new Identities()
  const handles = Array.from({ length: 400 }, () => {
    identities.leap(8)
    return identities.allocate(1, 0x0800, 0)?.handle ?? 0
  })
  t.ok(handles.every(isOurs))
  t.ok(
    handles.some((handle, index) => handle < (handles[index - 1] ?? 0)),
    'the end of the range was passed',
  )
})

const flow = (n: number): FlowSpec => (kinds[0] as (typeof kinds)[number])(n)

t.test('a value that does not fit in the middle of a batch fails alone', async (t) => {
  const { batches, create } = recorder()
  const { key, mask } = parseKey(
    'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.1.5,proto=17,frag=no),udp(dst=1)',
  )
  // Of the same kind as its neighbours, and of a kind of its own.
  const alike = { ufid: ufid(5), key: { ...key, udp: { dst: 70_000 } }, mask, actions: [{ output: 2 }] }
  const { ufid: other, ...shape } = { ...alike, ufid: ufid(6), actions: [] }
  const results = await create([flow(1), alike, flow(2), { ...shape, ufid: other }, flow(3)])
  t.same(
    results.map(({ error }) => error?.code),
    [undefined, 'SYNTAX', undefined, 'SYNTAX', undefined],
  )
  await create([flow(4)])
  t.same(
    batches.map(({ length }) => length),
    [3, 1],
    'the next batch holds one filter',
  )
  const alone = recorder()
  for (const n of [1, 2, 3, 4]) await alone.create([flow(n)])
  t.same(batches.flat(), alone.batches.flat(), 'and the good ones are what they are alone')
})

t.test('a throw while a batch is written leaves nothing to the next one', async (t) => {
  const { batches, create } = recorder()
  await create([flow(0)])
  const bad: FlowSpec = {
    ufid: ufid(5),
    key: {
      inPort: 1,
      ethernet: {},
      etherType: 0x0806,
      get arp(): never {
        throw new Error('a getter of the user')
      },
    },
    mask: { inPort: 0xffffffff, etherType: 0xffff, arp: { op: 0xff } },
    actions: [],
  }
  await t.rejects(create([flow(1), flow(2), bad]), { message: 'a getter of the user' })
  const sent = batches.length
  for (const { error } of await create([flow(3)])) t.equal(error, undefined)
  const alone = recorder()
  await alone.create([flow(3)])
  t.same(batches.slice(sent), alone.batches, 'the next batch holds what it was asked for')
  if (sent > 1) return
  // Nothing was sent, so the names that were given are free again.
  for (const { error } of await create([flow(1), flow(2)])) t.equal(error, undefined)
})

t.test('a port that goes while its flows are put fails them, and nothing else', async (t) => {
  const port = { number: 1, name: 'p1', type: 'netdev' as const, ifindex: 11 }
  const ENODEV = 19
  const backend: TcBackend = new TcBackend({
    name: 'vanishing',
    exchange: async (_protocol, batch) => {
      const count = [...messagesOf(batch)].length
      backend.portsChanged([])
      const failures = Array.from({ length: count }, (_, index) => ({ index, errno: ENODEV }))
      return { count, failures, replies: new Uint8Array() }
    },
    dump: () => {
      throw new Error('nothing is dumped here')
    },
    listen: () => {
      throw new Error('nothing is dumped here')
    },
    close: async () => {},
  })
  backend.portsChanged([port, { ...port, number: 2, name: 'p2', ifindex: 12 }])
  const ufid = (n: number) => `0000000${n}-0000-4000-8000-000000000000`
  const flows = [1, 2].map((n) =>
    viewOf(
      { ufid: ufid(n), key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${n},frag=no)`, actions: '2' },
      'create',
    ),
  )
  const unmade = await create(backend, flows, { backend: 'tc' })
  t.same(
    unmade.map(({ index, error }) => [index, error.errno]),
    [
      [0, ENODEV],
      [1, ENODEV],
    ],
  )
})
