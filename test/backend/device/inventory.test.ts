import t from 'tap'
import {
  createDatapath,
  eswitches,
  listDevices,
  openDpif,
  type Policy,
  preflight,
  setEswitchMode,
  setHwTcOffload,
} from '../../../lib/index.js'
import { SimulatedKernel } from '../../../lib/testing/index.js'
import { writeMessage } from '../../../lib/netlink/message.js'
import { Writer } from '../../../lib/netlink/writer.js'
import { oddRows } from '../../../lib/tc/match.js'
import { filterInfo, hooks, tcMessage, types } from '../../../lib/tc/message.js'
import { type EswitchKernel, expectations } from '../../fixtures/eswitch-facts.js'
import { CREATE, EXCL, filter, qdisc } from '../../testing/helpers.js'

// On the simulated kernel; the lab's module meets the same expectations in test/kernel/eswitch-devices.test.ts.

const NAMES = ['platform/eswitch.0', 'platform/eswitch.1'] as const

function simulated(): EswitchKernel & { readonly transport: SimulatedKernel } {
  const transport = new SimulatedKernel()
  transport.addDevice('eth0')
  NAMES.forEach((name, index) => {
    transport.addEswitch(name, { vfs: 2, prefix: `es${index}_`, switchId: `e50000000000000${index}` })
  })
  return {
    transport,
    eswitches: NAMES,
    ports: ['es0_p0', 'es0_pf0vf0', 'es0_pf0vf1'],
    foreign: 'es1_pf0vf0',
    other: 'eth0',
    mend: (command) => mend(transport, command),
  }
}

/** The commands that findings name, as far as this kernel can be told to do the same. */
async function mend(transport: SimulatedKernel, command: string): Promise<void> {
  const words = command.split(' ')
  const [, , , , name = ''] = words
  if (command.startsWith('devlink dev eswitch set ')) await setEswitchMode(name, 'switchdev', { transport })
  else if (command.startsWith('ethtool -K ')) await setHwTcOffload(words[2] ?? '', true, { transport })
  else if (command.startsWith('tc filter del dev ')) {
    const found = (await listDevices({ transport })).find((device) => device.name === name)
    const info = filterInfo(Number(words.at(-1)), 0)
    await filter(transport, types.DELTFILTER, { ifindex: found?.ifindex ?? 0, info })
  } else if (command.startsWith('tc qdisc add dev ')) {
    const found = (await listDevices({ transport })).find((device) => device.name === name)
    await qdisc(transport, types.NEWQDISC, found?.ifindex ?? 0, CREATE | EXCL)
  } else throw new Error(`nothing here does '${command}'`)
}

for (const { title, run } of expectations) t.test(title, (t) => run(t, simulated()))

t.test('a kernel without devlink and without features is told by its links', async (t) => {
  const transport = new SimulatedKernel({ modules: { devlink: false, ethtool: false } })
  const switchId = 'aa01'
  for (const [name, portName] of Object.entries({ u: 'p1', v: 'pf1vf3', s: 'c1pf0sf88', p: 'pf2', x: 'odd' }))
    transport.addDevice(name, { switchId, portName })
  transport.addDevice('tun', { kind: 'dummy' })
  t.same(
    (await listDevices({ transport })).map(({ name, kind, controller, pf, vf, sf }) => {
      return [name, kind, controller, pf, vf, sf]
    }),
    [
      ['lo', 'other', undefined, undefined, undefined, undefined],
      ['u', 'uplink', undefined, undefined, undefined, undefined],
      ['v', 'vf', undefined, 1, 3, undefined],
      ['s', 'sf', 1, 0, undefined, 88],
      ['p', 'pf', undefined, 2, undefined, undefined],
      ['x', 'unknown', undefined, undefined, undefined, undefined],
      ['tun', 'other', undefined, undefined, undefined, undefined],
    ],
  )
  t.same(await eswitches({ transport }), [])
  await t.rejects(setEswitchMode('pci/x', 'legacy', { transport }), { code: 'NO_MODULE', message: /DEVLINK/ })
  await t.rejects(setHwTcOffload('u', true, { transport }), { code: 'NO_MODULE', message: /Linux 5\.6/ })
  t.match(await preflight(['v'], { transport }), { ready: true, findings: [{ reason: 'NO_QDISC' }] })
})

t.test('hw-tc-offload that is on for good, and that is not there', async (t) => {
  const transport = new SimulatedKernel()
  const switchId = 'aa01'
  transport.addDevice('fixed', { switchId, hwTcOffload: 'fixed' })
  transport.addDevice('none', { switchId, hwTcOffload: 'absent' })
  const states = (await listDevices({ transport })).map(({ name, hwTcOffload }) => [name, hwTcOffload])
  t.same(states, [
    ['lo', 'absent'],
    ['fixed', 'fixed'],
    ['none', 'absent'],
  ])
  await t.rejects(setHwTcOffload('fixed', false, { transport }), { code: 'UNSUPPORTED' })
  t.match(await preflight(['fixed', 'none'], { transport }), {
    ready: false,
    findings: [{ reason: 'OFFLOAD_ABSENT', port: 'none' }, { reason: 'NO_QDISC' }, { reason: 'NO_QDISC' }],
  })
})

t.test('missing modules are named with their effect', async (t) => {
  const modules = { cls_flower: false, act_ct: false, act_mirred: false }
  const transport = new SimulatedKernel({ modules })
  t.match(await preflight([], { transport }), {
    ready: false,
    findings: [
      { reason: 'NO_MODULE', effect: 'all', mend: 'modprobe cls_flower', message: /no filter can be put/ },
      { reason: 'NO_MODULE', effect: 'some', mend: 'modprobe act_ct', message: /go to openvswitch/ },
      { reason: 'NO_MODULE', effect: 'all', mend: 'modprobe act_mirred' },
    ],
  })
  const bare = new SimulatedKernel({ modules: { sch_ingress: false } })
  t.match(await preflight([], { transport: bare }), { findings: [{ mend: 'modprobe sch_ingress' }] })
})

t.test('what flower lacks is named, and nothing of the looking stays', async (t) => {
  const transport = new SimulatedKernel()
  const asked = async () => {
    const { ready, findings } = await preflight([], { transport })
    t.equal(ready, true)
    t.same(new Set(findings.map(({ reason, effect }) => `${reason} ${effect}`)), new Set(['NO_FEATURE some']))
    return findings.map(({ message }) => /match (.*):/.exec(message)?.[1])
  }
  const found = ['GENEVE options', 'VXLAN group policy', 'ERSPAN version 1', 'more than one MPLS label']
  t.same(await asked(), found, 'the simulated kernel has none of these')
  t.same(await asked(), found)
  const pages: Uint8Array[] = []
  const writer = new Writer(64)
  const header = { ifindex: 1, parent: hooks.INGRESS }
  writeMessage(writer, tcMessage, { type: types.GETTFILTER, flags: 0, header, body: {} })
  for await (const page of transport.dump('route', writer.take())) pages.push(page)
  t.same(pages, [])
  const older = new SimulatedKernel({ unknownToFlower: [oddRows.numOfVlans.id] })
  t.match((await preflight([], { transport: older })).findings, [
    ...found.map(() => ({ reason: 'NO_FEATURE' })),
    { message: /cannot match how many VLAN tags there are: .* Linux 5\.19/ },
  ])
})

t.test('without privileges what can be read is read, and the rest is said', async (t) => {
  const transport = new SimulatedKernel({ privileged: false })
  const name = 'pci/0000:08:00.0'
  transport.addEswitch(name, { mode: 'switchdev', vfs: 1, settable: false })
  t.match(await eswitches({ transport }), [
    { name, mode: undefined, driver: 'eswitch', ports: { length: 2 } },
  ])
  await t.rejects(setEswitchMode(name, 'legacy', { transport }), { code: 'NO_PRIVILEGE' })
  await t.rejects(setHwTcOffload('es0_p0', false, { transport }), { code: 'NO_PRIVILEGE' })
  t.match(await preflight(['es0_p0'], { transport }), {
    ready: false,
    findings: [{ reason: 'NO_PRIVILEGE', mend: 'sudo hwacc preflight es0_p0' }, { reason: 'NO_QDISC' }],
  })
})

t.test('a driver that cannot change the mode', async (t) => {
  const transport = new SimulatedKernel()
  transport.addEswitch('pci/0000:08:00.0', { settable: false })
  await t.rejects(setEswitchMode('pci/0000:08:00.0', 'switchdev', { transport }), {
    code: 'UNSUPPORTED',
    message: /its driver cannot change the mode/,
  })
})

t.test('a preflight leaves the loopback device as it was', async (t) => {
  const transport = new SimulatedKernel()
  const seen: number[] = []
  transport.fault(({ type }) => {
    seen.push(type)
    return undefined
  })
  await preflight([], { transport })
  t.ok(seen.includes(types.NEWQDISC) && seen.includes(types.DELQDISC), 'the qdisc came and went')
})

t.test('a policy sees which switch a port is on, also of one that comes later', async (t) => {
  const transport = new SimulatedKernel()
  transport.addEswitch('pci/0000:08:00.0', { mode: 'switchdev', vfs: 2, prefix: '' })
  transport.addDevice('eth0')
  await createDatapath('dp0', { transport })
  const seen: unknown[] = []
  const policy: Policy = {
    name: 'same-switch',
    place: ({ key, actions }, facts) => {
      const [from, to] = [key.inPort, actions[0]?.output].map((number) => facts.port(number ?? -1))
      seen.push([from?.portName, to?.portName])
      const same = from?.switchId !== undefined && from.switchId === to?.switchId
      return { choices: [{ backend: same ? 'tc' : 'ovs' }], reason: same ? 'one switch' : 'not one switch' }
    },
  }
  const dpif = await openDpif({ datapath: 'dp0', policy, transport })
  for (const port of ['pf0vf0', 'eth0']) await dpif.addPort(port)
  const key = 'in_port(1),eth(),eth_type(0x0800),ipv4()'
  t.equal((await dpif.put({ key, actions: '2' })).backend, 'ovs')
  const another = await openDpif({ datapath: 'dp0', transport })
  await another.addPort('pf0vf1')
  const later = key.replace('0x0800),ipv4()', '0x0806),arp()')
  t.equal((await dpif.put({ key: later, actions: '3' })).backend, 'tc')
  t.same(seen, [
    ['pf0vf0', undefined],
    ['pf0vf0', 'pf0vf1'],
  ])
  for (const open of [dpif, another]) await open.close()
})
