import t from 'tap'
import { NullKernel } from '../../bench/null-kernel.js'
import { Writer } from '../../lib/netlink/writer.js'
import { beginMessage, endMessage } from '../../lib/netlink/message.js'
import { types } from '../../lib/tc/message.js'

/** A clock that stands still until it is told to go on. */
class StoppedClock {
  time = 0
  /** Who waits, and until when. */
  readonly waiting: { readonly time: number; readonly wake: () => void }[] = []

  now(): number {
    return this.time
  }

  until(time: number): Promise<void> {
    return new Promise((wake) => this.waiting.push({ time, wake }))
  }

  /** Wakes whoever waits for the earliest time, `late` milliseconds after it. */
  async go(late = 0): Promise<void> {
    this.waiting.sort((a, b) => a.time - b.time)
    const first = this.waiting.shift()
    if (first === undefined) throw new Error('nobody waits')
    this.time = Math.max(this.time, first.time + late)
    first.wake()
    await settled()
  }

  get times(): number[] {
    return this.waiting.map(({ time }) => time).sort((a, b) => a - b)
  }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

function filters(count: number): Uint8Array {
  const writer = new Writer(1024)
  for (let n = 0; n < count; n++) endMessage(writer, beginMessage(writer, types.NEWTFILTER, 0))
  return writer.take()
}

function start() {
  const clock = new StoppedClock()
  const kernel = new NullKernel({ costUs: 200, clock })
  const done: string[] = []
  const send = async (name: string, lane: number, messages: number) => {
    const { count } = await kernel.exchange('route', filters(messages), lane)
    t.equal(count, messages)
    done.push(name)
  }
  return { clock, done, send }
}

t.test('exchanges of one lane take place one after another', async (t) => {
  const { clock, done, send } = start()
  const all = [send('a', 0, 10), send('b', 0, 5), send('c', 0, 5)]
  await settled()
  t.same(clock.times, [2], 'one is under way')
  await clock.go()
  t.same(clock.times, [3])
  t.same(done, ['a'])
  await clock.go()
  await clock.go()
  await Promise.all(all)
  t.same(done, ['a', 'b', 'c'])
  t.equal(clock.time, 4, 'as long as all messages take')
})

t.test('exchanges of several lanes take place beside one another', async (t) => {
  const { clock, done, send } = start()
  const all = [send('a', 0, 10), send('b', 1, 5), send('c', 2, 20), send('d', 1, 5)]
  await settled()
  t.same(clock.times, [1, 2, 4], 'three are under way')
  for (let turn = 0; turn < 4; turn++) await clock.go()
  await Promise.all(all)
  t.equal(done[0], 'b')
  t.equal(done[3], 'c')
  t.equal(clock.time, 4, 'as long as the longest lane takes')
})

t.test('waking late does not make those in line dearer', async (t) => {
  const { clock, send } = start()
  const all = Array.from({ length: 10 }, () => send('x', 0, 1))
  await settled()
  for (let turn = 0; turn < 10; turn++) await clock.go(0.1)
  await Promise.all(all)
  t.equal(Math.round(clock.time * 1000), 2100, 'ten times 200 us, and late once')
})
