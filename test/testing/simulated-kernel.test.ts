import t from 'tap'
import { createDatapath, openDpif } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/simulated-kernel/index.js'
import { datapath } from '../../lib/ovs/datapath.js'
import { vport } from '../../lib/ovs/vport.js'
import { types } from '../../lib/tc/message.js'
import { ECHO, family, Ovs, qdisc } from './helpers.js'

t.test('a flow that names a meter goes to openvswitch: no action stands by itself here', async (t) => {
  const transport = new SimulatedKernel()
  transport.addDevice('eth0')
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', transport })
  await dpif.addPort('eth0')
  const flow = { key: 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)', actions: 'meter(1),1' }
  const { backend, declined } = await dpif.put(flow)
  t.equal(backend, 'ovs')
  t.match(declined, [{ reason: 'NO_METER', path: 'actions[0].meter' }])
  await dpif.close()
})

t.test('families are found by name, and not without their module', async (t) => {
  const { replies } = await family(new SimulatedKernel(), 'ovs_flow')
  t.equal(replies[0]?.body.familyName, 'ovs_flow')
  t.ok((replies[0]?.body.familyId ?? 0) > 16)
  const bare = new SimulatedKernel({ modules: { openvswitch: false } })
  t.equal((await family(bare, 'ovs_flow')).errno, 2)
  t.equal((await family(bare, 'nlctrl')).replies[0]?.body.familyId, 16)
})

t.test('an exchange keeps order, numbers its replies and refuses bad framing', async (t) => {
  const kernel = new SimulatedKernel()
  await t.rejects(kernel.exchange('generic', new Uint8Array(20)), { code: 'BAD_MESSAGE' })
  await t.rejects(
    kernel.exchange('generic', Uint8Array.of(17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    {
      code: 'BAD_MESSAGE',
    },
  )
  t.same(await kernel.exchange('route', new Uint8Array(0)), {
    count: 0,
    failures: [],
    replies: new Uint8Array(0),
  })
  await kernel.close()
  await t.rejects(kernel.exchange('route', new Uint8Array(0)), { code: 'CLOSED' })
})

t.test('a datapath has its own device and port 0', async (t) => {
  const kernel = new SimulatedKernel()
  const ovs = new Ovs(kernel)
  t.equal((await ovs.datapath('NEW', { name: 'dp0' })).errno, 22, 'UPCALL_PID is mandatory')
  const made = await ovs.datapath('NEW', { name: 'dp0', upcallPid: 0 }, 0, ECHO)
  const dp = made.replies[0]?.header.dpIfindex ?? 0
  t.equal(made.replies[0]?.body.name, 'dp0')
  t.equal((await ovs.datapath('NEW', { name: 'dp0', upcallPid: 0 })).errno, 17)
  t.equal((await ovs.datapath('GET', {}, dp)).replies[0]?.body.stats?.flows, 0n)
  t.equal((await ovs.datapath('GET', { name: 'dp0' })).replies[0]?.header.dpIfindex, dp)
  t.equal((await ovs.datapath('SET', { name: 'dp0', userFeatures: 0x10 })).errno, 95)
  t.same(
    (await ovs.dump(vport, dp)).map(({ portNo, name, type }) => ({ portNo, name, type })),
    [{ portNo: 0, name: 'dp0', type: 2 }],
  )
  t.equal((await ovs.dump(datapath, 0)).length, 1)
  t.equal((await ovs.datapath('DEL', {}, dp)).errno, 0)
  t.equal((await ovs.datapath('GET', { name: 'dp0' })).errno, 19)
  await t.rejects(ovs.dump(vport, dp), { code: 'NO_PORT', errno: 19 })
})

t.test('ports are numbered, attached once and looked up as in the kernel', async (t) => {
  const kernel = new SimulatedKernel()
  const ovs = new Ovs(kernel)
  const dps: number[] = []
  for (const name of ['a', 'b']) {
    const { replies } = await ovs.datapath('NEW', { name, upcallPid: 0 }, 0, ECHO)
    dps.push(replies[0]?.header.dpIfindex ?? 0)
  }
  const [a, b] = dps as [number, number]
  kernel.addDevice('eth0')
  kernel.addDevice('eth1')
  const add = (dp: number, name: string, more: object = {}) =>
    ovs.vport('NEW', { name, type: 1, upcallPids: [0], ...more }, dp, ECHO)
  t.equal((await add(a, 'eth0')).replies[0]?.body.portNo, 1)
  t.equal((await add(a, 'eth0')).errno, 17, 'the same master twice')
  t.equal((await add(b, 'eth0')).errno, 16, 'two masters')
  t.equal((await add(a, 'eth1', { portNo: 1 })).errno, 16)
  t.equal((await add(a, 'eth1', { portNo: 65535 })).errno, 27)
  t.equal((await add(a, 'gone')).errno, 19)
  t.equal((await add(a, 'lo')).errno, 22)
  t.equal((await add(99, 'eth1')).errno, 19)
  t.equal((await add(a, 'int0', { type: 2, portNo: 7 })).errno, 0)
  t.equal((await add(a, 'eth1')).replies[0]?.body.portNo, 2, 'the lowest free number')
  t.equal((await ovs.vport('GET', { portNo: 7 }, a)).replies[0]?.body.name, 'int0')
  t.equal((await ovs.vport('GET', { name: 'int0' }, b)).errno, 19, 'of another datapath')
  t.equal((await ovs.vport('GET', { ifindex: 1 }, a)).errno, 95)
  t.equal((await ovs.vport('DEL', { portNo: 0 }, a)).errno, 22)
  t.equal((await ovs.vport('SET', { portNo: 7, type: 1 }, a)).errno, 22)
  kernel.removeDevice('eth0')
  t.same(
    (await ovs.dump(vport, a)).map(({ portNo }) => portNo),
    [0, 2, 7],
  )
})

t.test('without privileges only reading is allowed', async (t) => {
  const kernel = new SimulatedKernel({ privileged: false })
  const ovs = new Ovs(kernel)
  t.equal((await ovs.datapath('NEW', { name: 'dp0', upcallPid: 0 })).errno, 1)
  t.same(await ovs.dump(datapath, 0), [])
  t.equal((await qdisc(kernel, types.NEWQDISC, 1)).errno, 1)
})

t.test('faults hit the messages they are meant for', async (t) => {
  const kernel = new SimulatedKernel()
  const ovs = new Ovs(kernel)
  const end = kernel.fault(({ protocol, command }) =>
    protocol === 'generic' && command === 1 ? 28 : undefined,
  )
  t.equal((await ovs.datapath('NEW', { name: 'dp0', upcallPid: 0 })).errno, 28)
  end()
  kernel.fault(({ command }) => (command === 1 ? { errno: 105, carriedOut: true } : undefined))
  t.equal((await ovs.datapath('NEW', { name: 'dp0', upcallPid: 0 })).errno, 105)
  t.equal((await ovs.dump(datapath, 0)).length, 1, 'the answer was lost, not the request')
  kernel.interruptDumps = true
  await t.rejects(ovs.dump(datapath, 0), { code: 'DUMP_INTERRUPTED' })
})
