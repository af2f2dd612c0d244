import t from 'tap'
import { CounterColumns } from '../../lib/memory/counters.js'
import { ParsedUfid, ufidOfWords } from '../../lib/ovs/ufid.js'

const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-f000-4000-8000-ffffffff0000`

function filled(count: number): CounterColumns {
  const page = new CounterColumns('ovs', ufidOfWords)
  fill(page, count)
  return page
}

function fill(page: CounterColumns, count: number): void {
  page.clear()
  for (let n = 0; n < count; n++) {
    t.equal(page.add(), n)
    const { w0, w1, w2, w3 } = new ParsedUfid(ufid(n))
    page.setId(n, w0, w1, w2, w3)
    page.setPackets(n, n, 1)
    page.setBytes(n, -1, n)
    page.used[n] = n / 2
  }
}

t.test('a page holds 64-bit counters in halves', async (t) => {
  const page = filled(3)
  t.equal(page.packets[2], 2n ** 32n + 2n)
  t.equal(page.bytes[2], 2n * 2n ** 32n + 0xffff_ffffn)
  t.equal(page.ufid(2), ufid(2))
  for (const index of [-1, 3, Number.NaN]) t.throws(() => page.ufid(index), RangeError)
})

t.test('a flow that is dropped makes room for the last one', async (t) => {
  const page = filled(4)
  page.drop(1)
  t.equal(page.count, 3)
  t.same(
    [0, 1, 2].map((n) => page.ufid(n)),
    [ufid(0), ufid(3), ufid(2)],
  )
  t.same(
    [...page.packets.subarray(0, 3)].map(Number),
    [0, 3, 2].map((n) => 2 ** 32 + n),
  )
  t.equal(page.used[1], 1.5)
  page.drop(2)
  t.same(
    [0, 1].map((n) => page.ufid(n)),
    [ufid(0), ufid(3)],
  )
})

t.test('a page is used again, and grows when it has to', async (t) => {
  const page = filled(2)
  const { packets } = page
  fill(page, 1)
  t.equal(page.packets, packets)
  fill(page, 1000)
  t.equal(page.count, 1000)
  for (const n of [0, 1, 500, 999]) {
    t.equal(page.ufid(n), ufid(n))
    t.equal(page.packets[n], 2n ** 32n + BigInt(n))
    t.equal(page.bytes[n], BigInt(n) * 2n ** 32n + 0xffff_ffffn)
    t.equal(page.used[n], n / 2)
  }
})
