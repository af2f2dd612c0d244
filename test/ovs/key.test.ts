import fc from 'fast-check'
import t from 'tap'
import type { FlowKey } from '../../types/flow.js'
import { DpifError } from '../../lib/errors.js'
import { Writer } from '../../lib/netlink/writer.js'
import { flowKey } from '../../lib/ovs/key.js'
import { violationsOf } from '../../lib/ovs/rules.js'
import { formatKey, parseKey } from '../../lib/ovs/text.js'
import { exactMask } from '../../lib/ovs/view.js'
import { match, same } from './text-key-arbitrary.js'

const encode = (key: FlowKey) => flowKey.encode(new Writer(), key)
const decode = (bytes: Uint8Array) => flowKey.read(bytes, 0, bytes.length)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

t.test('bytes are those of the kernel', async (t) => {
  // Little-endian, as openvswitch of Linux 6.1 and Open vSwitch 3.1.0 write them: length, number, value.
  const cases: readonly (readonly [FlowKey, string])[] = [
    [
      { tunnel: { id: 7n, src: '1.2.3.4', ttl: 64, df: true, tpDst: 4789 } },
      '2c001000' + // OVS_KEY_ATTR_TUNNEL
        '0c0000000000000000000007' + // ID
        '0800010001020304' + // IPV4_SRC
        '0500040040000000' + // TTL
        '04000500' + // DONT_FRAGMENT
        '06000a0012b50000', // TP_DST
    ],
    [{ tunnel: { vxlan: { gbp: 0x80005 } } }, '10001000' + '0c000b00' + '0800010005000800'],
    [
      {
        mpls: [
          { label: 3, tc: 1, bos: 0, ttl: 0 },
          { label: 0xfffff, tc: 7, bos: 1, ttl: 255 },
        ],
      },
      '0c001500' + '00003200' + 'ffffffff',
    ],
    [
      {
        nsh: {
          base: { flags: 1, ttl: 63, mdtype: 1, np: 3, spi: 0x123456, si: 0x78 },
          md1: { c1: 1, c4: 2 },
        },
      },
      '24001c00' + '0c000100' + '013f0103' + '12345678' + '14000200' + '00000001000000000000000000000002',
    ],
    [
      { ctTuple4: { src: '1.2.3.4', dst: '5.6.7.8', tpSrc: 1, tpDst: 2, proto: 6 } },
      '14001a00' + '0102030405060708' + '00010002' + '06000000',
    ],
    [{ packetType: { ns: 1, id: 0x800 } }, '08001d00' + '00010800'],
    [{ ndExtensions: { reserved: 1, optionsType: 2 } }, '0c001e00' + '00000001' + '02000000'],
    [{ sctp: { src: 80, dst: 443 } }, '08001100' + '005001bb'],
  ]
  for (const [key, bytes] of cases) t.equal(hex(encode(key)), bytes, `${Object.keys(key)}`)
})

t.test('any key survives bytes', async () => {
  fc.assert(
    fc.property(match(2), ({ key, mask }) => {
      for (const side of [key, mask]) same(hex(encode(decode(encode(side)))), hex(encode(side)))
    }),
  )
})

t.test('bytes that are cut short or changed are refused or read, never anything else', async () => {
  const change = fc.record({ at: fc.nat(), byte: fc.nat(255) })
  fc.assert(
    fc.property(match(1), fc.array(change, { maxLength: 6 }), fc.nat(), ({ key, mask }, changes, cut) => {
      const bytes = encode(key)
      for (const { at, byte } of changes) bytes[at % (bytes.length || 1)] = byte
      onlyDpifErrors(() => {
        const read = decode(changes.length < 4 ? bytes : bytes.subarray(0, cut % (bytes.length + 1)))
        same(hex(encode(decode(encode(read)))), hex(encode(read)))
        for (const verbose of [false, true]) {
          formatKey(read, mask, { verbose })
          formatKey(mask, read, { verbose })
          parseKey(formatKey(read, exactMask(read), { verbose }))
        }
        violationsOf(read, mask)
        violationsOf(read, exactMask(read))
      })
    }),
    { numRuns: 2000 },
  )
})

t.test('text that is cut short or changed is refused or read, never anything else', async () => {
  const change = fc.record({
    at: fc.nat(),
    text: fc.constantFrom('(', ')', ',', '/', '0x', '9', '-', '+', '{', '}', '=', 'f', ' '),
  })
  fc.assert(
    fc.property(match(1), fc.array(change, { maxLength: 3 }), fc.nat(), ({ key, mask }, changes, cut) => {
      let text = formatKey(key, mask, { verbose: true })
      for (const { at, text: inserted } of changes) {
        const place = at % (text.length + 1)
        text = text.slice(0, place) + inserted + text.slice(place + (at % 2))
      }
      if (changes.length === 0) text = text.slice(0, cut % (text.length + 1))
      onlyDpifErrors(() => {
        const parsed = parseKey(text)
        encode(parsed.key)
        encode(parsed.mask)
      })
    }),
    { numRuns: 2000 },
  )
})

function onlyDpifErrors(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof DpifError)) throw error
  }
}

t.test('an exact mask has all bits of what the key has', async (t) => {
  fc.assert(
    fc.property(match(1), ({ key }) => {
      // A tunnel is matched whole, and conntrack state has 8 bits; both are below.
      const { tunnel, ctState, encap, ...flat } = key
      const mask = encode(exactMask(flat))
      const bytes = encode(flat)
      same(String(mask.length), String(bytes.length))
      same(hex(encode(decode(mask))), hex(mask))
    }),
  )
  t.same(
    exactMask({ mpls: [{ label: 1 }, {}] }).mpls,
    Array(2).fill({ label: 0xfffff, tc: 7, ttl: 0xff, bos: 1 }),
  )
  t.same(exactMask({ nsh: { base: { np: 1 }, md2: Uint8Array.of(1, 2) } }).nsh, {
    base: { flags: 0xff, ttl: 0xff, mdtype: 0xff, np: 0xff, spi: 0xffffff, si: 0xff },
    md2: Uint8Array.of(0xff, 0xff),
  })
  t.same(exactMask({ ctState: 0x21, encap: { ctState: 1 } }), { ctState: 0xff, encap: { ctState: 0xff } })
})

t.test('an exact mask matches a tunnel whole, but for the flags it does not have', async (t) => {
  const ones = { id: 0xffff_ffff_ffff_ffffn, tos: 0xff, ttl: 0xff, tpSrc: 0xffff, tpDst: 0xffff }
  t.same(exactMask({ tunnel: { dst: '1.2.3.4', ttl: 64, csum: true } }).tunnel, {
    ...ones,
    src: '255.255.255.255',
    dst: '255.255.255.255',
    csum: true,
  })
  const all = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  t.same(
    exactMask({
      tunnel: {
        ipv6Dst: 'fe80::1',
        ttl: 64,
        geneve: Uint8Array.of(1, 2, 3, 0),
        vxlan: { gbp: 5 },
        unknown: [{ id: 99, data: Uint8Array.of(7) }],
      },
    }).tunnel,
    {
      ...ones,
      ipv6Src: all,
      ipv6Dst: all,
      geneve: new Uint8Array(4).fill(0xff),
      vxlan: { gbp: 0xffffffff },
      unknown: [{ id: 99, data: Uint8Array.of(0xff) }],
    },
  )
})

t.test('what aligns the id of a tunnel says nothing', async (t) => {
  const writer = new Writer()
  const at = writer.begin(flowKey.ids.tunnel)
  // Linux without efficient unaligned access, as in user mode, puts it before the id (nla_put_64bit()).
  writer.attribute(14, 0)
  writer.attribute(0, 8)
  writer.end(at)
  t.same(flowKey.read(writer.bytes, 0, writer.length), { tunnel: { id: 0n } })
})
