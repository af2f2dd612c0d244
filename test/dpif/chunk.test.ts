import t from 'tap'
import { Chunk } from '../../lib/dpif/chunk.js'
import { Run } from '../../lib/dpif/run.js'
import { viewOf } from '../../lib/ovs/view.js'
import type { PutOp } from '../../types/op.js'

const run = new Run([])
const op = (n: number): PutOp => ({
  op: 'put',
  ufid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  key: { inPort: n },
  actions: [],
})

function add(chunk: Chunk, ...numbers: number[]): void {
  for (const n of numbers) chunk.add(viewOf(op(n), 'create'), op(n), run, n)
}

t.test("puts that cannot be claimed are not the chunk's any more, and the others close up", async (t) => {
  const chunk = new Chunk(16)
  add(chunk, 1, 2, 3, 4, 5)
  const asked: number[] = []
  chunk.claim((position) => {
    const n = chunk.indexes[position] as number
    asked.push(n)
    return n % 2 === 1
  })
  t.same(asked, [1, 2, 3, 4, 5], 'each is asked about once, in order')
  add(chunk, 6, 7)
  t.same(chunk.unclaimed, [3, 5])
  chunk.claim((position) => {
    asked.push(chunk.indexes[position] as number)
    return true
  })
  t.same(asked.slice(5), [6, 7], 'and never again')
  t.equal(chunk.size, 5)
  chunk.seal()
  t.same(chunk.indexes, [1, 3, 5, 6, 7])
  t.same(
    chunk.puts.map(({ inPort }) => inPort),
    [1, 3, 5, 6, 7],
  )
  t.same(
    chunk.ops.map(({ key }) => (key as { inPort: number }).inPort),
    [1, 3, 5, 6, 7],
  )
  t.equal(chunk.runs.length, 5)
})
