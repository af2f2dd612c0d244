import fc from 'fast-check'
import t from 'tap'
import { UfidTable } from '../../lib/memory/ufid-table.js'

const id = (n: number) => ({ w0: n, w1: n >>> 3, w2: 0x4000_8000, w3: n % 3 })
const numbered = (n: number) => ({ w0: n, w1: 0, w2: 0, w3: 0 })

t.test('it is a map, whatever is inserted and removed', async () => {
  const step = fc.tuple(
    fc.constantFrom('insert', 'remove'),
    fc.nat(900),
    fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }).filter((value) => value !== 0),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1500 }), (steps) => {
      const table = new UfidTable(2)
      const model = new Map<number, number>()
      for (const [verb, n, value] of steps) {
        const found = table.find(id(n))
        if (verb === 'insert') {
          const position = table.insert(id(n), value)
          if (found < 0) table.setWord(position, 1, n)
          if (!model.has(n)) model.set(n, value)
        } else if (found >= 0) {
          table.remove(found)
          model.delete(n)
        }
      }
      if (table.size !== model.size) return false
      const seen = new Set<number>()
      table.each((words) => seen.add(words.w0))
      if (seen.size !== model.size) return false
      for (let n = 0; n <= 900; n++) {
        const position = table.find(id(n))
        if (
          position < 0
            ? model.has(n)
            : table.word(position, 0) !== model.get(n) || table.word(position, 1) !== n
        )
          return false
      }
      return true
    }),
    { numRuns: 100 },
  )
})

t.test('numbered ids spread, so that a look-up stays short', async (t) => {
  const table = new UfidTable(1)
  const count = 100_000
  for (let n = 0; n < count; n++) table.insert(numbered(n), 1)
  for (let n = 0; n < count; n += 2) table.remove(table.find(numbered(n)))
  t.equal(table.size, count / 2)
  for (let n = 0; n < count; n++) {
    if (table.find(numbered(n)) >= 0 !== (n % 2 === 1)) t.fail(`${n} is lost or left over`)
  }
  table.clear()
  t.equal(table.size, 0)
  t.equal(table.find(numbered(1)), -1)
})

t.test('looking at many ids at once sees where each would be, and changes nothing', async (t) => {
  const table = new UfidTable(1)
  const ids = Array.from({ length: 500 }, (_, n) => id(n + 1))
  const seenOf = (...range: Parameters<UfidTable['fetch']>) => {
    table.fetch(...range)
    return table.seen
  }
  t.equal(seenOf(ids), 0, 'nothing is there')
  const one = ids[7] as (typeof ids)[number]
  table.insert(one, 1)
  t.equal(seenOf([one]), one.w0)
  t.equal(seenOf(ids, 8, 8), 0, 'none of them')
  for (const other of ids) table.insert(other, 1)
  table.fetch(ids)
  table.fetch(ids, 100, 200)
  t.equal(table.size, ids.length)
  t.ok(ids.every((other) => table.word(table.find(other), 0) === 1))
})
