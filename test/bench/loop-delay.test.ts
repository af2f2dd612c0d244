import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LoopDelay } from '../../bench/loop-delay.js'

const GAP_MS = 2000
const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

t.test('time between the parts of a turn is nobody’s delay', async (t) => {
  const delay = new LoopDelay()
  t.same(delay.ms, { p50: 0, p99: 0, max: 0 }, 'nothing was watched')
  for (let part = 0; part < 2; part++) {
    delay.enable()
    await sleep(50)
    delay.disable()
    block(GAP_MS)
  }
  t.ok(delay.ms.max < GAP_MS)
})

t.test('of several parts the worst one is told', async (t) => {
  const delay = new LoopDelay()
  for (const ms of [1, 200, 1]) {
    delay.enable()
    await sleep(20)
    block(ms)
    await sleep(20)
    delay.disable()
  }
  t.ok(delay.ms.max >= 150)
  t.ok(delay.ms.p50 <= delay.ms.p99 && delay.ms.p99 <= delay.ms.max)
})
