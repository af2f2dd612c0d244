import t from 'tap'
import { create } from '../create.js'
import { OvsBackend } from '../../../lib/backend/ovs/flows.js'
import { messagesOf } from '../../../lib/netlink/reader.js'
import { ParsedUfid, ufidOfWords } from '../../../lib/ovs/ufid.js'
import { viewOf } from '../../../lib/ovs/view.js'
import type { Transport } from '../../../types/transport.js'

// nlmsghdr, genlmsghdr, ovs_header, then the header of OVS_FLOW_ATTR_UFID.
const UFID = 16 + 4 + 4 + 4

/** The ufids of what goes down, in order. */
function recorder(): { readonly transport: Transport; readonly seen: string[] } {
  const seen: string[] = []
  const transport: Transport = {
    name: 'recorder',
    exchange: async (_protocol, batch) => {
      const words = new DataView(batch.buffer, batch.byteOffset)
      for (const { start } of messagesOf(batch)) {
        const [w0, w1, w2, w3] = [0, 4, 8, 12].map((at) => words.getInt32(start + UFID + at, true))
        seen.push(ufidOfWords({ w0, w1, w2, w3 } as never))
      }
      return { count: 0, failures: [], replies: new Uint8Array() }
    },
    dump: () => {
      throw new Error('nothing is dumped here')
    },
    listen: () => {
      throw new Error('nothing is dumped here')
    },
    close: async () => {},
  }
  return { transport, seen }
}

const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-00000000000a`
const COUNT = 12_000

t.test('a batch that outgrows its buffer names every flow it deletes', async (t) => {
  const { transport, seen } = recorder()
  const wanted = Array.from({ length: COUNT }, (_, n) => ufid(n))
  await new OvsBackend(transport, async () => 30, 7).operate(
    wanted.map((text) => ({ verb: 'del', id: new ParsedUfid(text), wantStats: false })),
  )
  t.same(
    seen.filter((text, index) => text !== wanted[index]),
    [],
  )
  t.equal(seen.length, COUNT)
})

// Whatever the length of the messages, some buffer's end falls into the ufid of one of them.
for (let words = 0; words < 12; words++) {
  t.test(`a batch that outgrows its buffer names every flow it creates: ${words}`, async (t) => {
    const { transport, seen } = recorder()
    const actions = new Uint8Array(words * 4)
    const flows = Array.from({ length: COUNT }, (_, n) =>
      viewOf({ ufid: ufid(n), key: new Uint8Array(8), mask: new Uint8Array(8), actions }, 'create'),
    )
    await create(new OvsBackend(transport, async () => 30, 7), flows)
    t.same(
      seen.filter((text, index) => text !== flows[index]?.ufid),
      [],
    )
    t.equal(seen.length, COUNT)
  })
}
