import t from 'tap'
import { u16 } from '../../lib/netlink/integers.js'
import { Writer } from '../../lib/netlink/writer.js'
import { AttributeCursor, NESTED } from '../../lib/netlink/reader.js'
import { actionEnvelope, actionKinds, type TcAction, tcActions } from '../../lib/tc/action/index.js'
import { jumpOf } from '../../lib/tc/action/kind.js'
import { ADD, isKnownWord, peditFields, peditKeys } from '../../lib/tc/action/pedit.js'
import { tunnelKey } from '../../lib/tc/action/tunnel-key.js'

function bytesOf(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer()
  write(writer)
  return writer.take()
}

t.test('every option of every kind survives bytes', async (t) => {
  for (const { kind, options } of actionKinds) {
    for (const sample of options.samples) {
      const action = { kind, options: sample } as TcAction
      const bytes = bytesOf((writer) => tcActions.write(writer, [action]))
      t.match(tcActions.read(bytes, 0, bytes.length), [action], `${kind} ${Object.keys(sample)}`)
    }
  }
})

t.test('the kinds that insist on it get their options marked as nested, the others do not', async (t) => {
  for (const { kind, nested } of actionKinds) {
    const bytes = bytesOf((writer) => tcActions.write(writer, [{ kind, options: {} } as TcAction]))
    const list = new AttributeCursor(bytes, 0, bytes.length)
    list.next()
    const action = list.nested()
    action.seek(actionEnvelope.ids.options)
    const type = u16.take(bytes, action.start - 2)
    t.equal((type & NESTED) !== 0, nested === true, kind)
  }
  t.same(
    actionKinds.filter(({ nested }) => nested).map(({ kind }) => kind),
    ['ct', 'mpls'],
  )
})

// The kernel takes an attribute for each option and reports one with all of them (tunnel_key_geneve_opts_dump()).
t.test('GENEVE options are read from one attribute and from many', async (t) => {
  const one =
    '2c00 0100 0600 0100 0102 0000 0500 0200 80 000000 0800 0300 09090909 0600 0100 ffff 0000 0500 0200 01 000000 0c00 0300 0807060504030201'
  const inner = Buffer.from(one.replaceAll(' ', ''), 'hex')
  inner.writeUInt16LE(inner.length, 0)
  const bytes = bytesOf((writer) => {
    const at = writer.begin(tunnelKey.options.ids.encap)
    writer.append(inner)
    writer.end(at)
  })
  const geneve = [
    { class: 0x102, type: 0x80, data: Uint8Array.of(9, 9, 9, 9) },
    { class: 0xffff, type: 1, data: Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1) },
  ]
  t.same(tunnelKey.options.read(bytes, 0, bytes.length), { encap: { geneve } })
})

t.test('a jump is told by its upper four bits', async (t) => {
  t.equal(jumpOf(0x10000005, 'JUMP'), 5)
  t.equal(jumpOf(0x20000005, 'JUMP'), undefined)
  t.equal(jumpOf(0x2fffffff, 'GOTO_CHAIN'), 0x0fffffff)
  for (const verdict of [-1, 0, 3, 8, 0x30000001]) {
    t.equal(jumpOf(verdict, 'JUMP') ?? jumpOf(verdict, 'GOTO_CHAIN'), undefined, `${verdict}`)
  }
})

t.test('a word is known when all it writes is in fields', async (t) => {
  for (const field of peditFields) {
    for (const key of peditKeys(field, field.codec.zero, field.codec.ones))
      t.ok(isKnownWord(key), field.attribute)
  }
  const key = { header: 2, offset: 8, mask: 0x00ffffff, value: 0 }
  t.ok(isKnownWord(key), 'the TTL')
  t.notOk(isKnownWord({ ...key, mask: 0 }), 'with protocol and checksum')
  t.notOk(isKnownWord({ ...key, header: 2 + ADD }), 'added to')
  t.notOk(isKnownWord({ ...key, header: 0 }), 'of no header')
  t.notOk(isKnownWord({ ...key, indirect: true }), 'somewhere else')
})
