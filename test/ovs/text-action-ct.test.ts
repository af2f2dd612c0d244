import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { formatActions, parseActions } from '../../lib/ovs/text.js'
import type { CtAction } from '../../types/action.js'

// What `ovs-dpctl parse-actions TEXT` of Open vSwitch 3.1.0 prints.
// biome-ignore format: one fact per line
const facts: readonly (readonly [text: string, printed: string])[] = [
  ['ct', 'ct'],
  ['ct()', 'ct'],
  ['ct,1', 'ct,1'],
  ['ct(commit)', 'ct(commit)'],
  ['ct(commit,commit)', 'ct(commit)'],
  ['ct(force_commit)', 'ct(force_commit)'],
  ['ct(,commit,, zone=1)', 'ct(commit,zone=1)'],
  ['ct(commitzone=1)', 'ct(commit,zone=1)'],
  ['ct(zone=5,commit)', 'ct(commit,zone=5)'],
  ['ct(zone=1,zone=010)', 'ct(zone=10)'],
  ['ct(commit,zone=0)', 'ct(commit)'],
  ['ct(commit,mark=1)', 'ct(commit,mark=0x1/0xffffffff)'],
  ['ct(commit,mark=16/010)', 'ct(commit,mark=0x16/0x10)'],
  ['ct(commit,mark=0x1/0)', 'ct(commit)'],
  ['ct(commit,label=0x1 2)', 'ct(commit,label=0x12)'],
  ['ct(commit,label=010)', 'ct(commit,label=0x8)'],
  ['ct(commit,label=1/0x3)', 'ct(commit,label=0x1/0x3)'],
  ['ct(commit,label=0/0xff)', 'ct(commit,label=0/0xff)'],
  ['ct(commit,label=0x1/0)', 'ct(commit)'],
  ['ct(helper=abcdefghijklmno)', 'ct(helper=abcdefghijklmno)'],
  ['ct(timeout=abcdefghijklmnopqrstuvwxyz01234)', 'ct(timeout=abcdefghijklmnopqrstuvwxyz01234)'],
  ['ct(timeout=t,helper=ftp,nat,mark=1,zone=2,force_commit)', 'ct(force_commit,zone=2,mark=0x1/0xffffffff,helper=ftp,timeout=t,nat)'],
  ['ct(nat())', 'ct(nat)'],
  ['ct(nat,nat(src))', 'ct(nat(src))'],
  ['ct(nat( src))', 'ct(nat(src))'],
  ['ct(nat(src=1.2.3.4-1.2.3.5),commit)', 'ct(commit,nat(src=1.2.3.4-1.2.3.5))'],
  ['ct(nat(src=1.2.3.4-1.2.3.4))', 'ct(nat(src=1.2.3.4))'],
  ['ct(nat(src=1.2.3.4:0))', 'ct(nat(src=1.2.3.4))'],
  ['ct(nat(src=1.2.3.4:5-5))', 'ct(nat(src=1.2.3.4:5))'],
  ['ct(nat(dst=0.0.0.0-1.1.1.1:010))', 'ct(nat(dst=0.0.0.0-1.1.1.1:10))'],
  ['ct(nat(src=1.2.3.4-1.2.3.8:5-9,random,persistent))', 'ct(nat(src=1.2.3.4-1.2.3.8:5-9,persistent,random))'],
  ['ct(nat(src=1.2.3.4,hash))', 'ct(nat(src=1.2.3.4,hash))'],
  ['ct(nat(src=1.2.3.4,src))', 'ct(nat(src=1.2.3.4))'],
  ['ct(nat(src=[fe80::1]))', 'ct(nat(src=fe80::1))'],
  ['ct(nat(src=fe80::1-[fe80::2]:1))', 'ct(nat(src=[fe80::1]-[fe80::2]:1))'],
  ['ct(nat(src=[fe80::1]-[fe80::2]:5-7))', 'ct(nat(src=[fe80::1]-[fe80::2]:5-7))'],
  ['ct(nat(src=::1:5))', 'ct(nat(src=::0.1.0.5))'],
  ['ct(nat(src=::-::))', 'ct(nat(src=::))'],
  ['ct(nat(src=::ffff:1.2.3.4))', 'ct(nat(src=::ffff:1.2.3.4))'],
]

t.test('connection tracking is read and printed as OVS 3.1 does', async (t) => {
  for (const [text, printed] of facts) t.equal(formatActions(parseActions(text)), printed, text)
})

t.test('what is read is what is meant', async (t) => {
  const read = (text: string): CtAction | undefined => parseActions(text)[0]?.ct
  t.same(read('ct(nat(dst=[fe80::1]-[fe80::9]:80-90,hash),commit,zone=7)'), {
    commit: true,
    zone: 7,
    nat: { dst: true, ipMin: 'fe80::1', ipMax: 'fe80::9', protoMin: 80, protoMax: 90, protoHash: true },
  })
  t.same(read('ct(mark=ff/0xf0,label=0x1)'), {
    mark: { value: 0xff, mask: 0xf0 },
    labels: { value: 1n, mask: 2n ** 128n - 1n },
  })
})

t.test('flags of a translation are kept where OVS loses them', async (t) => {
  for (const text of ['ct(nat(src,persistent,random))', 'ct(nat(dst,hash))']) {
    t.equal(formatActions(parseActions(text)), text)
  }
})

t.test('events have no word', async (t) => {
  t.equal(formatActions([{ ct: { eventMask: 7, commit: true } }]), 'ct(commit)')
})

t.test('wrong text is an error with its position', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['ct(commit,force_commit)', "either commit or force_commit expected at position 11, before 'force_commit)'"],
    ['ct(zone=65536)', "65536 is more than 65535 at position 9, before '65536)'"],
    ['ct(mark=100000000)', "100000000 is more than 4294967295 at position 9, before '100000000)'"],
    [`ct(label=0x1${'0'.repeat(32)})`, `more than 128 bits at position 10, before '0x1${'0'.repeat(32)})'`],
    ['ct(helper=)', "a name expected at position 11, before ')'"],
    ['ct(helper=abcdefghijklmnop)', "a name of at most 15 characters expected at position 11, before 'abcdefghijklmnop)'"],
    ['ct(nat(src,dst))', "either src or dst expected at position 12, before 'dst))'"],
    ['ct(nat(src,hash,random))', "either hash or random expected at position 17, before 'random))'"],
    ['ct(nat(src=1.2.3.5-1.2.3.4))', "a range of addresses, the lower one first, expected at position 12, before '1.2.3.5-1.2.3.4))'"],
    ['ct(nat(src=1.2.3.5-fe80::1))', "a range of addresses, the lower one first, expected at position 12, before '1.2.3.5-fe80::1))'"],
    ['ct(nat(src=1.2.3.4:9-5))', "a range of ports, the lower one first, expected at position 20, before '9-5))'"],
    ['ct(nat(src=1.2.3.4:65536))', "65536 is more than 65535 at position 20, before '65536))'"],
    ['ct(nat(src=256.2.3.4))', "an IPv4 address expected at position 12, before '256.2.3.4))'"],
    ['ct(nat(src=[fe80::1-fe80::2]:1))', "']' expected at position 20, before '-fe80::2]:1))'"],
    ['ct(zork)', "'commit' 'force_commit' 'zone=' 'mark=' 'label=' 'helper=' 'timeout=' 'nat' or ')' expected at position 4, before 'zork)'"],
    ['ct(commit', "'commit' 'force_commit' 'zone=' 'mark=' 'label=' 'helper=' 'timeout=' 'nat' or ')' expected at the end"],
  ]
  for (const [text, problem] of wrong)
    t.throws(() => parseActions(text), new DpifError('SYNTAX', problem), text)
})
