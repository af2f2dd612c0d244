import t, { type Test as T } from 'tap'
import { createDatapath, openDpif, type Policy } from '../../../lib/index.js'
import { types } from '../../../lib/tc/message.js'
import { probes } from '../../../lib/tc/probes.js'
import { SimulatedKernel, type SimulatedKernelOptions } from '../../../lib/testing/index.js'

// What is found out about a kernel before a flow depends on it, and what becomes of flows that wait for others.

const tcFirst: Policy = {
  name: 'tc first',
  place: () => ({ choices: [{ backend: 'tc' }, { backend: 'ovs' }], reason: '' }),
}

async function setUp(t: T, options?: SimulatedKernelOptions) {
  const transport = new SimulatedKernel(options)
  for (const name of ['eth0', 'eth1']) transport.addDevice(name)
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', policy: tcFirst, transport })
  t.teardown(() => dpif.close())
  for (const name of ['eth0', 'eth1']) await dpif.addPort(name)
  const requests: number[] = []
  transport.fault(({ protocol, type }) => {
    if (protocol === 'route') requests.push(type)
    return undefined
  })
  return { transport, dpif, requests }
}

const tracked = 'recirc_id(0),in_port(1),ct_state(+est+trk),eth(),eth_type(0x0800),ipv4(frag=no)'
const simple = 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
const CT_STATE = [91, 92]

t.test('a kernel that knows conntrack in flower carries it', async (t) => {
  const { dpif, requests } = await setUp(t)
  t.equal((await dpif.put({ key: simple, actions: '2' })).backend, 'tc')
  const created = () => requests.filter((type) => type === types.NEWTFILTER).length
  t.equal(created(), 1, 'nobody asks before it matters')
  t.equal((await dpif.put({ key: tracked, actions: '2' })).backend, 'tc')
  t.equal(created(), 1 + 1 + probes.length + 1, 'asked once')
  t.equal((await dpif.put({ key: tracked.replace('+est', '-est'), actions: '2' })).backend, 'tc')
  t.equal(created(), 1 + 1 + probes.length + 2, 'and remembered')
  const flows = []
  for await (const flow of dpif.dump()) flows.push(flow)
  t.equal(flows.length, 3, 'what was put to find out is gone')
})

t.test('a kernel that passes over what it does not know is not sent it', async (t) => {
  const { dpif } = await setUp(t, { unknownToFlower: CT_STATE })
  const { backend, declined } = await dpif.put({ key: tracked, actions: '2' })
  t.equal(backend, 'ovs')
  t.match(declined, [{ path: 'ctState', reason: 'NEEDS_KERNEL' }])
  t.equal((await dpif.put({ key: simple, actions: '2' })).backend, 'tc')
  t.match((await dpif.explain({ key: tracked, actions: '2' })).verdicts[0]?.objections, [
    { reason: 'NEEDS_KERNEL' },
  ])
})

t.test('who may put no filter is told so, and not that the kernel is too old', async (t) => {
  const { transport, dpif } = await setUp(t)
  const EPERM = 1
  const end = transport.fault(({ protocol, type }) =>
    protocol === 'route' && (type === types.NEWQDISC || type === types.NEWTFILTER) ? EPERM : undefined,
  )
  const { declined } = await dpif.put({ key: tracked, actions: '2' })
  t.match(declined, [{ code: 'NO_PRIVILEGE' }])
  end()
})

t.test('a flow whose parent is refused while both are under way does not stay in TC', async (t) => {
  const { transport, dpif } = await setUp(t)
  const ENOSPC = 28
  let refused = 0
  transport.fault(({ protocol, type }) =>
    protocol === 'route' && type === types.NEWTFILTER && refused++ === 0 ? ENOSPC : undefined,
  )
  const results = await dpif.operate([
    { op: 'put', key: simple, actions: 'recirc(5)' },
    { op: 'put', key: simple.replace('recirc_id(0)', 'recirc_id(0x5)'), actions: '2' },
  ])
  t.same(
    results.map(({ backend }) => backend),
    ['ovs', 'ovs'],
  )
  t.match(results[1]?.declined, [{ reason: 'NOT_REACHED' }])
})
