import t from 'tap'
import { Order } from '../../lib/dpif/order.js'

/** Calls that end when they are told to, and what has begun and ended. */
function calls(order: Order) {
  const log: string[] = []
  const ends = new Map<string, (error?: Error) => void>()
  const work = (name: string) => () => {
    log.push(name)
    return new Promise<void>((resolve, reject) => {
      ends.set(name, (error) => (error === undefined ? resolve() : reject(error)))
    })
  }
  const soon = () => new Promise(setImmediate)
  return {
    log,
    together: (name: string) => void order.together(work(name)).catch(() => log.push(`${name} failed`)),
    alone: (name: string) => void order.alone(work(name)).catch(() => log.push(`${name} failed`)),
    end: async (name: string, error?: Error) => {
      ends.get(name)?.(error)
      await soon()
    },
    soon,
  }
}

t.test('what is alone waits for all before it, and all behind it waits for that', async (t) => {
  const { log, together, alone, end, soon } = calls(new Order())
  together('a')
  together('b')
  alone('C')
  together('d')
  alone('E')
  together('f')
  await soon()
  t.same(log, ['a', 'b'])
  await end('b')
  t.same(log, ['a', 'b'])
  await end('a')
  t.same(log, ['a', 'b', 'C'])
  await end('C')
  t.same(log, ['a', 'b', 'C', 'd'], 'one that is alone waits for what began since the last')
  await end('d')
  t.same(log, ['a', 'b', 'C', 'd', 'E'])
  await end('E')
  t.same(log, ['a', 'b', 'C', 'd', 'E', 'f'])
})

t.test('two that are alone are so one after the other, with nothing between', async (t) => {
  const { log, alone, end, soon } = calls(new Order())
  alone('A')
  alone('B')
  await soon()
  t.same(log, ['A'])
  await end('A')
  t.same(log, ['A', 'B'])
})

t.test('what fails has ended as well', async (t) => {
  const order = new Order()
  const { log, together, alone, end, soon } = calls(order)
  together('a')
  alone('B')
  together('c')
  await soon()
  await end('a', new Error('did not work'))
  t.same(log, ['a', 'a failed', 'B'])
  await end('B', new Error('did not work'))
  t.same(log, ['a', 'a failed', 'B', 'B failed', 'c'])
  let isQuiet = false
  void order.quiet().then(() => {
    isQuiet = true
  })
  await soon()
  t.notOk(isQuiet)
  await end('c', new Error('did not work'))
  t.ok(isQuiet)
})
