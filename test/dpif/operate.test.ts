import t from 'tap'
import { type Engine, runOps, type Task } from '../../lib/dpif/operate.js'
import { PlacementMap } from '../../lib/dpif/placement.js'
import type { Plan } from '../../lib/dpif/plan.js'
import type { BackendName, Op } from '../../types/op.js'

/** A plan that asks one backend once. */
function* ask(ufid: string): Plan {
  yield { backend: 'ovs', op: { verb: 'get', ufid } }
  return { ufid }
}

/** An engine over a backend that answers at once, and that counts how often a task is looked at. */
function engineOf(ufidOf: (index: number) => string) {
  const seen = { looks: 0, order: [] as number[] }
  const readUfid = (ufid: string, words: Uint32Array) => words.fill(Number(ufid))
  const backend = { operate: async (ops: readonly unknown[]) => ops.map(() => ({})) }
  const engine = {
    context: { placement: new PlacementMap(readUfid) },
    backends: new Map([['ovs' as BackendName, backend]]),
    prepare: async () => {},
    read: (_op: Op, index: number): Task => ({
      index,
      get ufid() {
        seen.looks++
        return ufidOf(index)
      },
      start: {
        plan: () => {
          seen.order.push(index)
          return ask(ufidOf(index))
        },
      },
      step: undefined,
      plan: undefined,
      known: [],
      choices: [],
    }),
  }
  return { seen, engine: engine as unknown as Engine }
}

const ops = (count: number) => new Array(count).fill({ op: 'get' }) as Op[]

t.test(
  'many ops on one flow stand in line: each is looked at a few times, however many there are',
  async (t) => {
    for (const count of [500, 5000]) {
      const { seen, engine } = engineOf(() => '1')
      const results = await runOps(engine, ops(count))
      t.equal(results.length, count)
      t.same(
        seen.order,
        Array.from({ length: count }, (_, index) => index),
        'and they are carried out in order',
      )
      t.ok(seen.looks <= count * 8, `${seen.looks} looks at ${count} tasks`)
    }
  },
)

t.test('ops on one flow keep their order among many others', async (t) => {
  const { seen, engine } = engineOf((index) => String(1 + (index % 7)))
  await runOps(engine, ops(3000))
  for (let flow = 0; flow < 7; flow++) {
    const order = seen.order.filter((index) => index % 7 === flow)
    t.same(
      order,
      [...order].sort((a, b) => a - b),
    )
  }
  t.equal(seen.order.length, 3000)
})
