import t from 'tap'
import { ip } from '../fixtures/lab.js'
import { kernelWorld, tryInKernel } from '../fixtures/model-kernel.js'
import { type Eswitch, eswitchMissing, loadEswitch } from '../lab/eswitch/device.js'

// The random steps of test/dpif/model.test.ts on an e-switch that has room for a few flows only.

t.setTimeout(0)

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  t.test('whatever is done, both tables and the device hold what they should, once', async (t) => {
    const [esw] = loadEswitch(t, { switchdev: true, capacity: 3 }) as [Eswitch]
    const reps = [0, 1, 2].map((vf) => esw.rep(vf))
    for (const device of [...reps, ...[0, 1, 2].map((vf) => esw.vf(vf))]) ip(`link set ${device} up`)
    const fresh = await kernelWorld(t, reps, esw.vf(0), true)
    await tryInKernel(t, fresh)
    t.equal(esw.used, 0, 'the device is empty')
  })
}
