import t from 'tap'
import { Chunk, Strip } from '../../lib/dpif/chunk.js'
import { Run } from '../../lib/dpif/run.js'
import { viewOf } from '../../lib/ovs/view.js'
import type { NewFlows } from '../../types/backend.js'
import type { BackendName, PutOp } from '../../types/op.js'
import type { Choice } from '../../types/policy.js'

const run = new Run([])
const op = (n: number): PutOp => ({
  op: 'put',
  ufid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  key: { inPort: n },
  actions: [],
})

/** Backends that tell which lists they began. */
function backends(weights: { readonly [name in BackendName]: number }) {
  const begun: { choice: Choice; room: number }[] = []
  const backend = (weight: number) => ({
    weight,
    newFlows: (choice: Choice, room: number) => {
      begun.push({ choice, room })
      return {} as NewFlows
    },
  })
  const map = new Map<BackendName, ReturnType<typeof backend>>([
    ['ovs', backend(weights.ovs)],
    ['tc', backend(weights.tc)],
  ])
  return { map, begun }
}

t.test('flows with the same choice form one group, whichever object says it', async (t) => {
  const { map, begun } = backends({ ovs: 1, tc: 1 })
  const chunk = new Chunk(16, 64)
  const choices: readonly Choice[] = [
    { backend: 'ovs' },
    { backend: 'tc' },
    { backend: 'ovs' },
    { backend: 'tc', skip: 'sw' },
    { backend: 'tc' },
  ]
  const groups = choices.map((choice) => chunk.freshFor(choice, map))
  const distinct = [{ backend: 'ovs' }, { backend: 'tc' }, { backend: 'tc', skip: 'sw' }]
  t.same(
    begun,
    distinct.map((choice) => ({ choice, room: 16 })),
    'with room for all there are',
  )
  t.equal(groups[2], groups[0])
  t.equal(groups[4], groups[1])
  t.same(
    chunk.fresh.map(({ choice }) => choice),
    distinct,
  )
})

t.test('a list has room for what goes into a chunk, and one strip more', async (t) => {
  const { map, begun } = backends({ ovs: 1, tc: 4 })
  const chunk = new Chunk(5000, 2048)
  const [ovs, tc] = [chunk.freshFor({ backend: 'ovs' }, map), chunk.freshFor({ backend: 'tc' }, map)]
  const strip = new Strip()
  let most = 0
  for (; !strip.isFull; most++) strip.add(viewOf(op(most), 'create'), op(most), run, most)
  t.same(
    begun.map(({ room }) => room),
    [2048 + most, 512 + most],
  )
  t.same([ovs.ops.length, tc.ops.length], [2048 + most, 512 + most], 'and so have the columns')
  t.same([ovs.weight, tc.weight], [1, 4])
})

t.test('a strip keeps what belongs together in one place, and says when it is full', async (t) => {
  const strip = new Strip()
  let count = 0
  for (; !strip.isFull; count++) strip.add(viewOf(op(count), 'create'), op(count), run, count)
  t.equal(strip.count, count)
  for (let n = 0; n < count; n++) {
    t.equal(strip.flows[n]?.inPort, n)
    t.same(strip.ops[n], op(n))
    t.equal(strip.indexes[n], n)
  }
})
