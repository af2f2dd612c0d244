import fc from 'fast-check'
import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { beginMessage, endMessage, flags } from '../../lib/netlink/message.js'
import { messagesOf } from '../../lib/netlink/reader.js'
import type { AttributeSet } from '../../lib/netlink/table.js'
import { Writer } from '../../lib/netlink/writer.js'
import { actionList, nestedSets } from '../../lib/ovs/action.js'
import { datapath } from '../../lib/ovs/datapath.js'
import { flow } from '../../lib/ovs/flow.js'
import { flowKey, nshKey, tunnelKey, vxlanKey } from '../../lib/ovs/key.js'
import { vport } from '../../lib/ovs/vport.js'
import { actionEnvelope, actionKinds } from '../../lib/tc/action/index.js'
import { flower } from '../../lib/tc/flower.js'
import { tcMessage } from '../../lib/tc/message.js'

const sets = [
  datapath.body,
  vport.body,
  flow.body,
  flowKey,
  tunnelKey,
  vxlanKey,
  nshKey,
  actionList.set,
  ...nestedSets,
  flower,
  actionEnvelope,
  tcMessage.body,
  ...actionKinds.map(({ options }) => options),
] as AttributeSet<object>[]

const encode = (set: { write(writer: Writer, value: never): void }, value: unknown) => {
  const writer = new Writer(1)
  set.write(writer, value as never)
  return writer.take()
}

t.test('an element of a list is one attribute, whatever was looked up before it', async (t) => {
  const rowOf = (element: object) => actionList.rowOf(element as never)?.name
  for (let turn = 0; turn < 2; turn++) {
    t.equal(rowOf({ output: 2 }), 'output')
    t.equal(rowOf({ output: undefined }), 'output')
    t.throws(() => rowOf({ output: 2, popVlan: true }), /\{ output, popVlan \} is not one of/)
    t.throws(() => rowOf({}), /is not one of/)
    t.equal(rowOf({ popVlan: true }), 'popVlan')
    t.throws(() => rowOf({ popVlan: true, output: 2 }), /is not one of/)
    t.equal(rowOf({ unknown: [] }), undefined)
    t.throws(() => rowOf({}), /is not one of/, 'nothing is not what has no row')
  }
})

t.test('every row of every table survives bytes', async (t) => {
  for (const set of sets) {
    const numbers = set.rows.map(({ id }) => id)
    t.equal(new Set(numbers).size, numbers.length, `${set.name}: every number once`)
    for (const sample of set.samples) {
      const bytes = encode(set, sample)
      t.equal(bytes.length % 4, 0, 'attributes are padded')
      const read = set.read(bytes, 0, bytes.length)
      t.same(encode(set, read), bytes, `${set.name} ${Object.keys(sample)[0]} gives the same bytes again`)
    }
  }
})

t.test('what has no row is kept, and written behind the others', async (t) => {
  const key = { inPort: 1, unknown: [{ id: 99, data: Uint8Array.of(1, 2, 3) }] }
  const bytes = encode(flowKey, key)
  t.same(flowKey.read(bytes, 0, bytes.length), key)
  const list = [{ unknown: [{ id: 77, data: Uint8Array.of(9) }] }, { output: 3 }]
  const actions = encode(actionList, list)
  t.same(actionList.read(actions, 0, actions.length), list, 'in a list at its place')
})

t.test('nested, masked and repeated attributes', async (t) => {
  const key = { etherType: 0x8100, vlan: { vid: 1, pcp: 2, cfi: 1 }, encap: { etherType: 0x0800 } }
  const bytes = encode(flowKey, key)
  t.same(flowKey.read(bytes, 0, bytes.length), key)
  const list = [
    { output: 1 },
    { setMasked: { key: { udp: { src: 0, dst: 53 } }, mask: { udp: { src: 0, dst: 0xffff } } } },
    { output: 1 },
  ]
  const actions = encode(actionList, list)
  t.same(actionList.read(actions, 0, actions.length), list)
})

t.test('an error names the way to the attribute and the value', async (t) => {
  t.throws(() => encode(flowKey, { encap: { ipv4: { src: '10.0.0' } } }), {
    message: /^encap: ipv4: '10.0.0' is not/,
  })
  t.throws(() => encode(actionList, [{ output: 1, popVlan: true }]), { message: /output, popVlan/ })
  t.throws(() => encode(actionList, [{ teleport: 1 }]), { message: /teleport.*output/ })
  t.throws(() => encode(actionList, [{ set: { tcp: {}, udp: {} } }]), { message: /exactly one header/ })
  const short = Uint8Array.of(6, 0, flowKey.ids.inPort, 0, 1, 2, 0, 0)
  t.throws(() => flowKey.read(short, 0, 8), {
    code: 'BAD_MESSAGE',
    path: 'inPort',
    message: 'inPort: 2 bytes where 4 belong',
  })
  const nested = Uint8Array.of(12, 0, flowKey.ids.encap, 0, ...short)
  t.throws(() => flowKey.read(nested, 0, 12), {
    path: 'encap.inPort',
    message: 'encap.inPort: 2 bytes where 4 belong',
  })
})

t.test('an offset of the kernel is a path', async (t) => {
  const body = { key: { inPort: 1, ethernet: { src: '00:00:00:00:00:01' } }, actions: [] }
  const bytes = encode(flow.body, body)
  const at = bytes.findIndex((_, index) => bytes[index] === 16 && bytes[index + 2] === flowKey.ids.ethernet)
  t.equal(flow.body.pathAt(bytes, 0, bytes.length, at), 'key.ethernet')
})

t.test('a buffer that grows while a value is written loses nothing', async (t) => {
  for (let capacity = 1; capacity < 200; capacity += 7) {
    const writer = new Writer(capacity)
    const at = beginMessage(writer, 7, flags.CREATE)
    writer.append(Uint8Array.of(1, 2, 3))
    for (const row of flow.body.rows) flow.body.write(writer, { [row.name]: row.codec.samples[0] } as never)
    endMessage(writer, at)
    const [message] = [...messagesOf(writer.take())]
    t.equal(message?.end, writer.length)
    t.same(message?.bytes.subarray(16, 19), Uint8Array.of(1, 2, 3))
  }
})

t.test('lengths that come from outside are not believed', async (t) => {
  const whole = encode(flow.body, {
    ufid: new Uint8Array(16),
    key: { inPort: 1, etherType: 0x0800, ipv4: { src: '1.2.3.4' } },
    actions: [{ output: 2 }, { pushVlan: { vid: 7 } }],
    stats: { packets: 1n, bytes: 2n },
  })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }),
      fc.nat(whole.length),
      (changes, length) => {
        const bytes = whole.slice(0, length)
        for (const [at, value] of changes) if (at < length) bytes[at] = value
        try {
          flow.body.read(bytes, 0, bytes.length)
        } catch (error) {
          if (!(error instanceof DpifError) || error.code !== 'BAD_MESSAGE') throw error
        }
      },
    ),
    { numRuns: 20_000 },
  )
  t.throws(() => [...messagesOf(Uint8Array.of(255, 0, 0, 0, ...new Uint8Array(12)))], { code: 'BAD_MESSAGE' })
  t.throws(() => [...messagesOf(new Uint8Array(7))], { code: 'BAD_MESSAGE' })
})
