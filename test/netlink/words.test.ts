import t from 'tap'
import { Words } from '../../lib/netlink/words.js'
import { u16, u32, u64 } from '../../lib/netlink/integers.js'

function message(size: number, ...attributes: (readonly [size: number, id: number])[]): Uint8Array {
  const bytes = new Uint8Array(size)
  u32.put(bytes, 0, size)
  let at = 16
  for (const [length, id] of attributes) {
    u16.put(bytes, at, length)
    u16.put(bytes, at + 2, id)
    at += (length + 3) & ~3
  }
  return bytes
}

t.test('words are in host order, wherever the bytes lie', async (t) => {
  for (const offset of [0, 1, 2, 4]) {
    const bytes = new Uint8Array(offset + 12).subarray(offset)
    u32.put(bytes, 0, 0x89abcdef)
    u64.put(bytes, 4, 0x0123456700000002n)
    const words = new Words(bytes)
    t.equal(words.at(0) >>> 0, 0x89abcdef)
    t.equal(words.low(4), 2)
    t.equal(words.high(4), 0x01234567)
  }
})

t.test('lengths are believed only where they fit', async (t) => {
  const words = new Words(message(28, [9, 0x8003]))
  t.equal(words.messageEnd(0, 16), 28)
  t.equal(words.attributeSize(16, 28), 9)
  t.equal(words.attributeId(16), 3, 'without the flag for nested ones')
  t.throws(() => words.attributeSize(16, 24), { code: 'BAD_MESSAGE' })
  t.throws(() => new Words(message(20, [3, 1])).attributeSize(16, 20), { code: 'BAD_MESSAGE' })
  t.throws(() => words.messageEnd(0, 32), { code: 'BAD_MESSAGE' })
  t.throws(() => words.messageEnd(16, 16), { code: 'BAD_MESSAGE' })
  const short = message(20)
  u32.put(short, 0, 24)
  t.throws(() => new Words(short).messageEnd(0, 16), { code: 'BAD_MESSAGE' })
})
