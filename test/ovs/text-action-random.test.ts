import { spawnSync } from 'node:child_process'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { Writer } from '../../lib/netlink/writer.js'
import { actionList } from '../../lib/ovs/action.js'
import { formatActions, parseActions } from '../../lib/ovs/text.js'
import type { Action } from '../../types/action.js'
import { allKinds, type Kind, Random, randomActions, seedOf, unread } from '../fixtures/random-actions.js'

const COUNT = 4000
const seed = seedOf()
t.comment(`SEED=${seed} gives the same actions again`)

t.test('what is written is read: object, bytes, object', async (t) => {
  for (const actions of lists(1, COUNT)) {
    const bytes = encode(actions)
    if (!isDeepStrictEqual(decode(bytes), actions)) t.same(decode(bytes), actions)
    if (!isDeepStrictEqual(encode(decode(bytes)), bytes)) t.same(encode(decode(bytes)), bytes)
  }
  t.pass(`${COUNT} lists`)
})

t.test('what is printed is read: object, text, object', async (t) => {
  for (const actions of lists(2, COUNT)) {
    const text = formatActions(actions)
    const read = parseActions(text)
    if (!isDeepStrictEqual(read, actions)) t.same(read, actions, text)
    if (formatActions(read) !== text) t.equal(formatActions(read), text)
  }
  t.pass(`${COUNT} lists`)
})

t.test('every kind of action came up', async (t) => {
  const kinds = new Set(
    lists(1, COUNT).flatMap((actions) => actions.flatMap((action) => Object.keys(action))),
  )
  t.same([...kinds].sort(), [...allKinds].sort())
})

t.test(
  'bytes that are no actions are BAD_MESSAGE, and what is read from others can be printed and written',
  async (t) => {
    const random = new Random(seed + 3)
    let refused = 0
    for (const actions of lists(4, COUNT)) {
      const bytes = spoil(random, encode(actions))
      let read: Action[]
      try {
        read = decode(bytes)
      } catch (error) {
        if (!(error instanceof DpifError) || error.code !== 'BAD_MESSAGE') throw error
        refused++
        continue
      }
      const again = encode(read)
      if (!Buffer.from(encode(decode(again))).equals(again)) t.same(encode(decode(again)), again)
      const text = formatActions(read)
      try {
        parseActions(text)
      } catch (error) {
        if (!(error instanceof DpifError) || error.code !== 'SYNTAX') throw error
      }
    }
    t.ok(refused > COUNT / 4 && refused < COUNT, `${refused} were refused`)
  },
)

t.test('text that is none is SYNTAX', async (t) => {
  const random = new Random(seed + 5)
  let refused = 0
  for (const actions of lists(6, COUNT)) {
    const text = Buffer.from(formatActions(actions), 'latin1')
    const spoiled = Buffer.from(
      spoil(random, text, () => random.pick([...'(),=/-:|0159afx[] %.'].map((c) => c.charCodeAt(0)))),
    )
    try {
      formatActions(parseActions(spoiled.toString('latin1')))
    } catch (error) {
      if (error instanceof DpifError && error.code === 'SYNTAX') refused++
      else t.error(error, spoiled.toString('latin1'))
    }
  }
  t.ok(refused > COUNT / 4 && refused < COUNT, `${refused} were refused`)
})

const version = spawnSync('ovs-dpctl', ['--version'], { encoding: 'utf8' }).stdout ?? ''
const skip = version.includes('3.1.') ? false : 'needs ovs-dpctl 3.1'

t.test('ovs-dpctl prints what we print', { skip }, async (t) => {
  const kinds = allKinds.filter((kind) => !unread.includes(kind))
  const texts = lists(7, COUNT, kinds).map((actions) => formatActions(actions))
  for (let at = 0; at < texts.length; at += 200) {
    const some = texts.slice(at, at + 200)
    // It stops at the first that it cannot read; then each is asked for by itself.
    const printed = ask(some) ?? some.flatMap((text) => ask([text]) ?? 'refused')
    for (const [index, text] of some.entries()) if (printed[index] !== text) t.equal(printed[index], text)
  }
  t.ok(texts.join().length > 100_000, 'and that is not little')
})

function ask(texts: readonly string[]): string[] | undefined {
  const { stdout, stderr } = spawnSync('ovs-dpctl', ['parse-actions', '--', ...texts.map(readable)], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  return stderr === '' ? stdout.trimEnd().split('\n') : undefined
}

/** The same in words OVS reads: it does not read all that it prints. */
function readable(text: string): string {
  return text
    .replace(/recirc\(0x([0-9a-f]+)\)/g, (_, digits: string) => `recirc(${Number.parseInt(digits, 16)})`)
    .replace(/(clone|actions)\(drop\)/g, '$1()')
    .replaceAll(',md2=0)', ')')
    .replace(/slow_path\(([^)]*)\)/g, (_, reasons: string) => `slow_path(${reasons.replaceAll(',', '|')})`)
    .replace(/^drop$/, '')
}

function lists(salt: number, count: number, kinds: readonly Kind[] = allKinds): Action[][] {
  const random = new Random(seed + salt * 0x10001)
  return Array.from({ length: count }, () => randomActions(random, 5, { kinds }))
}

function encode(actions: readonly Action[]): Uint8Array {
  const writer = new Writer()
  actionList.write(writer, actions)
  return writer.take()
}

function decode(bytes: Uint8Array): Action[] {
  return actionList.read(bytes, 0, bytes.length)
}

/** A few bytes changed, sometimes cut short. */
function spoil(random: Random, whole: Uint8Array, byte: () => number = () => random.bits(8)): Uint8Array {
  const bytes = whole.slice(0, random.maybe() ? whole.length : random.upTo(whole.length))
  for (let turn = random.between(1, 4); turn > 0 && bytes.length > 0; turn--) {
    bytes[random.upTo(bytes.length - 1)] = byte()
  }
  return bytes
}
