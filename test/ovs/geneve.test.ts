import fc from 'fast-check'
import t from 'tap'
import { encodeGeneveMask, encodeGeneveOptions, geneveOptions } from '../../lib/index.js'

const data = fc.nat(31).chain((words) => fc.uint8Array({ minLength: words * 4, maxLength: words * 4 }))
const option = data.chain((data) =>
  fc.record({
    class: fc.nat(0xffff),
    type: fc.nat(0xff),
    data: fc.constant(data),
    mask: fc.record({
      class: fc.nat(0xffff),
      type: fc.nat(0xff),
      data: fc.uint8Array({ minLength: data.length, maxLength: data.length }),
    }),
  }),
)

t.test('options survive their bytes, with a mask and without', async (t) => {
  fc.assert(
    fc.property(fc.array(option, { maxLength: 5 }), (options) => {
      const key = encodeGeneveOptions(options)
      const read = geneveOptions(key, encodeGeneveMask(options))
      if (JSON.stringify(read) !== JSON.stringify(options)) throw new Error(JSON.stringify(read))
      for (const { mask } of geneveOptions(key))
        if (mask !== undefined) throw new Error('a mask from nowhere')
    }),
  )
  const options = [{ class: 0x102, type: 0x80, data: Uint8Array.of(0, 0, 0, 10) }]
  // Class, type, length in words, data; in a mask the length is five bits that count.
  t.same(encodeGeneveOptions(options), Uint8Array.of(1, 2, 0x80, 1, 0, 0, 0, 10))
  t.same(encodeGeneveMask(options), Uint8Array.of(0xff, 0xff, 0xff, 0x1f, 0xff, 0xff, 0xff, 0xff))
})

t.test('what no option can be is refused', async (t) => {
  t.throws(() => geneveOptions(Uint8Array.of(1, 2, 3, 1)), {
    code: 'BAD_MESSAGE',
    message: 'a GENEVE option of 8 bytes at offset 0, with 4 left',
  })
  t.throws(() => geneveOptions(Uint8Array.of(1, 2)), { code: 'BAD_MESSAGE' })
  t.throws(() => geneveOptions(new Uint8Array(4), new Uint8Array(8)), { code: 'BAD_MESSAGE' })
  const bad = { class: 1, type: 1, data: new Uint8Array(3) }
  t.throws(() => encodeGeneveOptions([bad]), RangeError)
  t.throws(() => encodeGeneveOptions([{ ...bad, data: new Uint8Array(128) }]), RangeError)
  t.throws(() => encodeGeneveOptions([{ ...bad, type: 256, data: new Uint8Array(0) }]), RangeError)
  t.throws(() => encodeGeneveOptions([{ ...bad, class: 65536, data: new Uint8Array(0) }]), RangeError)
  const mask = { class: 1, type: 1, data: new Uint8Array(8) }
  t.throws(() => encodeGeneveMask([{ ...bad, data: new Uint8Array(4), mask }]), RangeError)
})
