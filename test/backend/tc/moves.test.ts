import fc from 'fast-check'
import t from 'tap'
import { Moves } from '../../../lib/backend/tc/moves.js'

const PORT = 7

/** A filter, and what it has counted. */
interface Counting {
  readonly chain: number
  readonly prio: number
  readonly handle: number
  readonly check: number
  readonly packets: number
}

const counting: fc.Arbitrary<Counting> = fc.record(
  {
    chain: fc.nat(1),
    prio: fc.integer({ min: 1, max: 2 }),
    // Handles of the kernel, and some that are negative in 32 bits.
    handle: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0xfffffff8, max: 0xffffffff })),
    check: fc.constantFrom(1, 1, 1, -2),
    packets: fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 + 5),
  },
  { noNullPrototype: true },
)

const nameOf = ({ chain, prio, handle }: Counting) => `${chain} ${prio} ${handle}`
const infoOf = ({ prio }: Counting) => (prio << 16) | 8
/** A table: each name once, in the order of a dump. */
const tables = fc
  .array(counting, { maxLength: 20 })
  .map((list) =>
    [...new Map(list.map((each) => [nameOf(each), each])).values()].sort(
      (a, b) => a.chain - b.chain || a.prio - b.prio || a.handle - b.handle,
    ),
  )

/** What a look at a table tells, at a time. */
function lookAt(moves: Moves, table: readonly Counting[], now: number): number[] {
  const look = moves.look(PORT)
  look.at(now)
  const told = table.map((each) => look.note(each.chain, infoOf(each), each.handle, each.check, each.packets))
  moves.keep(PORT, look)
  return told
}

const named = (each: Counting) => {
  const { chain, handle, check } = each
  return { ifindex: PORT, chain, info: infoOf(each), handle, check }
}

t.test('a look tells when each counter was first seen as it is', async () => {
  fc.assert(
    fc.property(fc.array(tables, { maxLength: 6 }), (turns) => {
      const moves = new Moves()
      let known = new Map<string, { readonly is: string; readonly since: number }>()
      return turns.every((table, turn) => {
        const now = (turn + 1) * 1000
        const next = new Map<string, { readonly is: string; readonly since: number }>()
        const expected = table.map((each) => {
          const is = `${each.check} ${each.packets}`
          const before = known.get(nameOf(each))
          const since = before?.is === is ? before.since : now
          next.set(nameOf(each), { is, since })
          return since
        })
        known = next
        const told = lookAt(moves, table, now)
        return expected.every(
          (since, index) =>
            told[index] === since &&
            moves.find(named(table[index] as Counting), table[index]?.packets ?? 0, now + 500) === since,
        )
      })
    }),
    { numRuns: 500 },
  )
})

t.test('a table grows and shrinks by a lot', async (t) => {
  const moves = new Moves()
  const table = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      ...{ chain: 0, prio: 2, handle: 0x68000000 + index, check: index, packets: 1 },
    }))
  for (const [turn, count] of [10, 5000, 5001, 3, 5000].entries()) {
    const told = lookAt(moves, table(count), (turn + 1) * 100)
    t.equal(told.length, count)
    t.equal(told[0], 100)
    t.equal(told[4000], [undefined, 200, 200, undefined, 500][turn])
  }
})

t.test('nothing is found of what has moved, is another flow by now, or was never seen', async (t) => {
  const moves = new Moves()
  const filter = { chain: 0, prio: 1, handle: 5, check: 9, packets: 3 }
  t.equal(moves.find(named(filter), 3, 50), undefined)
  lookAt(moves, [filter], 100)
  t.equal(moves.find(named(filter), 3, 500), 100)
  t.equal(moves.find(named(filter), 4, 500), undefined)
  t.equal(moves.find(named({ ...filter, check: 8 }), 3, 500), undefined)
  t.equal(moves.find(named({ ...filter, handle: 6 }), 3, 500), undefined)
  t.equal(moves.find(named({ ...filter, chain: 1 }), 3, 500), undefined)
  moves.retain(new Set([PORT]))
  t.equal(moves.find(named(filter), 3, 500), 100)
  moves.retain(new Set())
  t.equal(moves.find(named(filter), 3, 500), undefined)
})

t.test('what was read before a look is not dated by it', async (t) => {
  const moves = new Moves()
  const filter = { chain: 0, prio: 1, handle: 5, check: 9, packets: 3 }
  lookAt(moves, [filter], 60_000)
  t.equal(moves.find(named(filter), 3, 20_000), undefined)
  t.equal(moves.find(named(filter), 3, 60_000), 60_000)
})

t.test('what was not kept has not been seen, and two can look at the same time', async (t) => {
  const moves = new Moves()
  const filter = { chain: 0, prio: 1, handle: 5, check: 9, packets: 3 }
  lookAt(moves, [filter], 100)
  const broken = moves.look(PORT)
  broken.at(200)
  broken.note(0, infoOf(filter), 5, 9, 4)
  t.equal(lookAt(moves, [filter], 300)[0], 100)
  const [one, other] = [moves.look(PORT), moves.look(PORT)]
  for (const [index, look] of [one, other].entries()) {
    look.at(400 + index * 10)
    t.equal(look.note(0, infoOf(filter), 5, 9, 7), 400 + index * 10)
  }
  moves.keep(PORT, one)
  moves.keep(PORT, other)
  t.equal(lookAt(moves, [{ ...filter, packets: 7 }], 500)[0], 410)
})

t.test('time goes on for longer than 32 bits of milliseconds', async (t) => {
  const moves = new Moves()
  const filter = { chain: 0, prio: 1, handle: 5, check: 9, packets: 3 }
  const start = 2 ** 32 * 10 - 5000
  t.equal(lookAt(moves, [filter], start)[0], start)
  t.equal(lookAt(moves, [filter], start + 60_000)[0], start)
  t.equal(lookAt(moves, [filter], start + 400 * 86_400_000)[0], start)
})
