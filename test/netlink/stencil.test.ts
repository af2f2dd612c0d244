import fc from 'fast-check'
import t from 'tap'
import { compileFill } from '../../lib/netlink/compile.js'
import { fillLoop, type Part, Stencil } from '../../lib/netlink/stencil.js'
import { ipv4, mac } from '../../lib/netlink/addresses.js'
import { be16, u32 } from '../../lib/netlink/integers.js'
import type { Scalar } from '../../lib/netlink/codec.js'

const part = <T>(attribute: string, name: string | undefined, offset: number, codec: Scalar<T>): Part => ({
  attribute,
  ...(name === undefined ? {} : { part: name }),
  offset,
  codec: codec as Scalar<unknown>,
})
const parts = [
  part('inPort', undefined, 4, u32),
  part('ethernet', 'src', 8, mac),
  part('ipv4', 'dst', 14, ipv4),
  part('udp', 'dst', 18, be16),
]

interface Value {
  readonly inPort?: number
  readonly ethernet?: { readonly src?: string }
  readonly ipv4?: { readonly dst?: string }
  readonly udp?: { readonly dst?: number }
}

const values: fc.Arbitrary<Value> = fc.record(
  {
    inPort: fc.nat(3),
    ethernet: fc.record(
      { src: fc.constantFrom('00:00:00:00:00:01', 'ff:ff:ff:ff:ff:ff') },
      { requiredKeys: [] },
    ),
    ipv4: fc.record({ dst: fc.constantFrom('10.0.0.1', '0.0.0.0', '1.2.3.4') }, { requiredKeys: [] }),
    udp: fc.record({ dst: fc.nat(65535) }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
)

/** What belongs into the bytes, each part put by itself. */
function expected(value: Value): Uint8Array {
  const bytes = new Uint8Array(20).fill(0xee)
  for (const { attribute, part, offset, codec } of parts) {
    const whole = (value as Record<string, Record<string, unknown> | undefined>)[attribute]
    codec.put(bytes, offset, (part === undefined ? whole : whole?.[part]) ?? codec.zero)
  }
  return bytes
}

t.test('whatever was in it before, a stencil holds the values it was filled with last', async () => {
  fc.assert(
    fc.property(fc.array(values, { maxLength: 20 }), (list) => {
      const stencil = new Stencil<Value>(new Uint8Array(20).fill(0xee), parts)
      return list.every((value) => {
        stencil.fill(value)
        return Buffer.compare(stencil.bytes, expected(value)) === 0
      })
    }),
  )
})

t.test('a value that cannot be put throws and leaves nothing wrong behind', async (t) => {
  const stencil = new Stencil<Value>(new Uint8Array(20).fill(0xee), parts)
  const good = { inPort: 1, ipv4: { dst: '10.0.0.1' }, udp: { dst: 7 } }
  stencil.fill(good)
  t.throws(() => stencil.fill({ ...good, ipv4: { dst: '10.0.0.x' } }), TypeError)
  stencil.fill(good)
  t.same(stencil.bytes, expected(good))
  t.throws(() => stencil.fill({ ...good, udp: { dst: 70000 } }), RangeError)
  stencil.fill({})
  t.same(stencil.bytes, expected({}))
})

t.test('compiled and looped, it fills the same', async () => {
  const nothing = Symbol('nothing')
  fc.assert(
    fc.property(fc.array(values, { maxLength: 10 }), (list) => {
      const [a, b] = [new Uint8Array(20), new Uint8Array(20)]
      const [lastA, lastB] = [parts.map(() => nothing), parts.map(() => nothing)] as [unknown[], unknown[]]
      return list.every((value) => {
        compileFill<Value>(parts)?.(a, value, lastA, nothing)
        fillLoop<Value>(parts)(b, value, lastB, nothing)
        return Buffer.compare(a, b) === 0
      })
    }),
  )
})
