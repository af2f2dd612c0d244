import t from 'tap'
import { missing, veth } from '../fixtures/lab.js'
import { kernelWorld, tryInKernel } from '../fixtures/model-kernel.js'

// The random steps of test/dpif/model.test.ts on a real kernel, with processes that are killed.

t.setTimeout(0)

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('whatever is done, and whoever is killed, both tables hold what they should, once', async (t) => {
    const pairs = [veth(t), veth(t), veth(t)]
    const fresh = await kernelWorld(
      t,
      pairs.map(([near]) => near),
      pairs[0]?.[1] ?? '',
      false,
    )
    await tryInKernel(t, fresh)
  })
}
