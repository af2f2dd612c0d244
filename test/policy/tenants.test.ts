import fc from 'fast-check'
import t from 'tap'
import { kernelOnly, preferTc, type TenantsOptions, tenants } from '../../lib/policy/index.js'
import type { PolicyPut } from '../../types/policy.js'
import { NIC, numbered, putOf, where, World } from './facts.js'

const ports = {
  1: { switchId: NIC, name: 'web' },
  2: { switchId: NIC, name: 'db' },
  3: { switchId: NIC, name: 'uplink' },
  4: { type: 'vxlan' as const },
  5: {},
}
const shares: TenantsOptions['tenants'] = {
  blue: { ports: ['web'], share: 0.5 },
  green: { ports: [2], share: 0.3 },
}
const from = (port: number) => (put: PolicyPut) => put.key.inPort === port

t.test('each tenant has its share, and nobody what is left', async (t) => {
  const world = new World(ports)
  const policy = tenants({ flows: 10, tenants: shares })
  for (let number = 0; number < 10; number++) {
    world.settle(policy, { ...numbered(100 + number, 1), actions: [{ output: 3 }] })
    world.settle(policy, { ...numbered(200 + number, 2), actions: [{ output: 3 }] })
    world.settle(policy, { ...numbered(300 + number, 3), actions: [{ output: 3 }] })
  }
  t.same(
    [1, 2, 3].map((port) => world.inTc(from(port))),
    [5, 3, 2],
  )
  const refused = policy.place(numbered(110), world)
  t.equal(refused.reason, 'the share of tenant blue is used up')
  t.equal(refused.waitsFor, undefined, 'another place would be that of another tenant')
  world.remove(policy, numbered(100).ufid, 'lost')
  t.equal(where(policy, numbered(110), world), 'tc ovs', 'a flow that is gone leaves room')
})

t.test('a flow to a tenant is of the tenant, through a tunnel too', async (t) => {
  const world = new World(ports)
  const policy = tenants({ flows: 4, tenants: { blue: { ports: [1], share: 0.5 } } })
  const arp = (port: number, n: number) => `in_port(${port}),eth(src=00:00:00:00:00:0${n}),eth_type(0x0806)`
  world.settle(policy, putOf(arp(3, 1), '1'))
  world.settle(policy, putOf(arp(4, 2), '1'))
  t.equal(where(policy, putOf(arp(3, 3), '1'), world), 'ovs')
  t.equal(where(policy, putOf(arp(3, 4), '3'), world), 'tc ovs', 'nobody has room')
  t.equal(where(policy, putOf(arp(5, 5), '5'), world), 'tc ovs', 'no e-switch, no share')
  t.equal(where(tenants({ tenants: {} }, kernelOnly()), putOf(arp(3, 1), '1'), world), 'ovs')
})

t.test('without a size the table is what the device was found to hold', async (t) => {
  const world = new World(ports)
  const policy = tenants({ tenants: shares })
  for (let number = 0; number < 4; number++) world.settle(policy, numbered(number, 2))
  t.equal(world.inTc(), 4)
  world.learned.set(NIC, { capacity: 10, fullSince: 0 })
  t.equal(where(policy, numbered(9, 2), world), 'ovs')
})

t.test('borrowed is what is free, and the owner has the better right', async (t) => {
  const world = new World(ports)
  const policy = tenants({ flows: 4, borrow: true, tenants: shares })
  for (let number = 0; number < 4; number++) world.settle(policy, numbered(number, 1))
  t.equal(world.inTc(), 4, 'twice its share')
  const waiting = numbered(9, 2)
  world.settle(policy, waiting)
  t.equal(policy.place(waiting, world).waitsFor, 'tc')
  const worth = (put: PolicyPut, packetsPerSecond: number) =>
    policy.worth?.(put, { backend: 'ovs', packetsPerSecond, bytesPerSecond: 0, since: 0 }, world) ?? 0
  t.ok(worth(waiting, 1) > 1.25 * worth(numbered(0, 1), 1e6), 'within its share beats beyond it')
  world.settle(policy, numbered(0, 1), 'ovs')
  world.settle(policy, numbered(1, 1), 'ovs')
  world.settle(policy, waiting, 'tc')
  t.ok(worth(numbered(2, 1), 10) > 1e9, 'what is left is within the share')
  t.ok(worth(numbered(0, 1), 1e6) < 1e9, 'one more would be beyond it')
})

t.test('flows that live are learned when they are asked about', async (t) => {
  const world = new World(ports)
  for (let number = 0; number < 8; number++) world.settle(preferTc(), numbered(number, 1))
  const policy = tenants({ flows: 10, tenants: shares })
  const asked = Array.from({ length: 8 }, (_, number) => where(policy, numbered(number, 1, 'upsert'), world))
  t.equal(asked.filter((answer) => answer === 'tc ovs').length, 5)
  t.equal(where(policy, numbered(9, 1), world), 'ovs')
})

t.test('wrong shares are told', async (t) => {
  const share =
    (blue: number, green = 0) =>
    () =>
      tenants({ tenants: { blue: { ports: [1], share: blue }, green: { ports: [2], share: green } } })
  t.throws(share(1.1), { name: 'RangeError', message: /share 1.1 of tenant 'blue'/ })
  t.throws(share(-0.1), RangeError)
  t.throws(share(Number.NaN), RangeError)
  t.throws(share(0.6, 0.5), { message: /the shares of the tenants are 1.1/ })
  t.throws(() => tenants({ tenants: { a: { ports: [1], share: 0 }, b: { ports: [1], share: 0 } } }), {
    name: 'TypeError',
    message: /port 1 is of tenant 'b' and of 'a'/,
  })
  t.throws(() => tenants({ flows: 0, tenants: {} }), { message: /flows 0/ })
})

t.test('no tenant ever has more than its share, whatever comes and goes', async () => {
  const event = fc.record({
    flow: fc.nat(40),
    kind: fc.constantFrom('put', 'put', 'put', 'del', 'lost', 'ask', 'refused'),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 120 }), (events) => {
      const world = new World(ports)
      const policy = tenants({ flows: 10, tenants: shares })
      const limits = [5, 3, 2]
      for (const { flow, kind } of events) {
        const port = (flow % 3) + 1
        const { ufid } = numbered(flow)
        const mode = world.location(ufid) === undefined ? 'create' : 'upsert'
        const put = { ...numbered(flow, port, mode), actions: [{ output: 3 }] }
        if (kind === 'put') world.settle(policy, put)
        else if (kind === 'refused') {
          policy.place(put, world)
          world.settle(policy, put, 'ovs')
        } else if (kind === 'ask') policy.place(put, world)
        else world.remove(policy, ufid, kind as 'del' | 'lost')
        if ([1, 2, 3].some((each, index) => world.inTc(from(each)) > (limits[index] as number))) return false
      }
      return true
    }),
  )
})
