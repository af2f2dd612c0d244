import { isDeepStrictEqual as alike } from 'node:util'
import t from 'tap'
import type { Scalar } from '../../lib/netlink/codec.js'
import { Scanner } from '../../lib/netlink/scanner.js'
import { Writer } from '../../lib/netlink/writer.js'
import { matchRows } from '../../lib/tc/match.js'
import { fieldOf, readParts, taker, writeRow } from '../../lib/tc/match-row.js'
import type { FlowKey } from '../../types/flow.js'
import { Random, seedOf } from '../fixtures/random-actions.js'
import { Cases } from './cases.js'
import { anyValue, encode, randomObject, randomScalar, spoken, tables } from './tables.js'

// Every row of every table, with values of chance: what is written is read.

t.setTimeout(0)

const random = new Random(seedOf())
t.comment(`SEED=${seedOf()} gives the same cases again`)

t.test('object, bytes, object', async (t) => {
  const cases = new Cases('objectBytesObject')
  while (cases.open) {
    for (const table of tables) {
      const object = randomObject(random, table)
      const bytes = encode(table, object)
      const read = table.read(bytes, 0, bytes.length)
      const again = encode(table, read)
      // A value may have several spellings, so the second writing has to be the first.
      cases.add(
        () => `${table.name} ${JSON.stringify(Object.keys(object))}`,
        Buffer.compare(bytes, again) === 0,
      )
    }
  }
  cases.report(t)
})

t.test('bytes, text, bytes', async (t) => {
  const cases = new Cases('bytesTextBytes')
  while (cases.open) {
    for (const { name, codec } of spoken) {
      const value = randomScalar(random, codec)
      const [bytes, again] = [new Uint8Array(codec.size), new Uint8Array(codec.size)]
      codec.put(bytes, 0, value)
      const text = codec.format(codec.take(bytes, 0))
      const scanner = new Scanner(text)
      codec.put(again, 0, codec.parse(scanner))
      cases.add(() => `${name}: ${text}`, scanner.done && Buffer.compare(bytes, again) === 0)
    }
  }
  cases.report(t)
})

/** What of a value a mask lets count. */
function underMask(codec: Scalar<unknown>, value: unknown, bits: unknown): unknown {
  const [bytes, mask] = [value, bits].map((part) => {
    const into = new Uint8Array(codec.size)
    codec.put(into, 0, part)
    return into
  }) as [Uint8Array, Uint8Array]
  const both = bytes.map((byte, at) => byte & (mask[at] as number))
  return codec.read(both, 0, both.length)
}

t.test('keys under masks of chance', async (t) => {
  const cases = new Cases('randomMasks')
  while (cases.open) {
    for (const row of matchRows) {
      // Sixteen bits of which flower keeps eight; in test/tc/match-torture.test.ts.
      if (row.part === 'op') continue
      const { attribute, part, codec, maskId } = row
      // Of a tunnel's id flower has half the bits, all of which are matched.
      const value = anyValue(random, codec)
      const bits = maskId === undefined ? codec.ones : randomScalar(random, codec)
      const of = (field: unknown): FlowKey => ({
        [attribute]: part === undefined ? field : { [part]: field },
      })
      const writer = new Writer(64)
      writeRow(writer, row, of(value), of(bits))
      const read = readParts([row], taker(writer.take()))
      const counts = bits !== codec.zero
      const [key, mask] = [read.key[part ?? ''], read.mask[part ?? '']]
      const seen = maskId === undefined ? value : underMask(codec, value, bits)
      const fine = counts ? alike([key, mask], [seen, bits]) : alike(mask, codec.zero)
      cases.add(() => `${row.uapi}: ${String(fieldOf(of(value), row))}/${String(bits)}`, fine)
    }
    for (const { name, codec } of spoken) {
      const [value, bits] = [randomScalar(random, codec), randomScalar(random, codec)]
      const scanner = new Scanner(`${codec.format(value)}/${codec.formatMask(bits)}`)
      const parsed = codec.parse(scanner)
      scanner.expect('/')
      const parsedMask = codec.parseMask(scanner)
      cases.add(() => `${name}: ${scanner.text}`, scanner.done && alike([parsed, parsedMask], [value, bits]))
    }
  }
  cases.report(t)
})
