import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Turns } from '../../lib/transport/turns.js'

t.test('answers that come together are taken one a turn, in order', async (t) => {
  const turns = new Turns()
  const taken: number[] = []
  for (const number of [1, 2, 3]) turns.take(() => taken.push(number))
  t.same(taken, [1], 'the first at once')
  await turn()
  t.same(taken, [1, 2])
  await turn()
  t.same(taken, [1, 2, 3])
  await turn()
  turns.take(() => taken.push(4))
  t.same(taken, [1, 2, 3, 4], 'at once again')
  await turn()
})

t.test('timers come to their turn while every answer is followed by another', async (t) => {
  const turns = new Turns()
  let answers = 0
  let seen: number | undefined
  const most = 1000
  await new Promise<void>((resolve) => {
    const answered = () => {
      if (++answers === most || seen !== undefined) resolve()
      // As if the kernel had answered before the next call returned.
      else turns.take(answered)
    }
    setTimeout(() => {
      seen = answers
    })
    const late = performance.now() + 2
    while (performance.now() < late);
    turns.take(answered)
  })
  t.ok(seen !== undefined && seen < most, `a timer that was due came after ${seen} answers`)
})

t.test('a taker that asks on stands in line like everybody', async (t) => {
  const turns = new Turns()
  const taken: string[] = []
  turns.take(() => {
    taken.push('first')
    turns.take(() => taken.push('asked by the first'))
  })
  turns.take(() => taken.push('second'))
  t.same(taken, ['first'])
  for (let count = 0; count < 4; count++) await turn()
  t.same(taken, ['first', 'asked by the first', 'second'])
})
