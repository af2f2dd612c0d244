import fc from 'fast-check'
import t from 'tap'
import { elephants, tcOnly } from '../../lib/policy/index.js'
import { numbered, where, World } from './facts.js'

const again = numbered(1, 1, 'upsert')
const { ufid } = again

/** A flow that lives in `backend`, and what it is asked. */
function setUp(backend: 'ovs' | 'tc') {
  const world = new World({ 1: {}, 2: {} })
  const policy = elephants({ packetsPerSecond: 100, until: 40, holdMs: 1000 }, tcOnly())
  world.settle(policy, again, backend)
  const ask = (clock: number, rate: number | undefined) => {
    world.clock = clock
    if (rate === undefined) world.rates.delete(ufid)
    else world.rates.set(ufid, rate)
    return where(policy, again, world)
  }
  return { world, policy, ask }
}

t.test('new flows begin in software, whatever they will be', async (t) => {
  const { world, policy } = setUp('ovs')
  world.rates.set(ufid, 1e6)
  t.equal(where(policy, numbered(1), world), 'ovs')
  t.equal(where(policy, numbered(2), world), 'ovs')
})

t.test('a flow that stays fast goes to hardware', async (t) => {
  const { world, policy, ask } = setUp('ovs')
  t.equal(ask(0, undefined), 'ovs', 'nothing was measured')
  t.equal(ask(1000, 99), 'ovs')
  t.equal(ask(2000, 100), 'ovs', 'fast from now on')
  t.equal(ask(2999, 500), 'ovs')
  t.equal(ask(3000, 500), 'tc')
  t.equal(ask(3500, 500), 'tc', 'until it has moved')
  world.settle(policy, again, 'tc')
  t.equal(ask(3600, 500), 'tc')
})

t.test('one that is fast for a moment does not', async (t) => {
  const { ask } = setUp('ovs')
  t.equal(ask(0, 500), 'ovs')
  t.equal(ask(900, 99), 'ovs', 'the time begins anew')
  t.equal(ask(1000, 500), 'ovs')
  t.equal(ask(1900, undefined), 'ovs')
  t.equal(ask(2000, 500), 'ovs')
  t.equal(ask(2999, 500), 'ovs')
  t.equal(ask(3000, 500), 'tc')
})

t.test('between the thresholds a flow stays where it is', async (t) => {
  const inside = setUp('tc')
  const outside = setUp('ovs')
  for (let clock = 0; clock < 10_000; clock += 500) {
    t.equal(inside.ask(clock, 40 + ((clock / 100) % 60)), 'tc')
    t.equal(outside.ask(clock, 40 + ((clock / 100) % 60)), 'ovs')
  }
})

t.test('one that stays slow goes back, and a moment is not enough', async (t) => {
  const { world, policy, ask } = setUp('tc')
  t.equal(ask(0, undefined), 'tc', 'nothing was measured')
  t.equal(ask(100, 39), 'tc')
  t.equal(ask(1000, 40), 'tc')
  t.equal(ask(1100, 0), 'tc')
  t.equal(ask(2100, 0), 'ovs')
  world.settle(policy, again, 'ovs')
  t.equal(ask(2200, 500), 'ovs', 'and has to prove itself again')
})

t.test('a modify is no reason to begin again, a deletion is', async (t) => {
  const { world, policy, ask } = setUp('ovs')
  t.equal(ask(0, 500), 'ovs')
  world.settle(policy, again, 'ovs')
  t.equal(ask(1000, 500), 'tc')
  world.remove(policy, ufid)
  world.settle(policy, again, 'ovs')
  t.equal(ask(1100, 500), 'ovs')
})

t.test('wrong numbers are told', async (t) => {
  t.throws(() => elephants({ packetsPerSecond: -1 }), { name: 'RangeError', message: /packetsPerSecond -1/ })
  t.throws(() => elephants({ packetsPerSecond: 10, until: 11 }), { message: /until 11: no more than/ })
  t.throws(() => elephants({ holdMs: Number.POSITIVE_INFINITY }), { message: /holdMs/ })
})

t.test('a flow never moves twice within the hold time, whatever its rate does', async () => {
  const looks = fc.array(fc.record({ after: fc.integer({ min: 1, max: 700 }), rate: fc.nat(200) }), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(looks, (all) => {
      const { world, policy, ask } = setUp('ovs')
      let clock = 0
      let moved = Number.NEGATIVE_INFINITY
      for (const { after, rate } of all) {
        clock += after
        const home = ask(clock, rate) as 'ovs' | 'tc'
        if (home === world.location(ufid)) continue
        if (clock - moved < 1000) return false
        // What moves is on the right side of its threshold.
        if (home === 'tc' ? rate < 100 : rate >= 40) return false
        world.settle(policy, again, home)
        moved = clock
      }
      return true
    }),
  )
})
