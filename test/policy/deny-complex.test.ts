import t from 'tap'
import { complexKinds, denyComplex, tcOnly } from '../../lib/policy/index.js'
import type { Action } from '../../types/action.js'
import { kindsOf, actionKinds, kindBits } from '../../lib/policy/action-kinds.js'
import { putOf, where, World } from './facts.js'

const world = new World({ 1: {}, 2: {} })
const ip = 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'

// biome-ignore format: one row per line
const rows: readonly (readonly [key: string, actions: string | readonly Action[], complex: boolean])[] = [
  [ip, '2', false],
  [ip, '', false],
  [ip, 'push_vlan(vid=7,pcp=0),2', false],
  [ip, 'set(ipv4(ttl=9)),2', false],
  [ip, 'ct,recirc(1)', true],
  [ip, 'meter(1),2', true],
  [ip, 'clone(2),1', true],
  [ip, 'userspace(pid=7)', true],
  [ip, 'sample(sample=50.0%,actions(2))', true],
  [ip, [{ decTtl: { action: [] } }, { output: 2 }], true],
  ['recirc_id(0x7),' + ip, '2', true],
  ['recirc_id(0),ct_state(+est),' + ip, '2', true],
]

t.test('what takes the CPU stays in software', async (t) => {
  for (const [key, actions, complex] of rows) {
    t.equal(where(denyComplex(), putOf(key, actions), world), complex ? 'ovs' : 'tc ovs', `${key} ${actions}`)
  }
})

t.test('what that is can be chosen', async (t) => {
  const policy = denyComplex({ kinds: ['meter'] }, tcOnly())
  t.equal(where(policy, putOf(ip, 'meter(1),2'), world), 'ovs')
  t.equal(where(policy, putOf(ip, 'clone(meter(1),2),1'), world), 'ovs', 'within a clone')
  t.equal(where(policy, putOf(ip, 'clone(2),1'), world), 'tc')
  t.equal(where(policy, putOf(`recirc_id(0x7),${ip}`, '2'), world), 'tc')
  t.throws(() => denyComplex({ kinds: ['fast' as 'ct'] }), {
    message: /'fast' is no kind of action; there are/,
  })
})

t.test('every kind has a bit of its own', async (t) => {
  t.equal(new Set(actionKinds.map((kind) => kindBits([kind]))).size, actionKinds.length)
  t.ok(actionKinds.length < 31, 'and they fit into a small integer')
  for (const kind of complexKinds) t.ok(actionKinds.includes(kind))
  t.equal(kindsOf([]), kindBits(['drop']))
  t.equal(kindsOf([{ setMasked: { key: {}, mask: {} } }]), kindBits(['set']))
})
