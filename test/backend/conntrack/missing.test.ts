import t from 'tap'
import { openConntrack } from '../../../lib/index.js'
import { ScriptedTransport } from '../../../lib/testing/scripted-transport.js'
import { SimulatedKernel } from '../../../lib/testing/simulated-kernel/index.js'
import { DpifError } from '../../../lib/errors.js'

// What a kernel lacks, and what it does not let everybody do. The rest is the conformance suite's.

t.test('a kernel without its modules is told of as such', async (t) => {
  const modules = { nf_conntrack_netlink: false, nfnetlink_cttimeout: false, openvswitch: false }
  const conntrack = openConntrack({ transport: new SimulatedKernel({ modules }) })
  await t.rejects(conntrack.dump().next(), { code: 'NO_MODULE', message: /modprobe nf_conntrack_netlink/ })
  await t.rejects(conntrack.dumpTimeoutPolicies(), {
    code: 'NO_MODULE',
    message: /modprobe nfnetlink_cttimeout/,
  })
  await t.rejects(conntrack.getLimits(), { code: 'NO_MODULE', message: /CONFIG_NETFILTER_CONNCOUNT/ })
  await t.rejects(conntrack.flush(), { code: 'INVALID', message: /nf_conntrack_netlink/ })
  await t.rejects(conntrack.setTimeoutPolicy({ id: 1 }), { code: 'INVALID', message: /nfnetlink_cttimeout/ })
})

t.test('a kernel without the socket, too, whatever is asked', async (t) => {
  const error = new DpifError('SOCKET', 'socket failed', { errno: 93 })
  const scenes = [
    { protocol: 'netfilter', pages: [], error },
    { protocol: 'netfilter', error },
  ] as const
  const conntrack = openConntrack({ transport: new ScriptedTransport(scenes) })
  await t.rejects(conntrack.dump().next(), { code: 'NO_MODULE' })
  await t.rejects(conntrack.flush(), { code: 'NO_MODULE' })
})

t.test('without privileges nothing is read and nothing forgotten', async (t) => {
  const conntrack = openConntrack({ transport: new SimulatedKernel({ privileged: false }) })
  await t.rejects(conntrack.dump().next(), { code: 'NO_PRIVILEGE' })
  await t.rejects(conntrack.flush(), { code: 'NO_PRIVILEGE' })
  await t.rejects(conntrack.setLimits({ default: 1 }), { code: 'NO_PRIVILEGE' })
  t.same(await conntrack.getLimits(), { default: 0, zones: [] })
})

t.test('what the kernel refuses is an error, with its errno', async (t) => {
  const transport = new SimulatedKernel()
  const conntrack = openConntrack({ transport })
  const end = transport.fault(({ type }) => (type === 0x102 ? 16 : undefined))
  await t.rejects(conntrack.flush(), { code: 'BUSY', errno: 16 })
  end()
  await conntrack.flush()
})
