import t from 'tap'
import { Writer } from '../../lib/netlink/writer.js'
import { actionList } from '../../lib/ovs/action.js'
import { flowKey } from '../../lib/ovs/key.js'
import type { Action } from '../../types/action.js'

const encode = (actions: readonly Action[]): Uint8Array => {
  const writer = new Writer()
  actionList.write(writer, actions)
  return writer.take()
}
const decode = (bytes: Uint8Array): Action[] => actionList.read(bytes, 0, bytes.length)

/** The numbers of the attributes in the first action, in the order of their bytes. */
function idsWithin(action: Action): number[] {
  const bytes = encode([action])
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const ids: number[] = []
  for (let at = 4; at < bytes.length; at += (view.getUint16(at, true) + 3) & ~3)
    ids.push(view.getUint16(at + 2, true))
  return ids
}

t.test('a commit stands before the translation that needs it', async (t) => {
  const nat = { src: true, ipMin: '10.0.0.1' } as const
  t.same(idsWithin({ ct: { nat, forceCommit: true } }), [7, 6])
  t.same(idsWithin({ ct: { nat, timeout: 'a', zone: 1, commit: true } }), [1, 2, 9, 6])
})

t.test('a header is set in part: value, then mask, inside the nest where it is one', async (t) => {
  const mpls: Action = {
    setMasked: {
      key: { mpls: [{ label: 1, tc: 0, ttl: 0, bos: 0 }] },
      mask: { mpls: [{ label: 0xfffff, tc: 0, ttl: 0, bos: 0 }] },
    },
  }
  t.same(decode(encode([mpls])), [mpls])
  const zeros = { flags: 0, ttl: 0, mdtype: 0, np: 0, spi: 0, si: 0 }
  const nsh: Action = {
    setMasked: {
      key: { nsh: { base: { ...zeros, ttl: 7 } } },
      mask: { nsh: { base: { ...zeros, ttl: 63 } } },
    },
  }
  // struct ovs_nsh_key_base twice in OVS_NSH_KEY_ATTR_BASE, in OVS_KEY_ATTR_NSH, in OVS_ACTION_ATTR_SET_MASKED.
  t.same(
    [...encode([nsh])],
    [28, 0, 11, 0, 24, 0, 28, 0, 20, 0, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 63, 0, 0, 0, 0, 0, 0],
  )
  t.same(decode(encode([nsh])), [nsh])
})

t.test('a header to push is a nest of its own', async (t) => {
  // What ovs-dpctl 3.1.0 has in memory for push_nsh(mdtype=2): OVS_NSH_KEY_ATTR_BASE in OVS_KEY_ATTR_NSH in OVS_ACTION_ATTR_PUSH_NSH.
  const base = { flags: 0, ttl: 63, mdtype: 2, np: 3, spi: 0, si: 255 }
  const bytes = [20, 0, 17, 0, 16, 0, 28, 0, 12, 0, 1, 0, 0, 63, 2, 3, 0, 0, 0, 255]
  t.same([...encode([{ pushNsh: { base } }])], bytes)
  t.same(decode(Uint8Array.from(bytes)), [{ pushNsh: { base } }])
  t.throws(() => decode(Uint8Array.of(4, 0, 17, 0)), { code: 'BAD_MESSAGE' })
  t.throws(() => decode(Uint8Array.of(8, 0, 17, 0, 4, 0, 1, 0)), { code: 'BAD_MESSAGE' })
})

t.test('a set is about exactly one header', async (t) => {
  const refused: Action[] = [
    { set: {} },
    { set: { tcp: {}, udp: {} } },
    { set: { unknown: [] } },
    { setMasked: { key: { tcp: {} }, mask: { udp: {} } } },
    { setMasked: { key: { tunnel: { ttl: 1 } }, mask: { tunnel: { ttl: 1 } } } },
  ]
  for (const action of refused) t.throws(() => encode([action]), TypeError)
  t.throws(() => decode(Uint8Array.of(4, 0, 3, 0)), {
    code: 'BAD_MESSAGE',
    message: 'set: a set of 0 headers; it takes one',
  })
  t.throws(() => decode(Uint8Array.of(4, 0, 11, 0)), { code: 'BAD_MESSAGE' })
})

t.test('a header without a row is set as bytes', async (t) => {
  const data = Uint8Array.of(1, 2, 3, 4)
  const list: Action[] = [
    { set: { unknown: [{ id: 77, data }] } },
    { setMasked: { key: { unknown: [{ id: 77, data }] }, mask: { unknown: [{ id: 77, data }] } } },
  ]
  t.same(decode(encode(list)), list)
  // A tunnel in part is nothing the kernel knows; it stays what it was.
  const tunnel = Uint8Array.of(12, 0, 11, 0, 8, 0, flowKey.ids.tunnel, 0, 1, 2, 3, 4)
  t.same(encode(decode(tunnel)), tunnel)
})

t.test('names have their length', async (t) => {
  t.throws(() => encode([{ ct: { helper: 'x'.repeat(16) } }]), {
    message: /^ct: helper: 'x+' is longer than 15$/,
  })
  t.throws(() => encode([{ ct: { timeout: 'x'.repeat(32) } }]), RangeError)
  t.throws(() => encode([{ ct: { helper: 'a\0b' } }]), TypeError)
  t.throws(() => encode([{ psample: { group: 1, cookie: new Uint8Array(17) } }]), RangeError)
  t.throws(() => decode(Uint8Array.of(12, 0, 12, 0, 7, 0, 5, 0, 102, 116, 112, 0)), {
    code: 'BAD_MESSAGE',
    path: 'ct.helper',
  })
})

t.test('an address has four bytes or sixteen', async (t) => {
  for (const ipMin of ['10.0.0.1', 'fe80::1']) {
    const list: Action[] = [{ ct: { nat: { src: true, ipMin } } }]
    t.same(decode(encode(list)), list)
  }
  t.throws(() => decode(Uint8Array.of(16, 0, 12, 0, 12, 0, 6, 0, 8, 0, 3, 0, 1, 2, 3, 4).with(8, 7)), {
    code: 'BAD_MESSAGE',
    path: 'ct.nat.ipMin',
  })
})

t.test('lists lie in one another as deep as OVS takes them, and no deeper', async (t) => {
  const nested = (depth: number): Action => (depth === 0 ? { output: 1 } : { clone: [nested(depth - 1)] })
  t.same(decode(encode([nested(30)])), [nested(30)])
  t.throws(() => encode([nested(31)]), RangeError)
  const self: Action[] = []
  self.push({ clone: self })
  t.throws(() => encode(self), RangeError, 'nor for ever')
  // 16,000 headers of OVS_ACTION_ATTR_CLONE, each with all that follow in it.
  const bytes = new Uint8Array(64_000)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < bytes.length; at += 4) {
    view.setUint16(at, bytes.length - at, true)
    view.setUint16(at + 2, 20, true)
  }
  t.throws(() => decode(bytes), { code: 'BAD_MESSAGE', message: /nested deeper than 30 levels$/ })
  t.same(decode(encode([nested(30)])), [nested(30)], 'and then again')
  for (let at = 0; at < bytes.length; at += 4) view.setUint16(at + 2, flowKey.ids.encap, true)
  t.throws(() => flowKey.read(bytes, 0, bytes.length), {
    code: 'BAD_MESSAGE',
    message: /nested deeper than 32 levels$/,
  })
})

t.test('a flag that carries something is kept as it is', async (t) => {
  const bytes = Uint8Array.of(8, 0, 5, 0, 1, 2, 3, 4)
  t.same(encode(decode(bytes)), bytes)
})
