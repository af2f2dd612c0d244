import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { formatActions, parseActions } from '../../lib/ovs/text.js'
import type { Action } from '../../types/action.js'

// What `ovs-dpctl parse-actions TEXT` of Open vSwitch 3.1.0 prints.
// biome-ignore format: one fact per line
const facts: readonly (readonly [text: string, printed: string])[] = [
  ['add_mpls(label=010,tc=0x1,ttl=1,bos=1,eth_type=0x8847)', 'add_mpls(label=8,tc=1,ttl=1,bos=1,eth_type=0x8847)'],
  ['add_mpls(label=1048575,tc=7,ttl=255,bos=0,eth_type=0x1)', 'add_mpls(label=1048575,tc=7,ttl=255,bos=0,eth_type=0x1)'],
  ['push_nsh()', 'push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x0,si=255,c1=0x0,c2=0x0,c3=0x0,c4=0x0)'],
  ['push_nsh( si=0x10 ttl=010,,np=1)', 'push_nsh(flags=0,ttl=8,mdtype=1,np=1,spi=0x0,si=16,c1=0x0,c2=0x0,c3=0x0,c4=0x0)'],
  ['push_nsh(c1=0x1,c1=0x2,c4=0x3,spi=0xffffff,)', 'push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0xffffff,si=255,c1=0x2,c2=0x0,c3=0x0,c4=0x3)'],
  ['push_nsh(mdtype=2)', 'push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x0,si=255,md2=0)'],
  ['push_nsh(mdtype=2,md2=0x00020004)', 'push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x0,si=255,md2=0x20004)'],
  ['push_nsh(mdtype=2,md2=0x0000000000020004)', 'push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x0,si=255,md2=0x20004)'],
  ['push_nsh(mdtype=2,md2=0x1020304050607080)', 'push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x0,si=255,md2=0x1020304050607080)'],
  ['pop_nsh()', 'pop_nsh()'],
]

t.test('what is pushed is read and printed as OVS 3.1 does', async (t) => {
  for (const [text, printed] of facts) t.equal(formatActions(parseActions(text)), printed, text)
})

t.test('what OVS prints and does not read', async (t) => {
  const label = { label: 1, tc: 2, ttl: 64, bos: 1, etherType: 0x8847 }
  const base = { flags: 0, ttl: 63, mdtype: 2, np: 3, spi: 0, si: 255 }
  // biome-ignore format: one fact per line
  const own: readonly (readonly [text: string, actions: readonly Action[]])[] = [
    ['push_mpls(label=1,tc=2,ttl=64,bos=1,eth_type=0x8847)', [{ pushMpls: label }]],
    ['pop_mpls(eth_type=0x800)', [{ popMpls: 0x0800 }]],
    ['push_eth(src=00:11:22:33:44:55,dst=66:77:88:99:aa:bb)', [{ pushEth: { src: '00:11:22:33:44:55', dst: '66:77:88:99:aa:bb' } }]],
    ['pop_eth', [{ popEth: true }]],
    // A number, of which zeros in front are not printed; OVS reads it as digits, and fills up behind.
    ['push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x0,si=255,md2=0x20004)', [{ pushNsh: { base, md2: Uint8Array.of(0, 2, 0, 4) } }]],
    ['push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x0,si=255,md2=0)', [{ pushNsh: { base } }]],
    ['set(nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x1,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4))', [{ set: { nsh: { base: { ...base, mdtype: 1, spi: 1 }, md1: { c1: 1, c2: 2, c3: 3, c4: 4 } } } }]],
  ]
  for (const [text, actions] of own) {
    t.same(parseActions(text), actions, text)
    t.equal(formatActions(actions), text)
  }
})

t.test('zeros in front of a context of type 2 count', async (t) => {
  const [action] = parseActions('push_nsh(mdtype=2,md2=0x0000000000020004)')
  t.same(action?.pushNsh?.md2, Uint8Array.of(0, 0, 0, 0, 0, 2, 0, 4))
})

t.test('wrong text is an error with its position', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['push_mpls(label=1048576,tc=0,ttl=1,bos=1,eth_type=0x8847)', "1048576 is more than 1048575 at position 17, before '1048576,tc=0,ttl=1,bos=1,eth_type=0x8847'"],
    ['push_mpls(label=1,ttl=1)', "',tc=' expected at position 18, before ',ttl=1)'"],
    ['pop_mpls(eth_type=0x10000)', "0x10000 is more than 65535 at position 19, before '0x10000)'"],
    ['push_eth(src=00:11:22:33:44:55)', "',dst=' expected at position 31, before ')'"],
    ['push_nsh(ttl=64)', "64 is more than 63 at position 14, before '64)'"],
    ['push_nsh(spi=0x1000000)', "0x1000000 is more than 16777215 at position 14, before '0x1000000)'"],
    ['push_nsh(zork=1)', "'flags=' 'ttl=' 'mdtype=' 'np=' 'spi=' 'si=' 'c1=' 'c2=' 'c3=' 'c4=' 'md2=' or ')' expected at position 10, before 'zork=1)'"],
    ['push_nsh(md2=0x1)', "context of mdtype 1 expected at position 10, before 'md2=0x1)'"],
    ['push_nsh(mdtype=2,c1=1)', "context of mdtype 2 expected at position 10, before 'mdtype=2,c1=1)'"],
    [`push_nsh(mdtype=2,md2=0x1${'00'.repeat(248)})`, `252 bytes, more than 248, at position 23, before '0x1${'0'.repeat(37)}'`],
    ['pop_nsh', "an action like 2, pop_vlan or set(…) expected at position 1, before 'pop_nsh'"],
  ]
  for (const [text, problem] of wrong)
    t.throws(() => parseActions(text), new DpifError('SYNTAX', problem), text)
})
