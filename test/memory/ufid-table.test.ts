import fc from 'fast-check'
import t from 'tap'
import { UfidTable } from '../../lib/memory/ufid-table.js'

// Few values in each word, so that ids come again and differ in any of the four.
const word = fc.constantFrom(0, 1, -1, 0x8000, -0x8000_0000)
const id = fc.record({ w0: fc.nat(300), w1: word, w2: word, w3: word })
const numbered = (n: number) => ({ w0: n, w1: 0, w2: 0, w3: 0 })
type Id = ReturnType<typeof numbered>
const text = ({ w0, w1, w2, w3 }: Id) => `${w0} ${w1} ${w2} ${w3}`

t.test('it is a map, whatever is inserted, removed and cleared', async () => {
  const verb = fc.constantFrom('insert', 'insert', 'insert', 'remove')
  const step = fc.tuple(verb, id, fc.integer())
  const steps = fc.array(step, { maxLength: 1500, size: 'max' })
  // The second round finds the room of the first one.
  const table = new UfidTable(2)
  const round = (steps: readonly (readonly [string, Id, number])[]) => {
    const model = new Map<string, number>()
    for (const [verb, id, value] of steps) {
      const found = table.find(id)
      if (found >= 0 !== model.has(text(id))) return false
      if (verb === 'insert') {
        const position = table.insert(id)
        if (found >= 0 && position !== found) return false
        if (found < 0 && (table.word(position, 0) !== 0 || table.word(position, 1) !== 0)) return false
        if (!table.isAt(position, id)) return false
        table.setWord(position, 0, value)
        table.setWord(position, 1, ~value)
        model.set(text(id), value)
      } else if (found >= 0) {
        table.remove(found)
        if (table.isAt(found, id)) return false
        model.delete(text(id))
      }
    }
    const seen = new Map<string, number>()
    table.each((id, position) => {
      if (table.isAt(position, id) && table.word(position, 1) === ~table.word(position, 0))
        seen.set(text(id), table.word(position, 0))
    })
    const isSame = [...model].every(([id, value]) => seen.get(id) === value)
    return isSame && seen.size === model.size && table.size === model.size
  }
  fc.assert(
    fc.property(steps, steps, (first, second) => {
      const holds = round(first)
      table.clear()
      const again = round(second)
      table.clear()
      return holds && again && table.size === 0 && !first.some(([, id]) => table.has(id))
    }),
    { numRuns: 50 },
  )
})

t.test('without words it is a set', async () => {
  fc.assert(
    fc.property(fc.array(id, { maxLength: 1200, size: 'max' }), fc.array(id), (added, asked) => {
      const set = new UfidTable()
      const model = new Set<string>()
      for (const id of added) {
        if (set.add(id) === model.has(text(id))) return false
        model.add(text(id))
      }
      return (
        [...added, ...asked].every((id) => set.has(id) === model.has(text(id))) && set.size === model.size
      )
    }),
  )
})

t.test('numbered ids spread, so that a look-up stays short', async (t) => {
  const table = new UfidTable(1)
  const count = 100_000
  for (let n = 0; n < count; n++) table.insert(numbered(n))
  for (let n = 0; n < count; n += 2) table.remove(table.find(numbered(n)))
  t.equal(table.size, count / 2)
  for (let n = 0; n < count; n++) {
    if (table.find(numbered(n)) >= 0 !== (n % 2 === 1)) t.fail(`${n} is lost or left over`)
  }
  table.clear()
  t.equal(table.size, 0)
  t.equal(table.find(numbered(1)), -1)
})

t.test('a position that means nothing any more is no place of any id', async (t) => {
  const table = new UfidTable(1)
  for (let n = 0; n < 100; n++) table.insert(numbered(n))
  const position = table.find(numbered(50))
  table.clear()
  t.notOk(table.isAt(position, numbered(50)))
  t.notOk(table.isAt(-1, numbered(50)))
  t.notOk(table.isAt(0, numbered(0)), 'there is no entry 0')
})

t.test('looking at many ids at once sees where each would be, and changes nothing', async (t) => {
  const table = new UfidTable(1)
  const ids = Array.from({ length: 500 }, (_, n) => numbered(n + 1))
  const seenOf = (...range: Parameters<UfidTable['fetch']>) => {
    table.fetch(...range)
    return table.seen
  }
  t.equal(seenOf(ids), 0, 'nothing is there')
  const one = ids[7] as Id
  table.insert(one)
  t.equal(seenOf([one]), one.w0)
  t.equal(seenOf(ids, 8, 8), 0, 'none of them')
  for (const other of ids) table.insert(other)
  table.fetch(ids)
  table.fetch(ids, 100, 200)
  t.equal(table.size, ids.length)
  t.ok(ids.every((other) => table.isAt(table.find(other), other)))
})
