import { ParsedUfid } from '../../lib/ovs/ufid.js'
import t from 'tap'
import type { Action } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'
import type { Port } from '../../types/port.js'
import { TcBackend } from '../../lib/backend/tc/flows.js'
import { Writer } from '../../lib/netlink/writer.js'
import { type TcAction } from '../../lib/tc/action/index.js'
import { verdicts } from '../../lib/tc/action/kind.js'
import { directions } from '../../lib/tc/action/mirred.js'
import { filterFlags, flower } from '../../lib/tc/flower.js'
import { AttributeIndex } from '../../lib/netlink/reader.js'
import { readMatch, writeMatch } from '../../lib/tc/match.js'
import { filterInfo, prioAndProtocol, types } from '../../lib/tc/message.js'
import { SimulatedKernel, type SimulatedKernelOptions } from '../../lib/testing/simulated-kernel/index.js'
import { CREATE, dumpFilters, ECHO, EXCL, filter, qdisc, tcpKey, view } from './helpers.js'

const cookie = new Uint8Array(16).fill(7)

function mirror(ifindex: number): TcAction {
  const parms = { action: verdicts.STOLEN, eaction: directions.EGRESS_REDIR, ifindex }
  return { kind: 'mirred', options: { parms }, cookie, flags: { value: 1, selector: 1 } }
}

const drop: TcAction = { kind: 'gact', options: { parms: { action: verdicts.SHOT } }, cookie }
const port80: FlowKey = { etherType: 0xffff, ipv4: { proto: 0xff }, tcp: { src: 0, dst: 0xffff } }

function options({
  key = tcpKey,
  mask = port80,
  actions = [drop] as readonly TcAction[],
  flags = 0,
} = {}): Uint8Array {
  const writer = new Writer()
  writeMatch(writer, key, mask)
  flower.write(writer, { actions, flags })
  return writer.take()
}

async function start(more: SimulatedKernelOptions = {}, capacity?: number) {
  const kernel = new SimulatedKernel(more)
  const eth0 = kernel.addDevice('eth0', capacity === undefined ? {} : { offload: { capacity } })
  const eth1 = kernel.addDevice('eth1')
  await qdisc(kernel, types.NEWQDISC, eth0, CREATE | EXCL)
  const ip = { ifindex: eth0, info: filterInfo(2, 0x0800) }
  const put = (name: object = {}, body: object = {}, flags: number = CREATE | EXCL) =>
    filter(kernel, types.NEWTFILTER, { ...ip, ...name }, { options: options(), ...body }, flags)
  return { kernel, eth0, eth1, ip, put }
}

t.test('a qdisc is made once and told apart when it is gone', async (t) => {
  const kernel = new SimulatedKernel()
  const ifindex = kernel.addDevice('eth0')
  const ask = (type: number, flags = 0, kind = 'ingress') => qdisc(kernel, type, ifindex, flags, kind)
  t.equal((await qdisc(kernel, types.NEWQDISC, 99, CREATE)).errno, 19)
  t.match(await ask(types.DELQDISC), { errno: 2, text: 'Cannot find specified qdisc on specified device' })
  t.match(await ask(types.NEWQDISC), {
    errno: 2,
    text: 'Qdisc not found. To create specify NLM_F_CREATE flag',
  })
  t.equal((await ask(types.NEWQDISC, CREATE | EXCL)).errno, 0)
  t.match(await ask(types.NEWQDISC, CREATE | EXCL), { errno: 17, text: 'Exclusivity flag on, cannot modify' })
  t.match(await ask(types.DELQDISC, 0, 'clsact'), { errno: 22, text: 'Invalid qdisc name' })
  t.equal((await ask(types.GETQDISC, ECHO)).replies[0]?.body.kind, 'ingress')
  t.same((await ask(types.GETQDISC)).replies, [], 'without an echo there is no answer')
  t.equal((await ask(types.DELQDISC)).errno, 0)
  t.match(await ask(types.DELQDISC), { errno: 22, text: 'Invalid handle' })
})

t.test('filters are refused with the words of cls_api', async (t) => {
  const { kernel, eth0, eth1, ip, put } = await start()
  t.match(await put({ ifindex: eth1 }), { errno: 22, text: "Parent Qdisc doesn't exists" })
  t.equal((await put({ ifindex: 99 })).errno, 19)
  const create = 'Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter'
  t.match(await put({}, {}, 0), { errno: 2, text: create })
  t.match(await filter(kernel, types.GETTFILTER, { ...ip, handle: 1 }), {
    errno: 22,
    text: 'Cannot find specified filter chain',
  })
  t.match(await filter(kernel, types.DELTFILTER, { ...ip, handle: 1 }), { errno: 2 })
  t.equal((await put({ handle: 5 })).errno, 0)
  t.match(await put({ handle: 5 }), { errno: 17, text: 'Filter already exists' })
  t.match(await put({ handle: 6 }), { errno: 17 })
  t.equal((await put({ handle: 6 })).text, undefined, 'a doubled match has no words')
  t.match(await put({ handle: 9 }, {}, 0), { errno: 2, text: create })
  t.match(await put({ info: filterInfo(2, 0x86dd) }), {
    errno: 22,
    text: 'Filter with specified priority/protocol not found',
  })
  t.match(await put({}, { kind: 'matchall' }), {
    errno: 22,
    text: 'Specified filter kind does not match existing one',
  })
  t.match(await put({ info: filterInfo(3, 0x0800) }, { kind: 'nonsense' }), {
    errno: 2,
    text: 'TC classifier not found',
  })
  t.match(await filter(kernel, types.DELTFILTER, { ...ip, handle: 77 }), {
    errno: 2,
    text: 'Specified filter handle not found',
  })
  t.match(await filter(kernel, types.DELTFILTER, { ...ip, info: 0, handle: 5 }), { errno: 2 })
  const bare = await start({ modules: { cls_flower: false } })
  t.match(await bare.put(), { errno: 2, text: 'TC classifier not found' })
  t.equal((await dumpFilters(kernel, eth0)).length, 2)
  t.equal((await filter(kernel, types.DELTFILTER, { ...ip, handle: 5 })).errno, 0)
  t.same(await dumpFilters(kernel, eth0), [], 'the priority goes with its last filter')
})

t.test('actions are refused as the kernel refuses them', async (t) => {
  const { put } = await start()
  const rows: [string, TcAction, object][] = [
    ['a device that is not there', mirror(99), { errno: 19, text: undefined }],
    ['no device', mirror(0), { errno: 22, text: 'act_mirred: Specified device does not exist' }],
    [
      'a vlan id of 4095',
      { kind: 'vlan', options: { parms: { action: 3, vlanAction: 2 }, id: 4095 } },
      { errno: 34 },
    ],
    [
      'a tag of another type',
      { kind: 'vlan', options: { parms: { action: 3, vlanAction: 2 }, id: 1, protocol: 1 } },
      { errno: 93 },
    ],
    [
      'no words',
      { kind: 'pedit', options: { parms: { action: 3, keys: [] } } },
      { errno: 22, text: 'act_pedit: Pedit requires keys to be passed' },
    ],
  ]
  for (const [what, action, answer] of rows) {
    t.match(await put({}, { options: options({ actions: [action] }) }), answer, what)
  }
  const writer = new Writer()
  const list = writer.begin(3)
  const first = writer.begin(1)
  const kind = writer.begin(1)
  writer.append(new TextEncoder().encode('nonsense\0'))
  for (const at of [kind, first, list]) writer.end(at)
  t.match(await put({}, { options: writer.take() }), { errno: 2, text: 'Failed to load TC action module' })
})

t.test('a filter is replaced in place, counters anew, but never under another mask', async (t) => {
  const { kernel, eth0, eth1, ip, put } = await start()
  await put({ handle: 5 }, { options: options({ actions: [mirror(eth1)] }) })
  t.same(kernel.receive('eth0', tcpKey, 74), { by: 'tc', offloaded: false, outputs: ['eth1'] })
  const [, before] = await dumpFilters(kernel, eth0)
  const read = (data: Uint8Array = new Uint8Array(0)) => flower.read(data, 0, data.length)
  t.match(read(before?.body.options).actions, [
    {
      kind: 'mirred',
      cookie,
      stats: { basic: { packets: 1, bytes: 60n } },
      options: { parms: { ifindex: eth1, refcnt: 1, bindcnt: 1 } },
    },
  ])
  t.equal((await put({ handle: 5 }, {}, 0)).errno, 0)
  const { replies } = await filter(kernel, types.GETTFILTER, { ...ip, handle: 5 })
  t.match(read(replies[0]?.body.options), {
    flags: filterFlags.NOT_IN_HW,
    inHwCount: 0,
    actions: [{ kind: 'gact', stats: { basic: { packets: 0 } } }],
  })
  const narrower = { etherType: 0xffff, ipv4: { proto: 0xff }, tcp: { src: 0xffff, dst: 0xffff } }
  t.match(await put({ handle: 5 }, { options: options({ mask: narrower }) }, 0), { errno: 22 })
  t.equal(kernel.receive('eth0', tcpKey).by, 'tc')
  t.equal(kernel.receive('eth0', { ...tcpKey, tcp: { src: 1, dst: 81 } }).by, 'miss')
})

t.test('names the sender leaves open are the kernel’s to choose', async (t) => {
  const { kernel, eth0, put } = await start()
  const prios: number[] = []
  for (const src of [1, 2]) {
    const body = { options: options({ key: { ...tcpKey, tcp: { src, dst: src } } }) }
    const { replies } = await put({ info: filterInfo(0, 0x0800) }, body, CREATE | ECHO)
    t.equal(replies[0]?.header.handle, 1)
    prios.push(prioAndProtocol(replies[0]?.header.info ?? 0).prio)
  }
  t.same(prios, [0xc000, 0xbfff])
  t.same(
    (await dumpFilters(kernel, eth0)).map(({ header, body }) => [header.handle, body.kind, body.chain]),
    [0, 1, 0, 1].map((handle) => [handle, 'flower', 0]),
    'a record of the priority comes before its filters',
  )
  t.equal((await dumpFilters(kernel, eth0, { chain: 1 })).length, 0)
  const [, terse] = await dumpFilters(kernel, eth0, { dumpFlags: { value: 1, selector: 1 } })
  const data = terse?.body.options ?? new Uint8Array(0)
  const body = flower.read(data, 0, data.length)
  t.same(Object.keys(body), ['flags', 'actions'])
  t.match(body.actions, [{ kind: 'gact', cookie, options: {} }])
})

t.test('tags come back as the kernel writes them', async (t) => {
  const { kernel, eth0, put } = await start()
  const inner = { etherType: 0x0800, ipv4: { src: '10.0.0.1' } }
  const one: FlowKey = { etherType: 0x8100, vlan: { vid: 7, pcp: 0, cfi: 1 }, encap: inner }
  const two: FlowKey = { etherType: 0x88a8, vlan: { vid: 9, pcp: 0, cfi: 1 }, encap: one }
  const innerMask = { etherType: 0xffff, ipv4: { src: '255.255.255.255' } }
  const oneMask: FlowKey = { etherType: 0xffff, vlan: { vid: 0xfff, pcp: 0, cfi: 1 }, encap: innerMask }
  const twoMask: FlowKey = { etherType: 0xffff, vlan: { vid: 0xfff, pcp: 0, cfi: 1 }, encap: oneMask }
  const rows = [
    [one, oneMask, [8, 23, 25, 10, 11]],
    [two, twoMask, [8, 23, 77, 25, 79, 10, 11]],
  ] as const
  for (const [key, mask, ids] of rows) {
    const protocol = key.etherType ?? 0
    const info = filterInfo(4, protocol)
    await put({ info }, { options: options({ key, mask }) })
    const [, found] = await dumpFilters(kernel, eth0)
    const data = found?.body.options ?? new Uint8Array(0)
    const { unknown = [] } = flower.read(data, 0, data.length)
    t.same(
      unknown.map(({ id }) => id),
      ids,
    )
    t.match(readMatch(protocol, new AttributeIndex(data, 0, data.length)), { key, mask })
    t.equal(kernel.receive('eth0', { ethernet: {}, ...key }).by, 'tc')
    await filter(kernel, types.DELTFILTER, { ifindex: eth0, info })
  }
})

t.test('a device with a table takes filters until it is full', async (t) => {
  const { kernel, eth0, put } = await start({}, 1)
  const key = (src: number) => ({ ...tcpKey, tcp: { src: 0, dst: src } })
  const at = (src: number, flags: number) => ({ options: options({ key: key(src), flags }) })
  t.equal((await put({}, at(1, filterFlags.SKIP_SW))).errno, 0)
  t.match(await put({}, at(2, filterFlags.SKIP_SW)), { errno: 28, text: /full/ })
  t.equal((await put({}, at(3, 0))).errno, 0)
  t.equal((await put({}, at(4, 3))).errno, 22, 'neither here nor there')
  const flags = (await dumpFilters(kernel, eth0))
    .slice(1)
    .map(({ body: { options = new Uint8Array(0) } }) => {
      return flower.read(options, 0, options.length).flags
    })
  t.same(flags, [filterFlags.SKIP_SW | filterFlags.IN_HW, filterFlags.NOT_IN_HW])
  t.match(kernel.receive('eth0', key(1)), { by: 'tc', offloaded: true })
  const soft = await start()
  t.equal((await soft.put({}, at(1, filterFlags.SKIP_SW))).errno, 95, 'no device to hold it')
})

t.test('filters vanish with their device', async (t) => {
  const { kernel, eth0, put } = await start()
  await put()
  kernel.removeDevice('eth0')
  t.same(await dumpFilters(kernel, eth0), [], 'which the kernel calls an empty dump')
  t.equal((await put()).errno, 19)
})

t.test('TcBackend finds in it what it put there', async (t) => {
  const { kernel, eth0, eth1 } = await start()
  const backend = new TcBackend(kernel)
  const ports: Port[] = [eth0, eth1].map((ifindex, at) => {
    return { number: at + 1, name: `eth${at}`, type: 'netdev', ifindex }
  })
  backend.portsChanged(ports)
  const id = '3f2a9c10-0000-4000-8000-0123456789ab'
  const choice = { backend: 'tc' } as const
  const actions: readonly Action[] = [{ pushVlan: { tpid: 0x8100, vid: 5, pcp: 1, cfi: 1 } }, { output: 2 }]
  const mask = { inPort: 0xffffffff, recircId: 0xffffffff, ...port80, ipv4: { proto: 0xff, frag: 0xff } }
  const key = { recircId: 0, ...tcpKey }
  const [made] = await backend.operate([{ verb: 'create', flow: view(id, { key, mask, actions }), choice }])
  t.equal(made?.error?.message, undefined)
  kernel.receive('eth0', tcpKey, 74)
  let seen = 0
  for await (const [found] of backend.dump({ terse: false })) {
    seen++
    t.equal(found?.ufid, id)
    t.match(found?.key, { inPort: 1, etherType: 0x0800, tcp: { dst: 80 } })
    t.same(found?.actions, actions)
    t.match(found?.stats, { packets: 1n, bytes: 74n })
  }
  t.equal(seen, 1)
  const [replaced] = await backend.operate([
    {
      verb: 'replace',
      flow: view(id, { key, mask, actions: [{ output: 2 }] }),
      choice,
      zeroStats: false,
      wantStats: true,
    },
  ])
  t.match(replaced?.stats, { packets: 1n })
  await backend.flush()
  const [gone] = await backend.operate([{ verb: 'get', id: new ParsedUfid(id) }])
  t.equal(gone?.error?.code, 'NOT_FOUND')
})
