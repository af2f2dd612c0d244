import t, { type Test } from 'tap'
import { createDatapath, type Flow, openDpif, type Policy, preferTc, tcOnly } from '../../lib/index.js'
import { readMessage } from '../../lib/netlink/message.js'
import { type Message, messagesOf } from '../../lib/netlink/reader.js'
import { filterFlags, flower } from '../../lib/tc/flower.js'
import { tcMessage, types } from '../../lib/tc/message.js'
import { SimulatedKernel } from '../../lib/testing/index.js'

// What hardware says it does, and what software sees of it.

t.test(
  'what a device counts is told apart, and a flow that software sees all the same is suspect',
  async (t) => {
    const transport = new SimulatedKernel()
    for (const name of ['nic0', 'nic1']) transport.addDevice(name, { offload: { capacity: 10 } })
    await createDatapath('dp0', { transport })
    const dpif = await openDpif({ datapath: 'dp0', policy: tcOnly(), transport })
    t.teardown(() => dpif.close())
    for (const name of ['nic0', 'nic1']) await dpif.addPort(name)
    await dpif.put({ key: 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)', actions: '2' })
    const dumped = async () => {
      const flows: Flow[] = []
      for await (const flow of dpif.dump()) flows.push(flow)
      t.equal(flows.length, 1)
      return flows[0]
    }
    const frame = {
      ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' },
      etherType: 0x0800,
      ipv4: { proto: 17 },
    }
    t.match(transport.receive('nic0', frame, 100), { by: 'tc', offloaded: true })
    t.match(await dumped(), {
      offloaded: true,
      suspect: false,
      stats: { packets: 1n, bytes: 100n, hardware: { packets: 1n, bytes: 100n } },
    })
    transport.loseRules('nic0')
    t.match(transport.receive('nic0', frame, 100), { by: 'tc', offloaded: false })
    t.match(await dumped(), {
      offloaded: true,
      suspect: true,
      stats: { packets: 2n, bytes: 200n, hardware: { packets: 1n, bytes: 100n } },
    })
    let swept = 0n
    for await (const page of dpif.sweep())
      for (let at = 0; at < page.count; at++) swept += page.bytes[at] ?? 0n
    t.equal(swept, 200n, 'a sweep counts alike')
  },
)

t.test('where a device does not say when packets came, sweeps find out', async (t) => {
  const transport = new SimulatedKernel()
  const offload = { capacity: 10, lastUsed: false }
  for (const name of ['nic0', 'nic1']) transport.addDevice(name, { offload })
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', policy: tcOnly(), transport })
  t.teardown(() => dpif.close())
  for (const name of ['nic0', 'nic1']) await dpif.addPort(name)
  const { ufid } = await dpif.put({ key: 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)', actions: '2' })
  const now = () => Number(process.hrtime.bigint() / 1_000_000n)
  const dumped = async () => {
    for await (const { stats } of dpif.dump()) return stats.used
    return undefined
  }
  const swept = async () => {
    let used = 0
    for await (const page of dpif.sweep()) if (page.count > 0) used = page.used[0] ?? 0
    return used
  }
  t.equal(await dumped(), 0, 'no packet came')
  transport.receive('nic0', { ethernet: {}, etherType: 0x0800, ipv4: { proto: 17 } }, 100)
  const before = now()
  t.ok(((await dumped()) ?? 0) >= before, 'nobody has looked: it may have come just now')
  const seen = await swept()
  while (now() < seen + 30) await swept()
  t.equal(await swept(), seen)
  t.equal(await dumped(), seen)
  t.equal((await dpif.get({ ufid })).stats?.used, seen)
  transport.receive('nic0', { ethernet: {}, etherType: 0x0800, ipv4: { proto: 17 } }, 100)
  t.ok(((await dumped()) ?? 0) > seen, 'it has moved since')
  t.ok((await swept()) > seen)
})

/** Two e-switches, with a port of each and one of the first more. */
async function switches(t: Test, policy: Policy) {
  const transport = new SimulatedKernel()
  for (const number of [0, 1]) {
    const place = { prefix: `es${number}_`, switchId: `aa0${number}` }
    transport.addEswitch(`pci/${number}`, { vfs: 2, mode: 'switchdev', ...place })
  }
  transport.addDevice('eth0')
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', policy, transport })
  t.teardown(() => dpif.close())
  for (const name of ['es0_pf0vf0', 'es0_pf0vf1', 'es1_pf0vf0', 'eth0']) await dpif.addPort(name)
  return { transport, dpif }
}

const key = (address: number, inPort = 1) =>
  `recirc_id(0),in_port(${inPort}),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${address},frag=no)`

t.test('what goes to another e-switch is kept in software, and the reason is told', async (t) => {
  const { transport, dpif } = await switches(t, preferTc())
  const flags: number[] = []
  transport.fault(({ type, bytes }) => {
    if (type === types.NEWTFILTER) flags.push(flagsOf(bytes))
    return undefined
  })
  // One batch: what was written for one flow serves those of its kind, and no others.
  const outputs = ['2', '2', '3', '3', '2,3', '3,2', '4', 'drop']
  const results = await dpif.operate(
    outputs.map((actions, at) => ({ op: 'put', key: key(at), actions, confirm: true })),
  )
  const SKIP_HW = filterFlags.SKIP_HW
  t.same(flags, [0, 0, SKIP_HW, SKIP_HW, SKIP_HW, SKIP_HW, 0, 0])
  t.same(
    results.map(({ offloaded }) => offloaded),
    [true, true, false, false, false, false, false, true],
  )
  const { verdicts, others } = await dpif.explain({ key: key(9), actions: '2,3' })
  t.match(verdicts[0], {
    objections: [],
    filter: /skip_hw/,
    softwareOnly: {
      ...{ code: 'UNSUPPORTED_ACTION', reason: 'OTHER_SWITCH', path: 'actions[1].output' },
      message:
        /actions\[1\].output: port 3 \(es1_pf0vf0\) is on switch aa01, port 1 \(es0_pf0vf0\) on switch aa00/,
    },
  })
  t.notOk('softwareOnly' in (verdicts[1] ?? others[0] ?? {}))
  const [here] = (await dpif.explain({ key: key(9), actions: '2' })).verdicts
  t.notOk('softwareOnly' in (here ?? {}))
  t.notMatch(here?.filter, /skip_hw/)
  t.same(
    (await dpif.ports()).map(({ switchId, kind }) => [switchId, kind]),
    [
      [undefined, undefined],
      ['aa00', 'vf'],
      ['aa00', 'vf'],
      ['aa01', 'vf'],
      [undefined, undefined],
    ],
  )
})

t.test('a policy that wants hardware or nothing hears why there is nothing', async (t) => {
  const { dpif } = await switches(t, tcOnly({ skip: 'sw' }))
  t.match(await dpif.put({ key: key(1), actions: '2' }, { confirm: true }), {
    backend: 'tc',
    offloaded: true,
  })
  const error = {
    code: 'UNSUPPORTED_ACTION',
    reason: 'OTHER_SWITCH',
    path: 'actions[0].output',
    backend: 'tc',
  }
  t.match(await dpif.put({ key: key(2), actions: '3' }), { error })
  const { backend, verdicts } = await dpif.explain({ key: key(2), actions: '3' })
  t.equal(backend, undefined)
  t.match(verdicts, [{ objections: [error] }])
  // Nobody knows what is behind a device that is on no switch: the driver is asked.
  t.match(await dpif.put({ key: key(3), actions: '4' }), { error: { code: 'UNSUPPORTED', errno: 95 } })
})

t.test('a sweep tells what a device has taken', async (t) => {
  const { dpif } = await switches(t, preferTc())
  const put = await dpif.operate([
    { op: 'put', key: key(1), actions: '2' },
    { op: 'put', key: key(2), actions: '3' },
    { op: 'put', key: `recirc_id(0),skb_mark(0x1),in_port(1),eth(),eth_type(0x0800),ipv4()`, actions: '2' },
  ])
  const found = new Map<string, number | undefined>()
  for await (const page of dpif.sweep())
    for (let at = 0; at < page.count; at++) found.set(page.ufid(at), page.offloaded[at])
  t.same(
    put.map(({ ufid }) => found.get(ufid)),
    [1, 0, 0],
  )
})

/** TCA_FLOWER_FLAGS of a message that puts a filter. */
function flagsOf(bytes: Uint8Array): number {
  const [message] = [...messagesOf(bytes)]
  const { body } = readMessage(tcMessage, message as Message)
  const options = body.options ?? new Uint8Array(0)
  return flower.read(options, 0, options.length).flags ?? 0
}
