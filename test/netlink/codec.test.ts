import fc from 'fast-check'
import t from 'tap'
import { ipv4, ipv6, mac } from '../../lib/netlink/addresses.js'
import type { Scalar } from '../../lib/netlink/codec.js'
import { be16, be32, be64, s32, u8, u16, u32, u64, u128 } from '../../lib/netlink/integers.js'
import { Scanner } from '../../lib/netlink/scanner.js'
import { bitFields, struct } from '../../lib/netlink/struct.js'
import { LITTLE, Writer } from '../../lib/netlink/writer.js'

const scalars = { u8, u16, u32, be16, be32, s32, u64, be64, u128, mac, ipv4, ipv6 } as Record<
  string,
  Scalar<unknown>
>

t.test('every scalar survives bytes, by write and by put, and text', async (t) => {
  for (const [name, scalar] of Object.entries(scalars)) {
    for (const sample of [...scalar.samples, scalar.zero, scalar.ones]) {
      const writer = new Writer(1)
      scalar.write(writer, sample)
      t.equal(writer.length, scalar.size, `${name} writes ${scalar.size} bytes`)
      t.same(scalar.read(writer.bytes, 0, writer.length), sample, `${name} ${sample} is read back`)
      const bytes = new Uint8Array(scalar.size + 2)
      scalar.put(bytes, 1, sample)
      t.same(scalar.take(bytes, 1), sample, `${name} ${sample} is taken back`)
      t.same([bytes[0], bytes.at(-1)], [0, 0], `${name} stays inside its bytes`)
      if (name !== 's32')
        t.same(scalar.parse(new Scanner(scalar.format(sample))), sample, `${name} is parsed back`)
    }
    t.throws(
      () => scalar.read(new Uint8Array(64), 0, scalar.size + 1),
      { code: 'BAD_MESSAGE' },
      `${name} has one length`,
    )
  }
})

// biome-ignore format: one case per line
const wire = [
  ['be16',  be16,  0x0800,       '0800'],
  ['be32',  be32,  0x01020304,   '01020304'],
  ['be64',  be64,  0x0102030405060708n, '0102030405060708'],
  ['u16',   u16,   0x0102,       '0201'],
  ['u32',   u32,   0x01020304,   '04030201'],
  ['u64',   u64,   0x0102030405060708n, '0807060504030201'],
  ['u128',  u128,  1n,           '01000000000000000000000000000000'],
  ['s32',   s32,   -2,           'feffffff'],
  ['mac',   mac,   '00:11:22:aa:bb:cc', '001122aabbcc'],
  ['ipv4',  ipv4,  '10.0.0.255', '0a0000ff'],
  ['ipv6',  ipv6,  '2001:db8::1', '20010db8000000000000000000000001'],
  ['ipv6',  ipv6,  '::ffff:10.0.0.1', '00000000000000000000ffff0a000001'],
] as const

t.test('byte order belongs to the codec', { skip: LITTLE ? false : 'host order differs here' }, async (t) => {
  for (const [name, scalar, value, hex] of wire) {
    const bytes = new Uint8Array(scalar.size)
    ;(scalar as Scalar<unknown>).put(bytes, 0, value)
    t.equal(Buffer.from(bytes).toString('hex'), hex, `${name} ${value}`)
  }
})

// biome-ignore format: one case per line
const wrong: readonly [string, Scalar<never>, unknown][] = [
  ['u8', u8 as never, 256], ['u8', u8 as never, -1], ['u16', u16 as never, 1.5], ['be32', be32 as never, 2 ** 32],
  ['u64', u64 as never, 2n ** 64n], ['u128', u128 as never, -1n],
  ['mac', mac as never, '00:11:22:33:44'], ['mac', mac as never, '00:11:22:33:44:5g'], ['mac', mac as never, '00-11-22-33-44-55'],
  ['ipv4', ipv4 as never, '10.0.0'], ['ipv4', ipv4 as never, '10.0.0.256'], ['ipv4', ipv4 as never, '10.0.0.1.2'], ['ipv4', ipv4 as never, ''],
  ['ipv6', ipv6 as never, 'fe80::1::2'], ['ipv6', ipv6 as never, 'fe80::1%eth0'], ['ipv6', ipv6 as never, '10.0.0.1'],
]

t.test(
  'a value that does not fit is refused with the value in the message, not sent as another',
  async (t) => {
    for (const [name, scalar, value] of wrong) {
      t.throws(
        () => scalar.write(new Writer(), value as never),
        { message: new RegExp(String(value).slice(0, 10)) },
        `${name} ${value}`,
      )
    }
  },
)

t.test('IPv6 addresses are spelled as inet_ntop() spells them', async (t) => {
  const spellings = {
    '1:0:0:2:0:0:0:3': '1:0:0:2::3',
    '0:1::': '0:1::',
    '::1': '::1',
    '1::': '1::',
    '::1.2.3.4': '::1.2.3.4',
  }
  for (const [address, spelled] of Object.entries(spellings)) {
    const bytes = new Uint8Array(16)
    ipv6.put(bytes, 0, address)
    t.equal(ipv6.take(bytes, 0), spelled)
  }
})

t.test('a prefix length is a mask', async (t) => {
  t.equal(ipv4.parseMask(new Scanner('24')), '255.255.255.0')
  t.equal(ipv4.parseMask(new Scanner('0')), '0.0.0.0')
  t.equal(ipv6.parseMask(new Scanner('65')), 'ffff:ffff:ffff:ffff:8000::')
  t.throws(() => ipv4.parseMask(new Scanner('33')), { code: 'SYNTAX' })
})

t.test('numbers in text are never wrapped', async (t) => {
  t.equal(u16.parse(new Scanner('0xffff')), 0xffff)
  t.equal(u16.parse(new Scanner('010')), 8, 'a leading 0 is octal, as in C')
  t.throws(() => u16.parse(new Scanner('0x12345')), { code: 'SYNTAX', message: /position 1/ })
})

t.test('a struct leaves out nothing and adds nothing', async (t) => {
  const pair = struct<{ a?: number; b?: string }>({ a: be16, b: mac }, { tail: 2 })
  const writer = new Writer()
  pair.write(writer, { b: '00:00:00:00:00:07' })
  t.equal(
    Buffer.from(writer.take()).toString('hex'),
    '00000000000000070000',
    'parts left out are 0, the tail too',
  )
  t.same(pair.read(writer.bytes, 0, 10), { a: 0, b: '00:00:00:00:00:07' })
  t.throws(() => pair.read(new Uint8Array(11), 0, 11), { code: 'BAD_MESSAGE' })
  const growing = struct<{ a: number }>({ a: be16 }, { grows: true })
  t.same(growing.read(Uint8Array.of(0, 7, 1), 0, 3), { a: 7 }, 'a newer kernel may send more')
})

t.test('bit fields share a word', async (t) => {
  const tag = bitFields<{ vid?: number; pcp?: number; cfi?: number }>(be16, {
    vid: { shift: 0, bits: 12 },
    pcp: { shift: 13, bits: 3 },
    cfi: { shift: 12, bits: 1, standard: 1 },
  })
  const bytes = new Uint8Array(2)
  tag.put(bytes, 0, { vid: 7, pcp: 5 })
  t.equal(Buffer.from(bytes).toString('hex'), 'b007')
  t.same(tag.take(bytes, 0), { vid: 7, pcp: 5, cfi: 1 })
  t.throws(() => tag.put(bytes, 0, { vid: 4096 }), { message: /vid 4096/ })
})

t.test('any address survives bytes and text', async () => {
  const cases = [
    [mac, 6],
    [ipv4, 4],
    [ipv6, 16],
  ] as const
  for (const [scalar, size] of cases) {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
        const again = new Uint8Array(size)
        scalar.put(again, 0, scalar.parse(new Scanner(scalar.format(scalar.take(bytes, 0)))))
        return again.every((byte, index) => byte === bytes[index])
      }),
    )
  }
})
