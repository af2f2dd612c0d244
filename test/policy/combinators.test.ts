import fc from 'fast-check'
import t from 'tap'
import {
  abstain,
  allOf,
  byPort,
  capacity,
  firstOf,
  kernelOnly,
  policyNamed,
  preferTc,
  sameSwitch,
  tcOnly,
  when,
} from '../../lib/policy/index.js'
import type { Choice, Placement, Policy } from '../../types/policy.js'
import { NIC, numbered, where, World } from './facts.js'

const world = new World({ 1: { switchId: NIC }, 2: { switchId: NIC } })
const put = numbered(1)

const constant = (placement: Placement, more: Partial<Policy> = {}): Policy => ({
  name: 'constant',
  place: () => placement,
  ...more,
})

t.test('the first that has an opinion decides', async (t) => {
  t.equal(where(firstOf(abstain(), kernelOnly(), tcOnly()), put, world), 'ovs')
  t.equal(
    where(
      firstOf(
        when(() => false, kernelOnly()),
        tcOnly(),
      ),
      put,
      world,
    ),
    'tc',
  )
  t.equal(where(firstOf(sameSwitch({}, abstain()), tcOnly()), put, world), 'tc')
  t.equal(where(firstOf(sameSwitch({}, abstain()), tcOnly()), numbered(1, 9), world), 'ovs')
  t.equal(where(firstOf(), put, world), '', 'and without members there is none')
})

t.test('a condition chooses', async (t) => {
  const policy = when(({ key }) => key.inPort === 1, kernelOnly(), tcOnly())
  t.equal(where(policy, put, world), 'ovs')
  t.equal(where(policy, numbered(1, 2), world), 'tc')
  t.equal(
    where(
      when(() => false, kernelOnly()),
      put,
      world,
    ),
    '',
  )
})

t.test('all have to agree', async (t) => {
  // biome-ignore format: one row per line
  const rows: readonly (readonly [policies: readonly Policy[], answer: string])[] = [
    [[preferTc(), preferTc()], 'tc ovs'],
    [[preferTc(), kernelOnly()], 'ovs'],
    [[kernelOnly(), preferTc()], 'ovs'],
    [[preferTc(), tcOnly()], 'tc'],
    [[tcOnly(), kernelOnly()], 'ovs'],
    [[preferTc({ skip: 'sw' }), preferTc()], 'tc/sw ovs'],
    [[preferTc(), tcOnly({ skip: 'hw' })], 'tc/hw'],
    [[preferTc({ skip: 'sw' }), preferTc({ skip: 'hw' })], 'ovs'],
    [[abstain(), preferTc(), abstain()], 'tc ovs'],
    [[abstain()], ''],
    [[], ''],
  ]
  for (const [policies, answer] of rows) t.equal(where(allOf(...policies), put, world), answer)
  t.equal(allOf(preferTc(), kernelOnly()).place(put, world).reason, 'everything stays in openvswitch')
  t.match(allOf(tcOnly(), kernelOnly()).place(put, world).reason, 'they agree on nothing')
})

t.test('who waits for room does so where nobody objects to the backend', async (t) => {
  const full = constant({ choices: [{ backend: 'ovs' }], reason: 'full', waitsFor: 'tc' })
  t.equal(allOf(full, preferTc()).place(put, world).waitsFor, 'tc')
  t.equal(allOf(preferTc(), full).place(put, world).waitsFor, 'tc')
  t.equal(allOf(full, full).place(put, world).waitsFor, 'tc')
  t.equal(allOf(full, kernelOnly()).place(put, world).waitsFor, undefined)
  t.equal(allOf(full, preferTc(), kernelOnly()).place(put, world).waitsFor, undefined)
})

t.test('constants stay constants', async (t) => {
  const policy = allOf(preferTc(), tcOnly(), sameSwitch())
  t.equal(policy.place(put, world), policy.place(numbered(2), world))
})

t.test('agreement is what every member names, in the order of the first', async () => {
  const choice = fc.record({
    backend: fc.constantFrom<Choice['backend']>('ovs', 'tc'),
  })
  const placement = fc
    .uniqueArray(choice, { minLength: 1, maxLength: 2, selector: ({ backend }) => backend })
    .map((choices): Placement => ({ choices, reason: 'some' }))
  fc.assert(
    fc.property(fc.array(placement, { minLength: 1, maxLength: 4 }), (placements) => {
      const [first] = placements
      const agreed = (first as Placement).choices.filter(({ backend }) =>
        placements.every(({ choices }) => choices.some((one) => one.backend === backend)),
      )
      const expected = agreed.length === 0 ? 'ovs' : agreed.map(({ backend }) => backend).join(' ')
      // Once nothing is left it is openvswitch, which later members may have named.
      const seen = where(allOf(...placements.map((one) => constant(one))), put, world)
      return seen === expected
    }),
  )
})

t.test('members hear what becomes of flows, each once, and the first says what they are worth', async (t) => {
  const heard: string[] = []
  const listener = (name: string): Policy =>
    constant(
      { choices: [{ backend: 'ovs' }], reason: name },
      {
        placed: ({ ufid }) => heard.push(`${name} placed ${ufid.slice(-1)}`),
        removed: (ufid, from, cause) => heard.push(`${name} removed ${ufid.slice(-1)} ${from} ${cause}`),
        worth: () => name.length,
      },
    )
  const one = listener('one')
  const three = listener('three')
  const many: readonly (readonly [string, Policy])[] = [
    ['firstOf', firstOf(one, three, one)],
    ['allOf', allOf(preferTc(), one, three)],
    ['when', when(() => true, one, three)],
    ['byPort', byPort({ 1: one, 2: three })],
    ['within another', sameSwitch({}, firstOf(one, three))],
  ]
  for (const [name, policy] of many) {
    heard.length = 0
    policy.placed?.(put, { ufid: put.ufid, cause: 'put', backend: 'ovs', declined: [] }, world)
    policy.removed?.(put.ufid, 'ovs', 'del')
    t.same(
      heard,
      ['one placed 1', 'three placed 1', 'one removed 1 ovs del', 'three removed 1 ovs del'],
      name,
    )
    const history = { backend: 'ovs', packetsPerSecond: 9, bytesPerSecond: 9, since: 0 } as const
    t.equal(policy.worth?.(put, history, world), 3, name)
  }
  const byPorts = byPort({ 1: one, 2: three }, preferTc())
  const history = { backend: 'ovs', packetsPerSecond: 9, bytesPerSecond: 9, since: 0 } as const
  t.equal(byPorts.worth?.(numbered(1, 2), history, world), 5, 'of its own port')
  t.equal(byPorts.worth?.(numbered(1, 3), history, world), 9, 'and its packets where nobody says')
  t.notOk('placed' in firstOf(preferTc()), 'no hook is there for nobody')
})

t.test('one that throws does not keep the others from hearing', async (t) => {
  let heard = 0
  const bad = constant(
    { choices: [], reason: '' },
    {
      removed: () => {
        throw new Error('bad')
      },
    },
  )
  const good = constant({ choices: [], reason: '' }, { removed: () => void heard++ })
  t.throws(() => firstOf(bad, good).removed?.(put.ufid, 'ovs', 'del'), { message: 'bad' })
  t.equal(heard, 1)
})

t.test('the command line composes them', async (t) => {
  const chain = policyNamed('deny-complex+same-switch+capacity:1+tc-only:skip_sw')
  t.equal(chain.name, 'deny-complex')
  t.equal(where(chain, put, world), 'tc/sw')
  t.equal(where(chain, numbered(2), world), 'ovs', 'one place was promised')
  t.equal(where(policyNamed('first-of:deny-complex,same-switch,tc-only'), put, world), 'tc')
  t.equal(where(policyNamed('all-of:same-switch,tc-only'), numbered(1, 9), world), 'ovs')
  t.equal(where(policyNamed('when:{port: 1}=kernel-only+tc-only'), put, world), 'ovs')
  t.equal(where(policyNamed('when:{port: 1}=kernel-only+tc-only'), numbered(1, 2), world), 'tc')
  t.equal(where(policyNamed('by-port:1=elephants+tc-only,2=tc-only'), put, world), 'ovs')
  t.equal(
    where(policyNamed('first-of:when:{port: [1, 2]}=kernel-only,tc-only'), numbered(1, 2), world),
    'ovs',
    'commas in brackets are not between policies',
  )
  t.match(policyNamed('tenants:flows=10,borrow,blue=40%@p1/2+tc-only').name, 'tenants')
  for (const [text, message] of [
    ['capacity:many', /'many' is neither a number/],
    ['capacity:10-10', /capacity:10-10: reserve 10: less than flows 10/],
    ['elephants:1-2', /until 2: no more than/],
    ['same-switch:x', /'x' is not no-tunnels/],
    ['deny-complex:zork', /'zork' is no kind of action/],
    ['tenants:blue', /'blue' is neither flows=FLOWS/],
    ['tenants:blue=70%@1,red=40%@2', /the shares of the tenants are 1.1/],
    ['tenants:blue=10%@1,red=10%@1', /port 1 is of tenant 'red' and of 'blue'/],
    ['when:{prot: 1}=tc-only', /prot: there is no such field/],
    ['when:x', /is not \{FIELD/],
    ['same-switch+zork', /'zork' is no policy/],
    ['capacity10', /'capacity10' is no policy/],
  ] as const) {
    t.throws(() => policyNamed(text), { name: 'TypeError', message }, text)
  }
})

t.test('a budget within the branches of a condition is heard of', async (t) => {
  const facts = new World({ 1: { switchId: NIC }, 2: { switchId: NIC } })
  const policy = when(({ key }) => key.inPort === 1, capacity({ flows: 1 }), kernelOnly())
  facts.settle(policy, numbered(1))
  facts.settle(policy, numbered(2))
  t.equal(facts.inTc(), 1)
})
