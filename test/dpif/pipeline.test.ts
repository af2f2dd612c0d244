import t from 'tap'
import { type Engine, Pipeline } from '../../lib/dpif/pipeline.js'
import { PlacementMap } from '../../lib/dpif/placement.js'
import type { BackendOp } from '../../types/backend.js'
import type { FlowId } from '../../types/flow.js'
import type { BackendName, Op } from '../../types/op.js'

/** A pipeline over a backend that deletes whatever it is told to, and that counts how often a flow's ufid is looked at. */
function pipelineOf(ufidOf: (key: string) => number) {
  const seen = { looks: 0, batches: 0, order: [] as string[] }
  const backend = {
    operate: async (ops: readonly (BackendOp & { verb: 'del' })[]) => {
      seen.batches++
      for (const { key } of ops) seen.order.push(key as string)
      return ops.map(() => ({}))
    },
  }
  const engine = {
    context: { placement: new PlacementMap(), backends: ['ovs'] },
    backends: new Map([['ovs' as BackendName, backend]]),
    language: {
      identify: ({ key }: { readonly key: string }): { readonly id: FlowId; readonly key: string } => ({
        id: {
          get ufid() {
            seen.looks++
            return `${ufidOf(key)}`
          },
          ...{ w0: ufidOf(key), w1: 0, w2: 0, w3: 0 },
        },
        key,
      }),
    },
    namesUnknownPort: () => false,
    learnPorts: async () => {},
  }
  return { seen, pipeline: new Pipeline(engine as unknown as Engine) }
}

const ops = (count: number, first = 0): Op[] =>
  Array.from({ length: count }, (_, index) => ({ op: 'del', key: `${first + index}` }))

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

t.test(
  'many ops on one flow stand in line: each is looked at a few times, however many there are',
  async (t) => {
    for (const count of [500, 5000]) {
      const { seen, pipeline } = pipelineOf(() => 1)
      t.equal((await pipeline.run(ops(count))).length, count)
      t.same(seen.order, numbers(count), 'and they are carried out in order')
      t.ok(seen.looks <= count * 10, `${seen.looks} looks at ${count} ops`)
    }
  },
)

t.test('ops on one flow keep their order among many others', async (t) => {
  const { seen, pipeline } = pipelineOf((key) => Number(key) % 7)
  await pipeline.run(ops(3000))
  for (let flow = 0; flow < 7; flow++) {
    const order = seen.order.map(Number).filter((index) => index % 7 === flow)
    t.same(
      order,
      [...order].sort((a, b) => a - b),
    )
  }
  t.equal(seen.order.length, 3000)
})

t.test('calls that wait share a batch, and keep their order', async (t) => {
  const { seen, pipeline } = pipelineOf(Number)
  const results = await Promise.all(numbers(500).map((n) => pipeline.run(ops(1, Number(n)))))
  t.equal(results.flat().length, 500)
  t.same(seen.order, numbers(500))
  t.ok(seen.batches <= 3, `${seen.batches} batches for 500 calls`)
})

t.test('a later call on a flow waits behind an earlier one', async (t) => {
  const { seen, pipeline } = pipelineOf(() => 1)
  await Promise.all([pipeline.run(ops(3)), pipeline.run(ops(3, 3)), pipeline.run([])])
  t.same(seen.order, numbers(6))
})

t.test('a failure is told to the calls it struck, and others go on', async (t) => {
  let turn = 0
  const backend = {
    operate: async (list: readonly unknown[]) => {
      if (turn++ === 0) throw new Error('the socket broke')
      return list.map(() => ({}))
    },
  }
  const pipeline = new Pipeline({
    context: { placement: new PlacementMap(), backends: ['ovs'] },
    backends: new Map([['ovs' as BackendName, backend]]),
    language: {
      identify: ({ key }: { key: string }) => ({
        id: { ufid: key, w0: Number(key) % 5, w1: 0, w2: 0, w3: 0 },
        key,
      }),
    },
    namesUnknownPort: () => false,
    learnPorts: async () => {},
  } as unknown as Engine)
  const [first, second] = await Promise.allSettled([pipeline.run(ops(4)), pipeline.run(ops(4))])
  t.match(first, { status: 'rejected', reason: { message: 'the socket broke' } })
  t.match(second, { status: 'fulfilled', value: { length: 4 } }, 'those who waited in line got their turn')
})
