import { isDeepStrictEqual as alike } from 'node:util'
import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { AttributeIndex, messagesOf } from '../../lib/netlink/reader.js'
import { readMatch } from '../../lib/tc/match.js'
import { Random, seedOf } from '../fixtures/random-actions.js'
import { Cases } from './cases.js'
import { decoders, encode, randomObject, tables } from './tables.js'

/*
 * Bytes that were changed or cut short. Each lies in the middle of a larger buffer, once among one sort of rubbish and once among another:
 * a decoder that read outside of its bounds would read something else the second time. Whatever it says, it says twice, and it throws
 * nothing but BAD_MESSAGE.
 */

t.setTimeout(0)

const random = new Random(seedOf() + 2)

const MARGIN = 64
const SIZE = 4096
const [first, second] = [new Uint8Array(SIZE).fill(0xff), new Uint8Array(SIZE).fill(0x04)]

/** What a decoder says of `bytes` that lie among rubbish, or the message of its refusal. */
function said(
  room: Uint8Array,
  filler: number,
  bytes: Uint8Array,
  read: (room: Uint8Array, from: number, to: number) => unknown,
): unknown {
  room.set(bytes, MARGIN)
  const end = MARGIN + bytes.length
  room.fill(filler, end)
  try {
    return read(room, MARGIN, end)
  } catch (error) {
    if (error instanceof DpifError && error.code === 'BAD_MESSAGE') return error.message
    return { strange: error }
  }
}

/** Some bytes changed, often where lengths and numbers are, and the end sometimes cut off. */
function spoil(bytes: Uint8Array): Uint8Array {
  const spoiled = random.upTo(2) === 0 ? bytes.slice(0, random.upTo(bytes.length)) : bytes.slice()
  if (spoiled.length === 0) return spoiled
  for (let turn = random.upTo(2); turn >= 0; turn--) {
    const at = random.upTo(spoiled.length - 1)
    spoiled[random.maybe() ? at : at & ~3] = random.maybe() ? random.upTo(255) : random.upTo(16)
  }
  return spoiled
}

const isStrange = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'strange' in value

t.test('a decoder believes no length and looks at nothing outside', async (t) => {
  const cases = new Cases('hostileBytes')
  /** For every decoder some messages that were right once. */
  const seeds = new Map(
    decoders.map(({ name, codec }) => [name, codec.samples.map((sample) => encode(codec, sample))]),
  )
  for (const table of tables) {
    for (let count = 0; count < 12; count++)
      seeds.get(table.name)?.push(encode(table, randomObject(random, table)))
  }
  const readers = [
    ...decoders.map(({ name, codec }) => ({
      name,
      read: (room: Uint8Array, from: number, to: number): unknown => codec.read(room, from, to),
    })),
    {
      name: 'match of flower',
      read: (room: Uint8Array, from: number, to: number): unknown =>
        readMatch(0x0800, new AttributeIndex(room, from, to)),
    },
    {
      name: 'messages',
      read: (room: Uint8Array, from: number, to: number): unknown =>
        [...messagesOf(room.subarray(from, to))].map(({ type, start, end }) => [type, start, end]),
    },
  ]
  const all = [...seeds.values()]
    .flat()
    .filter((bytes) => bytes.length > 0 && bytes.length < SIZE - 2 * MARGIN)
  let refused = 0
  while (cases.open) {
    for (const { name, read } of readers) {
      const own = seeds.get(name) ?? all
      const bytes = spoil(random.pick(own.length > 0 && random.upTo(9) > 0 ? own : all))
      if (bytes.length > SIZE - 2 * MARGIN) continue
      const one = said(first, 0xff, bytes, read)
      const other = said(second, 0x04, bytes, read)
      if (typeof one === 'string') refused++
      const same = typeof one === 'string' ? one === other : alike(one, other)
      cases.add(
        () =>
          `${name} of ${Buffer.from(bytes).toString('hex')}: ${String((one as { strange?: unknown }).strange ?? 'differs')}`,
        same && !isStrange(one),
      )
    }
  }
  t.ok(refused > 50_000, `${refused} were refused`)
  cases.report(t)
})
