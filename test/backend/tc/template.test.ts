import t from 'tap'
import { TcBackend } from '../../../lib/backend/tc/flows.js'
import { u32 } from '../../../lib/netlink/integers.js'
import { messagesOf } from '../../../lib/netlink/reader.js'
import { viewOf } from '../../../lib/ovs/view.js'
import { parseKey } from '../../../lib/ovs/text.js'
import type { FlowSpec } from '../../../types/op.js'
import type { Transport } from '../../../types/transport.js'

/** What a backend says to the kernel when it is asked to create flows: a list of messages, handles cleared. */
async function sent(batches: readonly (readonly FlowSpec[])[]): Promise<string[]> {
  const messages: string[] = []
  const transport: Transport = {
    name: 'recorder',
    exchange: async (_protocol, batch) => {
      for (const { start, end, type } of messagesOf(batch)) {
        const bytes = batch.slice(start, end)
        u32.put(bytes, 24, 0)
        if (type === 44) messages.push(Buffer.from(bytes).toString('hex'))
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
  const backend = new TcBackend(transport)
  backend.portsChanged(
    [1, 2, 3].map((number) => ({ number, name: `p${number}`, type: 'netdev', ifindex: number + 10 })),
  )
  for (const batch of batches) {
    const ops = batch.map((flow) => ({
      verb: 'create' as const,
      flow: viewOf(flow, 'create'),
      choice: { backend: 'tc' as const },
    }))
    for (const { error } of await backend.operate(ops))
      if (error !== undefined) throw new Error(error.message)
  }
  return messages
}

const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`
const { mask } = parseKey(
  'in_port(1),eth(src=00:00:00:00:00:01),eth_type(0x0800),ipv4(src=1.1.1.1,dst=1.1.1.0/24,proto=17,frag=no),udp(dst=1)',
)
const values = (n: number) => {
  const port = 1 + (n % 2)
  const proto = n % 5 === 0 ? 'proto=6' : 'proto=17'
  const l4 = n % 5 === 0 ? `tcp(dst=${n}),tcp_flags(0)` : `udp(dst=${n})`
  return `in_port(${port}),eth(src=00:00:00:00:00:0${n % 7}),eth_type(0x0800),ipv4(src=1.1.1.${n},dst=1.2.${n}.0,${proto},frag=no),${l4}`
}

/** Flows that share the mask object. Some differ in port, protocol or what they do, so that no template fits. */
function flows(actionsOf: (n: number) => FlowSpec['actions'], makeMask: () => typeof mask): FlowSpec[] {
  return Array.from({ length: 60 }, (_, n) => {
    const { key } = parseKey(values(n + 1))
    return {
      ufid: ufid(n),
      key,
      mask: key.tcp === undefined ? makeMask() : parseKey(values(5)).mask,
      actions: actionsOf(n),
    }
  })
}

const shared = [{ output: 2 }] as const
const kinds: Record<string, (n: number) => FlowSpec['actions']> = {
  'the same list': () => shared,
  'lists that output alike': () => [{ output: 2 }, { output: 3 }],
  'lists that differ': (n) => [{ output: 1 + (n % 3) }],
  drops: () => [],
  'rewrites of their own': (n) => [
    { setMasked: { key: { ipv4: { ttl: n } }, mask: { ipv4: { ttl: 0xff } } } },
    { output: 2 },
  ],
  'whole headers': () => [{ set: { udp: { src: 7, dst: 9 } } }, { output: 2 }],
}

for (const [name, actionsOf] of Object.entries(kinds)) {
  t.test(`a filter made from a template is the one made from scratch: ${name}`, async (t) => {
    // A whole-header set of UDP wants UDP throughout.
    const list = flows(actionsOf, () => mask).filter(
      ({ key }) => name !== 'whole headers' || 'udp' in (key as object),
    )
    const together = await sent([list])
    const alone = await sent(list.map((flow) => [flow]))
    t.ok(together.length > 40)
    t.same(together, alone)
    t.equal(new Set(together).size, together.length, 'every flow has its own')
  })
}
