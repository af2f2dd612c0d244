import t from 'tap'
import { Latencies } from '../../bench/histogram.js'
import { best, quantile, ratios, summarize } from '../../bench/measure.js'
import { formatCount, formatNs, formatTable, significant } from '../../bench/table.js'

t.test('turns are told by their median and their range', async (t) => {
  t.same(summarize([3, 1, 2]), { median: 2, min: 1, max: 3, spread: 1, turns: [3, 1, 2] })
  t.equal(summarize([1, 2]).median, 1.5, 'between two turns')
  t.equal(summarize([7]).spread, 0)
  t.throws(() => summarize([]), /no turns/)
})

t.test('a quantile lies between its neighbours in proportion', async (t) => {
  t.equal(quantile([0, 10], 0.25), 2.5)
  t.equal(quantile([5], 0.99), 5)
})

t.test('turns are compared with their neighbours in time', async (t) => {
  // The machine became three times slower in the second turn; the ratio does not care.
  t.same(ratios([1, 3], [2, 6]).turns, [0.5, 0.5])
  t.same(ratios([1, 3, 9], [2, 6]).turns, [0.5, 0.5], 'a turn without a partner is left out')
})

t.test('the best turn counts, and preparations do not', async (t) => {
  let prepared = 0
  let done = 0
  const ns = await best(
    10,
    () => {
      done++
    },
    () => {
      prepared++
    },
  )
  t.ok(ns >= 0)
  t.ok(done >= 5, 'several turns')
  t.equal(prepared, done)
})

t.test('latencies keep three digits from nanoseconds to minutes', async (t) => {
  const latencies = new Latencies()
  for (let ms = 1; ms <= 1000; ms++) latencies.record(ms * 1e6)
  latencies.record(60e9)
  const { count, p50, p99, p999, max, distribution } = latencies.percentiles()
  t.equal(count, 1001)
  t.ok(Math.abs(p50 / 501e6 - 1) < 0.002, `${p50}`)
  t.ok(Math.abs(p99 / 991e6 - 1) < 0.002, `${p99}`)
  t.ok(Math.abs(p999 / 1000e6 - 1) < 0.002, `${p999}`)
  t.ok(Math.abs(max / 60e9 - 1) < 0.002)
  t.ok(distribution.every(([, ns], index) => index === 0 || ns >= (distribution[index - 1]?.[1] ?? 0)))
})

t.test('numbers are spelled as people read them', async (t) => {
  t.equal(formatNs(3.14159), '3.14 ns')
  t.equal(formatNs(12_345), '12.3 µs')
  t.equal(formatNs(2e9), '2.00 s')
  t.equal(formatCount(1234567.8), '1,234,568')
  t.equal(significant(0), '0')
  t.equal(significant(1234), '1234')
  t.equal(
    formatTable(
      ['a', 'b'],
      [
        ['one', 1],
        ['µ', undefined],
      ],
    ),
    'a    b\none  1\nµ',
  )
})
