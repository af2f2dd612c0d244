import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { formatActions, parseActions } from '../../lib/ovs/text.js'
import type { Action } from '../../types/action.js'

// What `ovs-dpctl parse-actions TEXT` of Open vSwitch 3.1.0 prints.
// biome-ignore format: one fact per line
const facts: readonly (readonly [text: string, printed: string])[] = [
  ['sample(sample=50%,actions(1))', 'sample(sample=50.0%,actions(1))'],
  ['sample(sample=50.05%,actions(1,2))', 'sample(sample=50.0%,actions(1,2))'],
  ['sample(sample=1.5e1%,actions( 1 , 2 ))', 'sample(sample=15.0%,actions(1,2))'],
  ['sample(sample= +1%,actions(1 2,))', 'sample(sample=1.0%,actions(1,2))'],
  ['sample(sample=0%,actions())', 'sample(sample=0.0%,actions(drop))'],
  ['sample(sample=100%,actions(sample(sample=.5%,actions(pop_vlan))))', 'sample(sample=100.0%,actions(sample(sample=0.5%,actions(pop_vlan))))'],
  ['clone()', 'clone(drop)'],
  ['clone( 1),2', 'clone(1),2'],
  ['clone(1,clone(2,3))', 'clone(1,clone(2,3))'],
  ['check_pkt_len(size= 0x10,gt(4),le(5))', 'check_pkt_len(size=16,gt(4),le(5))'],
  ['check_pkt_len(size=200,gt(DROP),le())', 'check_pkt_len(size=200,gt(drop),le(drop))'],
  ['check_pkt_len(size=010,gt(check_pkt_len(size=100,gt(1),le(2))),le(clone(1),2,))', 'check_pkt_len(size=8,gt(check_pkt_len(size=100,gt(1),le(2))),le(clone(1),2))'],
]

t.test('lists in actions are read and printed as OVS 3.1 does', async (t) => {
  for (const [text, printed] of facts) t.equal(formatActions(parseActions(text)), printed, text)
})

t.test('what OVS prints and does not read', async (t) => {
  // biome-ignore format: one fact per line
  const own: readonly (readonly [text: string, actions: readonly Action[]])[] = [
    ['clone(drop),2', [{ clone: [] }, { output: 2 }]],
    ['sample(sample=100.0%,actions(drop))', [{ sample: { probability: 0xffffffff, actions: [] } }]],
    ['dec_ttl(le_1(drop))', [{ decTtl: { action: [] } }]],
    ['dec_ttl(le_1(1,2)),3', [{ decTtl: { action: [{ output: 1 }, { output: 2 }] } }, { output: 3 }]],
    ['hash(l4(0)),recirc(0x5)', [{ hash: { alg: 0, basis: 0 } }, { recirc: 5 }]],
    ['hash(sym_l4(7))', [{ hash: { alg: 1, basis: 7 } }]],
    ['hash(Unknown hash algorithm(9))', [{ hash: { alg: 9, basis: 0 } }]],
    ['psample(group=1)', [{ psample: { group: 1 } }]],
    ['psample(group=1,cookie=0x102)', [{ psample: { group: 1, cookie: Uint8Array.of(1, 2) } }]],
    ['psample(group=1,cookie=0)', [{ psample: { group: 1, cookie: new Uint8Array(0) } }]],
  ]
  for (const [text, actions] of own) {
    t.same(parseActions(text), actions, text)
    t.equal(formatActions(actions), text)
  }
})

t.test('a part of the packets is counted in 2^32 - 1 parts', async (t) => {
  const probability = (text: string) =>
    parseActions(`sample(sample=${text}%,actions(1))`)[0]?.sample?.probability
  t.equal(probability('100'), 0xffffffff)
  t.equal(probability('50'), 0x80000000)
  t.equal(probability('0'), 0)
})

t.test('lists lie in one another as deep as OVS takes them, and no deeper', async (t) => {
  const nested = (depth: number) => `${'clone('.repeat(depth)}1${')'.repeat(depth)}`
  t.equal(formatActions(parseActions(nested(30))), nested(30))
  t.throws(() => parseActions(nested(31)), { code: 'SYNTAX', message: /^nested too deep at position 187, / })
  t.throws(() => parseActions(nested(100_000)), { code: 'SYNTAX' })
})

t.test('half of an action is printed as an error', async (t) => {
  const halves: Action[] = [{ sample: {} }, { checkPktLen: { size: 1 } }, { userspace: {} }, { psample: {} }]
  t.equal(formatActions(halves), 'sample(error),check_pkt_len(error),userspace(error),psample(error)')
})

t.test('ports are named inside, too', async (t) => {
  const options = { portNumber: (name: string) => (name === 'veth0' ? 4 : undefined) }
  const text = 'clone(veth0,sample(sample=1.0%,actions(veth0)))'
  t.equal(formatActions(parseActions(text, options), { portName: () => 'veth0' }), text)
})

t.test('wrong text is an error with its position', async (t) => {
  const action = 'an action like 2, pop_vlan or set(…) expected'
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['sample(sample=101%,actions(1))', "a percentage from 0 to 100 expected at position 15, before '101%,actions(1))'"],
    ['sample(sample=-1%,actions(1))', "a percentage from 0 to 100 expected at position 15, before '-1%,actions(1))'"],
    ['sample(sample=.%,actions(1))', "a percentage from 0 to 100 expected at position 15, before '.%,actions(1))'"],
    ['sample(sample=1,actions(1))', "'%,actions(' expected at position 16, before ',actions(1))'"],
    ['clone(1', "')' expected at the end"],
    ['clone(zork)', `${action} at position 7, before 'zork)'`],
    ['clone(1)2', "',' expected at position 9, before '2'"],
    ['check_pkt_len(size=65536,gt(1),le(2))', "65536 is more than 65535 at position 20, before '65536,gt(1),le(2))'"],
    ['check_pkt_len(size=1,le(1),gt(2))', "',gt(' expected at position 21, before ',le(1),gt(2))'"],
    ['dec_ttl(1)', "'le_1(' expected at position 9, before '1)'"],
    ['hash(l5(1))', "one of l4 sym_l4 expected at position 6, before 'l5(1))'"],
    ['psample(cookie=0x1)', "'group=' expected at position 9, before 'cookie=0x1)'"],
    [`psample(group=1,cookie=0x1${'00'.repeat(16)})`, `17 bytes, more than 16, at position 24, before '0x1${'00'.repeat(16)})'`],
  ]
  for (const [text, problem] of wrong)
    t.throws(() => parseActions(text), new DpifError('SYNTAX', problem), text)
})
