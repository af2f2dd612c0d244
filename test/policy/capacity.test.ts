import fc from 'fast-check'
import t from 'tap'
import { capacity, kernelOnly, preferTc, tcOnly } from '../../lib/policy/index.js'
import { NIC, numbered, OTHER, where, World } from './facts.js'

const ports = { 1: { switchId: NIC }, 2: { switchId: NIC }, 3: { switchId: OTHER }, 4: {} }

t.test('a budget is for each e-switch, and what is beyond it waits', async (t) => {
  const world = new World(ports)
  const policy = capacity({ flows: 2 })
  for (const number of [1, 2, 3]) world.settle(policy, numbered(number))
  t.equal(world.inTc(), 2)
  const full = policy.place(numbered(4), world)
  t.same(full.choices, [{ backend: 'ovs' }])
  t.equal(full.waitsFor, 'tc')
  t.equal(policy.place(numbered(5), world), full, 'a constant')
  t.equal(where(policy, numbered(4, 3), world), 'tc ovs', 'another e-switch')
  t.equal(where(policy, numbered(4, 4), world), 'tc ovs', 'no e-switch')
  t.equal(where(capacity({ flows: 1 }, kernelOnly()), numbered(4), world), 'ovs')
  t.equal(where(capacity({ flows: 1 }, tcOnly({ skip: 'hw' })), numbered(4), world), 'tc/hw')
})

t.test('many are decided about before the first is heard of', async (t) => {
  const world = new World(ports)
  const policy = capacity({ flows: 10 })
  const puts = Array.from({ length: 100 }, (_, index) => numbered(index))
  const decisions = puts.map((put) => policy.place(put, world).choices[0]?.backend)
  t.equal(decisions.filter((backend) => backend === 'tc').length, 10)
  t.equal(where(policy, numbered(0), world), 'tc ovs', 'who was promised a place has it')
  for (const [index, put] of puts.entries()) world.settle(policy, put, decisions[index])
  t.equal(world.inTc(), 10)
  t.equal(where(policy, numbered(200), world), 'ovs')
})

t.test('a promise nobody comes back to is forgotten', async (t) => {
  const world = new World(ports)
  const policy = capacity({ flows: 1 })
  t.equal(where(policy, numbered(1), world), 'tc ovs')
  t.equal(where(policy, numbered(2), world), 'ovs')
  world.clock = 1000
  t.equal(where(policy, numbered(2), world), 'ovs', 'not at once')
  world.clock = 2000
  t.equal(where(policy, numbered(2), world), 'tc ovs')
})

t.test('a flow that was refused gives its place back', async (t) => {
  const world = new World(ports)
  const policy = capacity({ flows: 1 })
  t.equal(where(policy, numbered(1), world), 'tc ovs')
  world.settle(policy, numbered(1), 'ovs')
  t.equal(where(policy, numbered(2), world), 'tc ovs')
})

t.test('flows that go behind our back are no longer counted', async (t) => {
  const world = new World(ports)
  const policy = capacity({ flows: 2 })
  for (const number of [1, 2]) world.settle(policy, numbered(number))
  world.homes.clear()
  t.equal(where(policy, numbered(3), world), 'tc ovs')
})

t.test('the reserve is for flows that move in, or for those one names', async (t) => {
  const world = new World(ports)
  const policy = capacity({ flows: 3, reserve: 2 })
  for (const number of [1, 2, 3, 4]) world.settle(policy, numbered(number))
  t.equal(world.inTc(), 1)
  t.equal(where(policy, numbered(2, 1, 'upsert'), world), 'tc ovs')
  t.equal(where(policy, numbered(9, 1, 'upsert'), world), 'ovs', 'one that does not live is new')

  const named = capacity({ flows: 2, reserve: 1, mayUseReserve: ({ key }) => key.inPort === 2 })
  const other = new World(ports)
  for (const put of [numbered(1), numbered(2), numbered(3, 2)]) other.settle(named, put)
  t.same(
    [1, 2, 3].map((number) => other.location(numbered(number).ufid)),
    ['tc', 'ovs', 'tc'],
  )
})

t.test('what a device was found to hold is a budget for a while', async (t) => {
  const world = new World(ports)
  const policy = capacity({ retryMs: 500 })
  for (const number of [1, 2]) world.settle(policy, numbered(number))
  world.learned.set(NIC, { capacity: 2, fullSince: 100 })
  world.clock = 400
  t.equal(where(policy, numbered(3), world), 'ovs')
  world.clock = 600
  t.equal(where(policy, numbered(3), world), 'tc ovs', 'then it is tried again')
})

t.test('when there are more than the budget, those that are too many leave', async (t) => {
  const world = new World(ports)
  for (let number = 0; number < 10; number++) world.settle(preferTc(), numbered(number))
  const policy = capacity({ flows: 4 })
  const asked = Array.from({ length: 10 }, (_, number) => where(policy, numbered(number, 1, 'upsert'), world))
  t.equal(asked.filter((answer) => answer === 'ovs').length, 6)
  t.equal(where(policy, numbered(0, 1, 'upsert'), world), 'ovs', 'asked again, the same have to')
})

t.test('wrong numbers are told', async (t) => {
  t.throws(() => capacity({ flows: 0 }), { name: 'RangeError', message: /flows 0/ })
  t.throws(() => capacity({ flows: 1.5 }), { message: /flows 1.5/ })
  t.throws(() => capacity({ flows: 3, reserve: 3 }), { message: /reserve 3: less than flows 3/ })
  t.throws(() => capacity({ reserve: -1 }), { message: /reserve -1/ })
  t.throws(() => capacity({ retryMs: Number.NaN }), { message: /retryMs NaN/ })
})

t.test('whatever happens there are never more than the budget, and room is used', async () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), flow: fc.nat(30), port: fc.constantFrom(1, 2, 3) }),
    fc.record({ kind: fc.constant('del' as const), flow: fc.nat(30) }),
    fc.record({ kind: fc.constant('lost' as const), flow: fc.nat(30) }),
    fc.record({ kind: fc.constant('ask' as const), flow: fc.nat(30) }),
    fc.record({
      kind: fc.constant('list' as const),
      from: fc.integer({ min: 100, max: 200 }),
      count: fc.nat(20),
    }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(3000) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), fc.integer({ min: 1, max: 8 }), (events, flows) => {
      const world = new World(ports)
      const policy = capacity({ flows })
      for (const one of events) {
        if (one.kind === 'put') {
          const put = numbered(
            one.flow,
            one.port,
            world.location(numbered(one.flow).ufid) ? 'upsert' : 'create',
          )
          // A flow keeps its port: a ufid stands for one match.
          const known = world.homes.get(put.ufid)?.put.key.inPort
          if (known === undefined || known === one.port) world.settle(policy, put)
        } else if (one.kind === 'del') world.remove(policy, numbered(one.flow).ufid)
        else if (one.kind === 'lost') world.homes.delete(numbered(one.flow).ufid)
        else if (one.kind === 'ask') policy.place(numbered(one.flow), world)
        else if (one.kind === 'wait') world.clock += one.ms
        else {
          const puts = Array.from({ length: one.count }, (_, index) => numbered(one.from + index)).filter(
            ({ ufid }) => world.location(ufid) === undefined,
          )
          const homes = puts.map((put) => policy.place(put, world).choices[0]?.backend)
          puts.forEach((put, index) => world.settle(policy, put, homes[index]))
        }
        for (const switchId of [NIC, OTHER]) {
          if ((world.device(switchId)?.flows ?? 0) > flows) return false
        }
      }
      world.clock += 5000
      policy.place(numbered(998), world)
      world.clock += 5000
      const room = (world.device(NIC)?.flows ?? 0) < flows
      return (where(policy, numbered(999), world) === 'tc ovs') === room
    }),
  )
})
