import fc from 'fast-check'
import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { LITTLE } from '../../lib/netlink/writer.js'
import {
  formatUfid,
  ParsedUfid,
  parseUfid,
  putUfid,
  UfidInBytes,
  ufidOfKey,
  ufidToBytes,
} from '../../lib/ovs/ufid.js'

const toBytes = (ufid: string) => ufidToBytes(new ParsedUfid(ufid))
const fromBytes = (bytes: Uint8Array, at = 0) => new UfidInBytes(bytes, at).ufid

const ufid = '3f2a9c10-0123-4567-89ab-cdef01234567'
// biome-ignore format: one word per line
const words = [
  0x10, 0x9c, 0x2a, 0x3f, // 3f2a9c10
  0x67, 0x45, 0x23, 0x01, // 0123-4567
  0xef, 0xcd, 0xab, 0x89, // 89ab-cdef
  0x67, 0x45, 0x23, 0x01, // 01234567
]

t.test('a ufid is four words in the order of the machine', { skip: !LITTLE && 'big-endian' }, async (t) => {
  t.same(toBytes(ufid), Uint8Array.from(words))
  t.equal(fromBytes(Uint8Array.from(words)), ufid)
})

t.test('it can lie anywhere', async (t) => {
  const bytes = new Uint8Array(20).fill(0xee)
  putUfid(bytes, 3, new ParsedUfid(ufid))
  t.equal(fromBytes(bytes, 3), ufid)
  t.same([...bytes.subarray(0, 3), ...bytes.subarray(19)], [0xee, 0xee, 0xee, 0xee])
  t.throws(() => fromBytes(bytes, 5), new DpifError('BAD_MESSAGE', '15 bytes where a ufid of 16 belongs'))
})

t.test('all bytes go to text and back', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const text = fromBytes(bytes)
      return (
        parseUfid(text.toUpperCase()) === text && toBytes(text).every((byte, index) => byte === bytes[index])
      )
    }),
  )
})

t.test('upper case is read, too', async (t) => {
  t.same(toBytes(ufid.toUpperCase()), toBytes(ufid))
  t.equal(new ParsedUfid(ufid.toUpperCase()).ufid, ufid, 'and told in lower case')
  const { w0, w1, w2, w3 } = new ParsedUfid(ufid)
  t.same({ ...new UfidInBytes(toBytes(ufid), 0) }, { w0, w1, w2, w3 })
})

t.test('text that is no ufid is refused with its value', async (t) => {
  // biome-ignore format: one value per line
  for (const wrong of [
    '', 'x', ufid.slice(1), `${ufid}0`, ufid.replace('-', '0'), ufid.replace('a', 'g'), ufid.replace('a', '\u0161'),
    ufid.replace('a', '\u0131'), ufid.replaceAll('-', ''),
  ]) {
    t.throws(() => toBytes(wrong), new TypeError(`'${wrong}' is not a ufid like 3f2a9c10-0000-4000-8000-0123456789ab`))
    t.throws(() => parseUfid(wrong), { code: 'SYNTAX' })
  }
})

t.test('the prefix is optional when read and always printed', async (t) => {
  t.equal(formatUfid(ufid), `ufid:${ufid}`)
  t.equal(parseUfid(`ufid:${ufid}`), ufid)
  t.equal(parseUfid(ufid), ufid)
})

t.test('the same key has the same ufid in every process', async (t) => {
  const key = Uint8Array.of(8, 0, 3, 0, 1, 0, 0, 0)
  // printf '\x08\0\x03\0\x01\0\0\0' | sha256sum, with the bits of version 4.
  t.equal(ufidOfKey(key), '45664867-369e-4354-9d9b-bb8696239a5f')
  t.not(ufidOfKey(Uint8Array.of(8, 0, 3, 0, 2, 0, 0, 0)), ufidOfKey(key))
  for (let index = 0; index < 50; index++) {
    t.match(
      ufidOfKey(Uint8Array.of(index)),
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  }
})
