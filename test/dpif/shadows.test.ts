import * as fc from 'fast-check'
import t from 'tap'
import type { MatchBits } from '../../types/index.js'
import { Shadows } from '../../lib/dpif/shadows.js'
import { bitsOf } from '../../lib/ovs/match-bits.js'
import { parseKey } from '../../lib/ovs/text.js'

// Which matches have packets in common: by the tables, and by trying every pair.

const field = fc.record({ value: fc.integer({ min: 0, max: 3 }), mask: fc.integer({ min: 0, max: 3 }) })
const match: fc.Arbitrary<MatchBits> = fc
  .record({ a: field, b: field, c: field }, { requiredKeys: [] })
  .map((fields) => {
    const counting = Object.entries(fields).filter(([, { mask }]) => mask !== 0)
    return new Map(
      counting.map(([name, { value, mask }]) => [
        name,
        { value: Uint8Array.of(value & mask, 0), mask: Uint8Array.of(mask, 0) },
      ]),
    )
  })

function overlap(one: MatchBits, two: MatchBits): boolean {
  return [...one].every(([name, { value, mask }]) => {
    const other = two.get(name)
    if (other === undefined) return true
    return value.every((byte, at) => {
      const bits = (mask[at] as number) & (other.mask[at] as number)
      return (byte & bits) === ((other.value[at] as number) & bits)
    })
  })
}

t.test('what is found is what trying every pair finds', async (t) => {
  const property = fc.property(
    fc.array(match, { maxLength: 30 }),
    fc.array(match, { maxLength: 30 }),
    (above, below) => {
      const shadows = new Shadows()
      for (const [index, bits] of above.entries()) shadows.add(`${index}`, bits)
      for (const [index, bits] of below.entries()) {
        // The flow of that number above is the same one, and is no shadow of itself.
        const takers = above.flatMap((other, at) => (at !== index && overlap(other, bits) ? [`${at}`] : []))
        const found = shadows.find(`${index}`, bits)
        if (takers.length === 0 ? found !== undefined : !takers.includes(found ?? '')) return false
      }
      return !shadows.isUnfinished
    },
  )
  fc.assert(property, { numRuns: 300 })
  t.pass('300 pairs of tables')
})

t.test('matches of flows are compared by the bits that count', async (t) => {
  const bits = (text: string) => {
    const { key, mask } = parseKey(text)
    return bitsOf({ key, mask })
  }
  const shadows = new Shadows()
  shadows.add('wide', bits('in_port(1),eth_type(0x0800),ipv4(dst=10.0.0.0/255.255.0.0)'))
  shadows.add(
    'tagged',
    bits('in_port(2),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4(dst=10.0.0.1))'),
  )
  for (const [text, found] of [
    ['in_port(1),eth_type(0x0800),ipv4(dst=10.0.7.7,proto=6),tcp(dst=80)', 'wide'],
    ['in_port(1),eth_type(0x0800),ipv4(dst=10.1.7.7)', undefined],
    ['in_port(1),eth_type(0x86dd),ipv6()', undefined],
    ['in_port(3),eth_type(0x0800),ipv4(dst=10.0.7.7)', undefined],
    ['eth_type(0x0800),ipv4(src=10.9.9.9)', 'wide'],
    [
      'in_port(2),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4(dst=10.0.0.0/255.255.255.0))',
      'tagged',
    ],
    [
      'in_port(2),eth_type(0x8100),vlan(vid=8),encap(eth_type(0x0800),ipv4(dst=10.0.0.0/255.255.255.0))',
      undefined,
    ],
  ] as const)
    t.equal(shadows.find('other', bits(text)), found, text)
})

t.test('it ends when there is too much', async (t) => {
  const shadows = new Shadows()
  const none: MatchBits = new Map()
  for (let count = 0; count < 65_537; count++) shadows.add(`${count}`, none)
  t.ok(shadows.isUnfinished)
})
