import t from 'tap'
import { UnderWay } from '../../lib/memory/under-way.js'

/** Work that ends when it is told to. */
function work() {
  let end!: () => void
  let fail!: (error: Error) => void
  const promise = new Promise<void>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  return { promise, end, fail }
}

/** Whether a promise has resolved once all that is due now has been done. */
async function hasEnded(promise: Promise<void>): Promise<boolean> {
  let ended = false
  void promise.then(() => {
    ended = true
  })
  await new Promise(setImmediate)
  return ended
}

t.test('nothing under way has ended', async (t) => {
  t.ok(await hasEnded(new UnderWay().allEnded()))
})

t.test('all that is under way is waited for, whether it ends well or not', async (t) => {
  const underWay = new UnderWay()
  const [first, second] = [work(), work()]
  underWay.add(first.promise)
  underWay.add(second.promise)
  const ended = underWay.allEnded()
  second.fail(new Error('did not work'))
  t.notOk(await hasEnded(ended))
  first.end()
  t.ok(await hasEnded(ended))
})

t.test('what begins after somebody asked is not waited for, but by who asks next', async (t) => {
  const underWay = new UnderWay()
  const [early, late] = [work(), work()]
  underWay.add(early.promise)
  const first = underWay.allEnded()
  underWay.add(late.promise)
  const second = underWay.allEnded()
  early.end()
  t.ok(await hasEnded(first))
  t.notOk(await hasEnded(second))
  late.end()
  t.ok(await hasEnded(second))
})

t.test('who asks later waits for what began before an earlier question, too', async (t) => {
  const underWay = new UnderWay()
  const [early, late] = [work(), work()]
  underWay.add(early.promise)
  const first = underWay.allEnded()
  underWay.add(late.promise)
  const second = underWay.allEnded()
  late.end()
  t.notOk(await hasEnded(second), 'the early one is still under way')
  early.end()
  t.ok(await hasEnded(first))
  t.ok(await hasEnded(second))
})

t.test('what has ended long before is not waited for', async (t) => {
  const underWay = new UnderWay()
  const only = work()
  underWay.add(only.promise)
  only.end()
  await new Promise(setImmediate)
  t.ok(await hasEnded(underWay.allEnded()))
  t.ok(await hasEnded(underWay.allEnded()))
})
