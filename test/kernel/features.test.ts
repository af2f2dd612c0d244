import { readFileSync } from 'node:fs'
import t from 'tap'
import { NativeTransport } from '../../lib/index.js'
import { Writer } from '../../lib/netlink/writer.js'
import { Answers, Batch } from '../../lib/backend/tc/batch.js'
import { Features } from '../../lib/backend/tc/features.js'
import { Qdiscs } from '../../lib/backend/tc/qdisc.js'
import { features, linux61, type Feature } from '../../lib/tc/features.js'
import { missing, veth } from '../fixtures/lab.js'

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
}
