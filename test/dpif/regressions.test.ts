import t from 'tap'
import {
  createDatapath,
  type Dpif,
  type Flow,
  type FlowSpec,
  type ListenOptions,
  kernelOnly,
  openDpif,
  type OpResult,
  type Policy,
  parseKey,
  preferTc,
  type Protocol,
  type PutOp,
  type Transport,
  tcOnly,
} from '../../lib/index.js'
import { messagesOf } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'
import { actionList } from '../../lib/ovs/action.js'
import { flowKey } from '../../lib/ovs/key.js'
import { ParsedUfid, ufidToBytes } from '../../lib/ovs/ufid.js'
import { verdicts } from '../../lib/tc/action/kind.js'
import { directions } from '../../lib/tc/action/mirred.js'
import type { TcAction } from '../../lib/tc/action/index.js'
import { flower } from '../../lib/tc/flower.js'
import { writeMatch } from '../../lib/tc/match.js'
import { filterInfo, type TcHeader, types } from '../../lib/tc/message.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { CREATE, dumpFilters, EXCL, filter, qdisc } from '../testing/helpers.js'

/** A door to the simulated kernel that can be held shut, or broken, from outside. */
class Door implements Transport {
  readonly name = 'door'
  readonly kernel: SimulatedKernel
  /** Every batch that went through: its protocol and how many messages it held. */
  readonly batches: { readonly protocol: Protocol; readonly count: number }[] = []
  /** Called before a batch goes through; what it throws becomes of the batch. */
  onExchange: (protocol: Protocol) => Promise<void> | void = () => {}
  /** Called before a dump begins. */
  onDump: (protocol: Protocol) => void = () => {}

  constructor(kernel: SimulatedKernel) {
    this.kernel = kernel
  }

  async exchange(protocol: Protocol, batch: Uint8Array, lane?: number) {
    const bytes = batch.slice()
    this.batches.push({ protocol, count: [...messagesOf(bytes)].length })
    await this.onExchange(protocol)
    return this.kernel.exchange(protocol, bytes, lane)
  }

  dump(protocol: Protocol, request: Uint8Array) {
    this.onDump(protocol)
    return this.kernel.dump(protocol, request)
  }

  listen(protocol: Protocol, options?: ListenOptions) {
    return this.kernel.listen(protocol, options)
  }

  async close() {}
}

/** A datapath with ports 1 (v0) and 2 (v1), and a spare device v2. */
async function lab(policy: Policy = tcOnly()) {
  const kernel = new SimulatedKernel()
  const v0 = kernel.addDevice('v0')
  const v1 = kernel.addDevice('v1')
  kernel.addDevice('v2')
  await createDatapath('dp0', { transport: kernel })
  const open = (policy: Policy = tcOnly(), transport: Transport = kernel) =>
    openDpif({ datapath: 'dp0', policy, transport })
  const dpif = await open(policy)
  await dpif.addPort('v0')
  await dpif.addPort('v1')
  return { kernel, v0, v1, dpif, open }
}

const ufid = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`

/** Flow number n, from port 1 to wherever `actions` says. */
const flow = (n: number, actions = '2'): FlowSpec => ({
  ufid: ufid(n),
  key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.${n >> 8}.${n & 255})`,
  actions,
})

const put = (n: number): PutOp => ({ op: 'put', ...flow(n) })

/** A packet flow n takes. */
const packet = (n: number) => ({
  ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' },
  etherType: 0x0800,
  ipv4: { src: '10.9.9.9', dst: `10.0.${n >> 8}.${n & 255}`, proto: 17, tos: 0, ttl: 64, frag: 0 },
  udp: { src: 1, dst: 2 },
})

async function all(dpif: Dpif): Promise<Flow[]> {
  const flows: Flow[] = []
  for await (const flow of dpif.dump()) flows.push(flow)
  return flows
}

const code = ({ error }: OpResult) => error?.code

/** `ufid backend` of everything in either table, as a process sees it that knows nothing yet. */
async function tables({ open }: Awaited<ReturnType<typeof lab>>): Promise<string[]> {
  const stranger = await open(kernelOnly())
  const found: string[] = []
  for (const type of ['tc', 'ovs'] as const)
    for await (const { ufid, backend } of stranger.dump({ types: [type] })) found.push(`${ufid} ${backend}`)
  await stranger.close()
  return found.sort()
}

/** Lets everything go on that can, without the clock. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}

t.test('a list of ports that cannot be read fails one operate and no more', async (t) => {
  const { kernel, open } = await lab()
  const door = new Door(kernel)
  const dpif = await open(tcOnly(), door)
  t.equal(code(await dpif.put(flow(9))), undefined)
  door.onDump = () => {
    throw new Error('the dump is gone')
  }
  // Port 77 is nobody's, so the ports are asked for.
  await t.rejects(dpif.put(flow(1, '77')), { message: 'the dump is gone' })
  door.onDump = () => {}
  t.match(await dpif.put(flow(1)), { backend: 'tc', error: undefined })
  t.match(await dpif.get({ ufid: ufid(1) }), { backend: 'tc', error: undefined })
})

t.test('an op that throws while it is read fails one operate and no more', async (t) => {
  const { dpif } = await lab()
  t.equal(code(await dpif.put(flow(1))), undefined)
  const bad: PutOp = {
    op: 'put',
    ufid: ufid(5),
    get key(): string {
      throw new SyntaxError('a getter of the user')
    },
    actions: '2',
  }
  await t.rejects(dpif.operate([put(2), bad, put(3)]), { message: 'a getter of the user' })
  for (const n of [2, 5, 3]) {
    t.match(await dpif.put(flow(n)), { backend: 'tc', error: undefined }, `flow ${n} can be put`)
  }
})

for (const mode of ['create', 'upsert'] as const) {
  t.test(`a filter another process deleted can be put again: ${mode}`, async (t) => {
    const { dpif, open } = await lab()
    await dpif.operate([put(1), put(2), put(3)])
    const other = await open()
    for (const n of [1, 2]) t.equal(code(await other.del({ ufid: ufid(n) })), undefined)
    t.equal(code(await dpif.get({ ufid: ufid(1) })), 'NOT_FOUND')
    t.match(await dpif.put(flow(1), { mode }), { backend: 'tc', error: undefined }, 'after a get')
    t.match(await dpif.put(flow(2), { mode }), { backend: 'tc', error: undefined }, 'without one')
    t.equal((await all(other)).length, 3)
  })
}

t.test('a filter another process deleted cannot be modified nor deleted, and can be put then', async (t) => {
  const { dpif, open } = await lab()
  await dpif.operate([put(1), put(2), put(3)])
  const other = await open()
  for (const n of [1, 2]) await other.del({ ufid: ufid(n) })
  t.equal(code(await dpif.put(flow(1), { mode: 'modify' })), 'NOT_FOUND')
  t.equal(code(await dpif.del({ ufid: ufid(2) })), 'NOT_FOUND')
  for (const n of [1, 2]) t.match(await dpif.put(flow(n)), { backend: 'tc', error: undefined })
})

t.test('a flow deleted while a dump is at rest on its page can be put again', async (t) => {
  const { dpif } = await lab()
  await dpif.operate([put(1), put(2), put(3)])
  const dump = dpif.dump()
  const first = (await dump.next()).value.ufid
  const rest = [1, 2, 3].filter((n) => ufid(n) !== first)
  t.equal(rest.length, 2)
  for (const n of rest) t.equal(code(await dpif.del({ ufid: ufid(n) })), undefined)
  for await (const { ufid } of dump) t.ok(ufid, 'what the page says may be told still')
  for (const n of rest) {
    t.match(await dpif.put(flow(n)), { backend: 'tc', error: undefined })
    t.match(await dpif.get({ ufid: ufid(n) }), { backend: 'tc', error: undefined })
  }
  t.equal((await all(dpif)).length, 3)
})

t.test('after a transport that failed in mid-batch the flows of that batch can be put', async (t) => {
  const { kernel, open } = await lab()
  const door = new Door(kernel)
  const dpif = await open(tcOnly(), door)
  t.equal(code(await dpif.put(flow(9999))), undefined)
  let sent = 0
  door.onExchange = (protocol) => {
    if (protocol === 'route' && ++sent === 2) throw new Error('the socket is gone')
  }
  const ops = Array.from({ length: 6000 }, (_, n) => put(n))
  await t.rejects(dpif.operate(ops), { message: 'the socket is gone' })
  door.onExchange = () => {}
  const held = new Set((await all(await open())).map(({ ufid }) => ufid))
  t.ok(held.size < ops.length, 'some were lost')
  const results = await dpif.operate(ops)
  const wrong = results.filter((result) => code(result) !== (held.has(result.ufid) ? 'EXISTS' : undefined))
  t.same(wrong, [], 'create does for each flow what the kernel holds')
  t.equal((await all(dpif)).length, ops.length + 1)
})

t.test('the last filter of a port that another process removed is one that is not there', async (t) => {
  for (const verb of ['get', 'del', 'modify', 'create', 'upsert'] as const) {
    const { dpif, open, kernel, v0 } = await lab()
    await dpif.put(flow(1))
    const other = await open()
    t.equal(code(await other.del({ ufid: ufid(1) })), undefined)
    t.same(await dumpFilters(kernel, v0), [], 'it was the last one')
    if (verb === 'get') t.equal(code(await dpif.get({ ufid: ufid(1) })), 'NOT_FOUND', verb)
    if (verb === 'del') t.equal(code(await dpif.del({ ufid: ufid(1) })), 'NOT_FOUND', verb)
    if (verb === 'modify') t.equal(code(await dpif.put(flow(1), { mode: 'modify' })), 'NOT_FOUND', verb)
    const mode = verb === 'upsert' ? verb : 'create'
    t.match(await dpif.put(flow(1), { mode }), { backend: 'tc', error: undefined }, `${mode} after ${verb}`)
  }
})

const takers = {
  /** Processes begin with handles of their own, so this one is made to take just the handle of ours. */
  'under our very handle': async ({ kernel }, { ifindex, info = 0, handle = 0 }) => {
    const theirs = foreign('10.0.0.2', ufidToBytes(new ParsedUfid(ufid(2))))
    const { errno } = await filter(kernel, types.NEWTFILTER, { ifindex, info, handle }, theirs, CREATE | EXCL)
    return errno
  },
  'as a dpif does': async ({ open }) => code(await (await open()).put(flow(2, ''))) ?? 0,
} satisfies Record<string, (world: Awaited<ReturnType<typeof lab>>, ours: TcHeader) => Promise<unknown>>

for (const [way, take] of Object.entries(takers)) {
  t.test(`a flow another process put in the place of ours is not taken for ours: ${way}`, async (t) => {
    for (const verb of ['get', 'del', 'modify', 'upsert'] as const) {
      const world = await lab()
      const { dpif, open, kernel, v0 } = world
      await dpif.put(flow(1))
      const [mine] = (await dumpFilters(kernel, v0)).filter(({ header }) => header.handle)
      t.equal(code(await (await open()).del({ ufid: ufid(1) })), undefined)
      t.equal(await take(world, mine?.header ?? { ifindex: v0 }), 0)
      if (verb === 'get') t.equal(code(await dpif.get({ ufid: ufid(1) })), 'NOT_FOUND', verb)
      else if (verb === 'del') t.equal(code(await dpif.del({ ufid: ufid(1) })), 'NOT_FOUND', verb)
      else {
        const expected = verb === 'modify' ? 'NOT_FOUND' : undefined
        t.equal(code(await dpif.put(flow(1), { mode: verb })), expected, verb)
      }
      const left = (await all(await open())).find((flow) => flow.ufid === ufid(2))
      t.match(left, { actions: [], key: { ipv4: { dst: '10.0.0.2' } } }, `it is as it was after ${verb}`)
    }
  })
}

t.test('a put whose answer is lost is not put elsewhere, and a del takes it away', async (t) => {
  const world = await lab(preferTc())
  const { kernel, dpif } = world
  t.equal(code(await dpif.put(flow(9))), undefined)
  const heal = kernel.fault(({ protocol, type }) =>
    protocol === 'route' && type === types.NEWTFILTER ? { errno: 105, carriedOut: true } : undefined,
  )
  t.equal(code(await dpif.put(flow(1))), 'OUTCOME_UNKNOWN')
  heal()
  t.same(await tables(world), [`${ufid(1)} tc`, `${ufid(9)} tc`], 'nothing went to openvswitch')
  await dpif.del({ ufid: ufid(1) })
  t.same(await tables(world), [`${ufid(9)} tc`], 'and nothing is left of it')
  t.match(await dpif.put(flow(1)), { backend: 'tc', error: undefined })
})

t.test('what a flow counted is forgotten when its device vanishes', async (t) => {
  const { kernel, dpif } = await lab()
  t.equal(code(await dpif.put(flow(1))), undefined)
  for (let n = 0; n < 3; n++) t.equal(kernel.receive('v0', packet(1)).by, 'tc')
  const upserted = await dpif.put(flow(1, '2'), { mode: 'upsert', stats: true })
  t.equal(upserted.stats?.packets, 3n)
  t.equal((await dpif.get({ ufid: ufid(1) })).stats?.packets, 3n, 'an upsert carries counters')
  kernel.removeDevice('v0')
  kernel.addDevice('v0')
  t.equal((await dpif.addPort('v0')).number, 1)
  t.match(await dpif.put(flow(1), { stats: true }), {
    backend: 'tc',
    error: undefined,
    stats: { packets: 0n },
  })
  const { stats, flow: held } = await dpif.get({ ufid: ufid(1) })
  t.match({ stats, held: held?.stats }, { stats: { packets: 0n }, held: { packets: 0n } })
})

t.test('an op waits for the one before it, even when the other backend failed meanwhile', async (t) => {
  const { kernel, open } = await lab()
  const door = new Door(kernel)
  const policy: Policy = {
    name: 'odd-in-tc',
    place: ({ ufid }) => ({ choices: [{ backend: ufid.endsWith('1') ? 'tc' : 'ovs' }], reason: 'a test' }),
  }
  const dpif = await open(policy, door)
  for (const n of [0x21, 0x22]) t.equal(code(await dpif.put(flow(n))), undefined)
  const held: (() => void)[] = []
  let broken = true
  door.onExchange = async (protocol) => {
    if (protocol === 'generic') await new Promise<void>((resolve) => held.push(resolve))
    else if (broken) throw new Error('the route socket is gone')
  }
  const first = dpif.operate([put(0x31), put(0x32)])
  const failed = t.rejects(first, { message: 'the route socket is gone' })
  const second = first.catch(() => {}).then(() => dpif.put(flow(0x32)))
  await turns()
  broken = false
  t.equal(held.length, 1, 'the second op on the flow is not under way before the first has ended')
  door.onExchange = () => {}
  for (const resume of held) resume()
  await failed
  t.equal(code(await second), 'EXISTS', 'the first one had put the flow')
  t.equal((await dpif.get({ ufid: ufid(0x32) })).backend, 'ovs')
})

for (const [name, policy, home] of [
  ['tc-only', tcOnly(), 'tc'],
  ['kernel-only', kernelOnly(), 'ovs'],
] as const) {
  t.test(`a flow another process put in TC later is found by its ufid: ${name}`, async (t) => {
    const world = await lab(policy)
    const { dpif, open } = world
    t.equal(code(await dpif.put(flow(9))), undefined)
    const other = await open(tcOnly())
    for (const n of [1, 2, 3]) t.equal((await other.put(flow(n))).backend, 'tc')
    const got = await dpif.get({ ufid: ufid(1) })
    t.match(got, { backend: 'tc', error: undefined, flow: { ufid: ufid(1) } }, 'get finds it')
    t.match(await dpif.put(flow(2, '2,1'), { mode: 'modify' }), { backend: home, error: undefined })
    t.match(await dpif.del({ ufid: ufid(3) }), { backend: 'tc', error: undefined }, 'del finds it')
    t.same(await tables(world), [`${ufid(1)} tc`, `${ufid(2)} ${home}`, `${ufid(9)} ${home}`])
    const changed = (await all(await open())).find((flow) => flow.ufid === ufid(2))
    t.same(changed?.actions, [{ output: 2 }, { output: 1 }], 'modify changed it')
  })
}

t.test('an action that writes nothing at the end of a list leaves no packet undecided', async (t) => {
  const { kernel, v0, dpif } = await lab()
  const nothing = { setMasked: { key: { ipv4: { ttl: 0 } }, mask: { ipv4: { ttl: 0 } } } }
  const result = await dpif.put({ ...flow(1), actions: [{ output: 2 }, nothing] })
  t.match(result, { backend: 'tc', error: undefined })
  const [found] = (await dumpFilters(kernel, v0)).filter(({ header }) => header.handle)
  const options = found?.body.options ?? new Uint8Array()
  const last = flower.read(options, 0, options.length).actions?.at(-1)
  t.ok(last, 'the filter has actions')
  const parms = last !== undefined && 'options' in last ? last.options.parms : undefined
  const verdict = (parms as { action?: number } | undefined)?.action
  t.ok(
    [verdicts.STOLEN, verdicts.SHOT].includes(verdict as never),
    `the last verdict is ${verdict}, not PIPE`,
  )
  if (last?.kind === 'mirred') t.equal(last.options.parms?.eaction, directions.EGRESS_REDIR)
  t.match(kernel.receive('v0', packet(1)), { by: 'tc', outputs: ['v1'] })
  t.same((await dpif.get({ ufid: ufid(1) })).flow?.actions, [{ output: 2 }])
})

const drop: TcAction = { kind: 'gact', options: { parms: { action: verdicts.SHOT } } }

function foreign(dst: string, cookie?: Uint8Array): { readonly options: Uint8Array } {
  const writer = new Writer()
  const key = { etherType: 0x0800, ipv4: { dst } }
  writeMatch(writer, key, { etherType: 0xffff, ipv4: { dst: '255.255.255.255' } })
  flower.write(writer, { actions: [{ ...drop, ...(cookie && { cookie }) }], flags: 0 })
  return { options: writer.take() }
}

t.test('a port that leaves takes our filters and our qdisc along', async (t) => {
  const { kernel, v0, v1, dpif } = await lab()
  await dpif.operate([put(1), put(2)])
  const elsewhere = await dpif.put({ key: 'in_port(2),eth(),eth_type(0x0800),ipv4()', actions: '1' })
  t.equal(elsewhere.error, undefined)
  await dpif.delPort('v0')
  t.same(await dumpFilters(kernel, v0), [], 'no filter is left')
  t.equal((await qdisc(kernel, types.NEWQDISC, v0, CREATE | EXCL)).errno, 0, 'nor a qdisc')
  t.equal((await dumpFilters(kernel, v1)).filter(({ header }) => header.handle).length, 1)
  t.same(
    (await all(dpif)).map(({ ufid }) => ufid),
    [elsewhere.ufid],
  )
  // The flows are gone, so they can be put when the device is back under another number.
  await qdisc(kernel, types.DELQDISC, v0)
  const { number } = await dpif.addPort('v0', { number: 7 })
  const again = { ...flow(1), key: `in_port(${number}),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1)` }
  t.match(await dpif.put(again), { backend: 'tc', error: undefined })
})

t.test('a port that leaves leaves what others hung on its device', async (t) => {
  const { kernel, v0, dpif } = await lab()
  await dpif.operate([put(1), put(2)])
  const cookie = new Uint8Array(16).fill(9)
  const rows = [
    [100, 1, foreign('10.7.0.1')],
    [100, 2, foreign('10.7.0.2', cookie)],
    [100, 0x68001234, foreign('10.7.0.3')],
  ] as const
  for (const [prio, handle, body] of rows) {
    const name = { ifindex: v0, info: filterInfo(prio, 0x0800), handle }
    t.equal((await filter(kernel, types.NEWTFILTER, name, body, CREATE | EXCL)).errno, 0)
  }
  await dpif.delPort('v0')
  const left = (await dumpFilters(kernel, v0)).flatMap(({ header }) => header.handle || [])
  t.same(
    left.sort((a, b) => a - b),
    [1, 2, 0x68001234],
    'their filters are there, ours are not',
  )
  t.equal((await qdisc(kernel, types.NEWQDISC, v0, CREATE | EXCL)).errno, 17, 'and so is the qdisc')
})

t.test('a port that leaves leaves a qdisc that was there before', async (t) => {
  const { kernel, v0, dpif } = await lab()
  t.equal((await qdisc(kernel, types.NEWQDISC, v0, CREATE | EXCL)).errno, 0)
  t.equal(code(await dpif.put(flow(1))), undefined)
  await dpif.delPort(1)
  t.same(await dumpFilters(kernel, v0), [])
  t.equal((await qdisc(kernel, types.NEWQDISC, v0, CREATE | EXCL)).errno, 17)
})

t.test('a raw flow on a port another process added later lands in TC', async (t) => {
  const { dpif, open } = await lab()
  t.equal(code(await dpif.put(flow(9))), undefined)
  const other = await open()
  const { number } = await other.addPort('v2')
  const { key, mask = {} } = parseKey(`in_port(${number}),eth(),eth_type(0x0800),ipv4(dst=10.9.9.9)`)
  const bytes = (write: (writer: Writer) => void) => {
    const writer = new Writer()
    write(writer)
    return writer.take()
  }
  const raw = {
    ufid: ufid(1),
    key: bytes((writer) => flowKey.write(writer, key)),
    mask: bytes((writer) => flowKey.write(writer, mask)),
    actions: bytes((writer) => actionList.write(writer, [{ output: 2 }])),
  }
  t.match(await dpif.put(raw), { backend: 'tc', error: undefined })
  t.equal((await dpif.get({ ufid: ufid(1) })).flow?.key.inPort, number)
})

t.test('a get and a del in one call tell the same carried counters everywhere', async (t) => {
  const { kernel, dpif } = await lab()
  t.equal(code(await dpif.put(flow(1))), undefined)
  for (let n = 0; n < 3; n++) kernel.receive('v0', packet(1))
  t.equal(code(await dpif.put(flow(1, '2,1'), { mode: 'modify' })), undefined)
  for (let n = 0; n < 2; n++) kernel.receive('v0', packet(1))
  const [got, deleted] = await dpif.operate([
    { op: 'get', ufid: ufid(1) },
    { op: 'del', ufid: ufid(1), stats: true },
  ])
  t.equal(got?.stats?.packets, 5n)
  t.same(got?.flow?.stats, got?.stats)
  t.equal(deleted?.stats?.packets, 5n)
})

for (const [backend, policy, protocol] of [
  ['tc', tcOnly(), 'route'],
  ['ovs', kernelOnly(), 'generic'],
] as const) {
  t.test(`a value that does not fit fails one op of a batch: ${backend}`, async (t) => {
    const world = await lab()
    const door = new Door(world.kernel)
    const dpif = await world.open(policy, door)
    t.equal(code(await dpif.put(flow(9))), undefined)
    const { key, mask = {} } = parseKey('in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.3.0.1,tos=3)')
    const wide: PutOp = {
      op: 'put',
      ufid: ufid(5),
      key: { ...key, ipv4: { ...key.ipv4, tos: 300 } },
      mask,
      actions: '2',
    }
    const results = await dpif.operate([put(1), wide, put(2)])
    t.same(results.map(code), [undefined, 'SYNTAX', undefined])
    door.batches.length = 0
    t.equal(code(await dpif.put(flow(3))), undefined)
    t.same(door.batches, [{ protocol, count: 1 }], 'the next batch holds what it was asked for')
    const expected = [1, 2, 3, 9].map((n) => `${ufid(n)} ${backend}`)
    t.same(await tables(world), expected)
  })

  t.test(`a throw while a batch is written leaves nothing to the next one: ${backend}`, async (t) => {
    const world = await lab()
    const door = new Door(world.kernel)
    const dpif = await world.open(policy, door)
    t.equal(code(await dpif.put(flow(9))), undefined)
    const bad: PutOp = {
      op: 'put',
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
    await t.rejects(dpif.operate([put(1), put(2), bad, put(4)]), { message: 'a getter of the user' })
    door.batches.length = 0
    t.equal(code(await dpif.put(flow(3))), undefined)
    t.same(door.batches, [{ protocol, count: 1 }], 'the next batch holds what it was asked for')
    const held = await tables(world)
    for (const n of [1, 2, 4]) {
      const expected = held.includes(`${ufid(n)} ${backend}`) ? 'EXISTS' : undefined
      t.equal(code(await dpif.put(flow(n))), expected, `flow ${n} is put unless it is there`)
    }
    t.same(
      await tables(world),
      [1, 2, 3, 4, 9].map((n) => `${ufid(n)} ${backend}`),
    )
  })
}
