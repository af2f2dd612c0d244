import t from 'tap'
import { missing, veth } from '../fixtures/lab.js'
import { tryModel } from '../fixtures/model.js'
import { kernelWorld } from '../fixtures/model-kernel.js'
import { seedOf } from '../fixtures/random-actions.js'

// The random steps of test/dpif/model.test.ts on a real kernel, with processes that are killed.

t.setTimeout(0)

const seed = seedOf()
const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('whatever is done, and whoever is killed, both tables hold what they should, once', async (t) => {
    t.comment(`SEED=${seed} gives the same steps again`)
    const pairs = [veth(t), veth(t), veth(t)]
    const fresh = await kernelWorld(
      t,
      pairs.map(([near]) => near),
      pairs[0]?.[1] ?? '',
      false,
    )
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
  })
}
