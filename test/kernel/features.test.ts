import { readFileSync } from 'node:fs'
import t from 'tap'
import { kernelFeatures, kernelOnly, NativeTransport } from '../../lib/index.js'
import { Writer } from '../../lib/netlink/writer.js'
import { Answers, Batch } from '../../lib/backend/tc/batch.js'
import { Features } from '../../lib/backend/tc/features.js'
import { Qdiscs } from '../../lib/backend/tc/qdisc.js'
import { features, linux61, type Feature } from '../../lib/tc/features.js'
import { flowProbes } from '../../lib/ovs/probes.js'
import { datapath, missing, open, run, tc, veth } from '../fixtures/lab.js'

// The probes, on a kernel whose version says what has to come out.

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('the probes find on Linux 6.1 what Linux 6.1 has', async (t) => {
    const transport = new NativeTransport()
    t.teardown(() => transport.close())
    const [name] = veth(t)
    const ifindex = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'))
    const ports = { byNumber: () => undefined, byIfindex: () => undefined }
    const batch = new Batch(new Writer(4096))
    new Qdiscs().ensure(batch, ifindex)
    const found = new Features()
    const read = found.write(batch, ifindex)
    read(new Answers(await batch.send(transport), ports))
    for (const feature of Object.keys(features) as Feature[]) {
      t.equal(found.has(feature), linux61.has(feature), feature)
    }
  })

  t.test('openvswitch of Linux 6.1 has what came before it, and is asked without a trace', async (t) => {
    const { name } = await datapath(t)
    const dpif = await open(t, name, kernelOnly())
    const log = () => run('dmesg')
    const [logged, stats] = [log(), await dpif.stats()]
    const found = await kernelFeatures(name)
    t.same(await dpif.stats(), stats, 'no packet and no flow')
    for await (const flow of dpif.dump()) t.fail(`${flow.ufid} was left behind`)
    t.equal(log(), logged, 'and not a word in the log')
    t.equal(tc('qdisc show dev lo ingress').trim(), '', 'lo is as it was')
    for (const { backend, name, since, present } of found) {
      // A matter of CONFIG_NF_CONNTRACK_ZONES, which Debian's kernel in user mode lacks.
      if (name === 'ctZone') t.type(present, 'boolean')
      else if (backend === 'ovs') t.equal(present, isBefore(since, '6.2'), `${name}, since ${since}`)
      else if (present !== undefined) t.equal(present, linux61.has(name as Feature), `${name} in TC`)
    }
    t.equal(found.filter(({ backend }) => backend === 'ovs').length, Object.keys(flowProbes).length)
  })
}

function isBefore(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = b.split('.').map(Number)
  return major < otherMajor || (major === otherMajor && minor < otherMinor)
}
