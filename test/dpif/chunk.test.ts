import t from 'tap'
import { Chunk, Strip } from '../../lib/dpif/chunk.js'
import { Run } from '../../lib/dpif/run.js'
import { viewOf } from '../../lib/ovs/view.js'
import type { NewFlows } from '../../types/backend.js'
import type { PutOp } from '../../types/op.js'
import type { Choice } from '../../types/policy.js'

const run = new Run([])
const op = (n: number): PutOp => ({
  op: 'put',
  ufid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  key: { inPort: n },
  actions: [],
})

t.test('flows with the same choice form one group, whichever object says it', async (t) => {
  const begun: Choice[] = []
  const begin = (choice: Choice, room: number): NewFlows => {
    t.equal(room, 16)
    begun.push(choice)
    return { weight: 1 } as NewFlows
  }
  const chunk = new Chunk(16, 64)
  const choices: readonly Choice[] = [
    { backend: 'ovs' },
    { backend: 'tc' },
    { backend: 'ovs' },
    { backend: 'tc', skip: 'sw' },
    { backend: 'tc' },
  ]
  const groups = choices.map((choice) => chunk.freshFor(choice, begin))
  t.same(begun, [{ backend: 'ovs' }, { backend: 'tc' }, { backend: 'tc', skip: 'sw' }])
  t.equal(groups[2], groups[0])
  t.equal(groups[4], groups[1])
  t.same(
    chunk.fresh.map(({ choice }) => choice),
    begun,
  )
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
