import t from 'tap'
import { byPort, kernelOnly, policies, policyNamed, preferTc, tcOnly } from '../../lib/policy/index.js'
import type { Facts, Policy, PolicyPut } from '../../types/policy.js'

const facts: Facts = {
  port: () => undefined,
  location: () => undefined,
  device: () => undefined,
  history: () => undefined,
  refusals: () => [],
  now: () => 0,
}
const put = (inPort?: number): PolicyPut => ({
  ufid: '00000000-0000-0000-0000-000000000000',
  mode: 'create',
  key: inPort === undefined ? {} : { inPort },
  mask: {},
  actions: [],
})
const choices = (policy: Policy, inPort?: number) => policy.place(put(inPort), facts).choices

t.test('each policy says where, in order, with its flags', async (t) => {
  t.same(choices(preferTc()), [{ backend: 'tc' }, { backend: 'ovs' }])
  t.same(choices(preferTc({ skip: 'sw' })), [{ backend: 'tc', skip: 'sw' }, { backend: 'ovs' }])
  t.same(choices(kernelOnly()), [{ backend: 'ovs' }])
  t.same(choices(tcOnly({ skip: 'hw' })), [{ backend: 'tc', skip: 'hw' }])
  const split = byPort({ 1: kernelOnly() }, tcOnly())
  t.same(choices(split, 1), [{ backend: 'ovs' }])
  t.same(choices(split, 2), [{ backend: 'tc' }])
  t.same(choices(split), [{ backend: 'tc' }])
})

t.test('every policy answers with a constant and a reason', async (t) => {
  for (const [name, { make, usage, example = '' }] of Object.entries(policies)) {
    const policy = make(example, preferTc())
    t.equal(policy.name, name)
    t.match(usage, name)
    t.equal(policy.place(put(1), facts), policy.place(put(1), facts), `${name} makes no garbage`)
    t.ok(policy.place(put(1), facts).reason)
    t.equal(policyNamed(example === '' ? name : `${name}:${example}`).name, name)
  }
})

t.test('policies are found by name, with what follows the colon', async (t) => {
  t.same(choices(policyNamed('tc-only:skip_sw')), [{ backend: 'tc', skip: 'sw' }])
  const split = policyNamed('by-port:1=kernel-only,2=tc-only:skip_hw')
  t.same(choices(split, 1), [{ backend: 'ovs' }])
  t.same(choices(split, 2), [{ backend: 'tc', skip: 'hw' }])
  t.same(choices(split, 3), choices(preferTc()))
  t.throws(() => policyNamed('fastest'), { message: /'fastest' is no policy; there are prefer-tc/ })
  t.throws(() => policyNamed('tc-only:now'), { message: /'now' is neither/ })
  t.throws(() => policyNamed('by-port:x=tc-only'), { message: /'x=tc-only'/ })
})
