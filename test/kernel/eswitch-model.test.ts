import t from 'tap'
import { ip } from '../fixtures/lab.js'
import { tryModel } from '../fixtures/model.js'
import { kernelWorld } from '../fixtures/model-kernel.js'
import { seedOf } from '../fixtures/random-actions.js'
import { type Eswitch, eswitchMissing, loadEswitch } from '../lab/eswitch/device.js'

// The random steps of test/dpif/model.test.ts on an e-switch that has room for a few flows only.

t.setTimeout(0)

const seed = seedOf()
const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  t.test('whatever is done, both tables and the device hold what they should, once', async (t) => {
    t.comment(`SEED=${seed} gives the same steps again`)
    const [esw] = loadEswitch(t, { switchdev: true, capacity: 3 }) as [Eswitch]
    const reps = [0, 1, 2].map((vf) => esw.rep(vf))
    for (const device of [...reps, ...[0, 1, 2].map((vf) => esw.vf(vf))]) ip(`link set ${device} up`)
    const fresh = await kernelWorld(t, reps, esw.vf(0), true)
    const seen = await tryModel(fresh, { runs: 6, length: 40, ms: 600_000, seed })
    t.comment(
      [...seen]
        .sort()
        .map(([what, count]) => `${what}: ${count}`)
        .join(', '),
    )
    for (const what of ['crash', 'deletion', 'moved'])
      t.ok(
        [...seen.keys()].some((name) => name.startsWith(what)),
        `${what} came up`,
      )
    t.equal(esw.used, 0, 'the device is empty')
  })
}
