import t from 'tap'
import { create } from '../create.js'
import { OvsBackend } from '../../../lib/backend/ovs/flows.js'
import { messagesOf } from '../../../lib/netlink/reader.js'
import { parseActions, parseKey } from '../../../lib/ovs/text.js'
import { viewOf } from '../../../lib/ovs/view.js'
import type { FlowView } from '../../../types/backend.js'
import type { Transport } from '../../../types/transport.js'

/** What a backend sends when it is asked to create flows, list by list. */
async function sent(
  lists: readonly (readonly FlowView[])[],
): Promise<{ messages: string[]; refused: number[] }> {
  const messages: string[] = []
  const transport: Transport = {
    name: 'recorder',
    exchange: async (_protocol, batch) => {
      for (const { start, end } of messagesOf(batch))
        messages.push(Buffer.from(batch.subarray(start, end)).toString('hex'))
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
  const backend = new OvsBackend(transport, async () => 30, 7)
  const refused: number[] = []
  for (const list of lists) for (const { index } of await create(backend, list)) refused.push(index)
  return { messages, refused }
}

const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-00000000000a`

const kinds: readonly ((n: number) => string)[] = [
  (n) =>
    `in_port(1),eth(src=00:00:00:00:00:0${n % 7}),eth_type(0x0800),ipv4(src=1.1.1.${n},dst=1.2.3.0/24,proto=17,frag=no),udp(dst=${n})`,
  (n) =>
    `in_port(${n}),eth(),eth_type(0x0800),ipv4(src=10.0.0.${n},proto=6,frag=no),tcp(dst=${n}),tcp_flags(0)`,
  (n) => `in_port(1),eth(),eth_type(0x86dd),ipv6(src=fe80::${n},frag=no)`,
  (n) => `in_port(1),eth(),eth_type(0x8100),vlan(vid=${n},pcp=1),encap(eth_type(0x0800),ipv4(frag=no))`,
  (n) =>
    `recirc_id(${n}),in_port(1),ct_state(+trk),ct_zone(${n}),eth(),eth_type(0x0806),arp(sip=1.2.3.${n},op=1)`,
  (n) => `in_port(1),eth(),eth_type(0x0800),ipv4(frag=${n % 2 === 0 ? 'no' : 'first'})`,
]
const actions: readonly string[] = ['2', '2,3', '', 'set(ipv4(ttl=5)),2', 'push_vlan(vid=7,pcp=0),2']

function view(n: number): FlowView {
  const kind = kinds[(n * 7) % kinds.length] as (n: number) => string
  const { key, mask } = parseKey(kind(1 + (n % 9)))
  return viewOf(
    { ufid: ufid(n), key, mask, actions: parseActions(actions[(n >> 2) % actions.length] as string) },
    'create',
  )
}

t.test('a flow from a template is the flow from scratch, whatever came before', async (t) => {
  const flows = Array.from({ length: 400 }, (_, n) => view(n))
  const alone = await sent(flows.map((flow) => [flow]))
  const together = await sent([flows])
  t.equal(together.messages.length, 400)
  t.same(together.messages, alone.messages)
  t.same(together.refused, [])
})

t.test('raw flows among them are copied as they are', async (t) => {
  const raw = (n: number) =>
    viewOf(
      {
        ufid: ufid(n),
        key: Uint8Array.of(8, 0, 3, 0, n, 0, 0, 0),
        mask: new Uint8Array(0),
        actions: new Uint8Array(0),
      },
      'create',
    )
  const flows = Array.from({ length: 40 }, (_, n) => (n % 3 === 0 ? raw(n) : view(n)))
  t.same((await sent([flows])).messages, (await sent(flows.map((flow) => [flow]))).messages)
})

t.test('a flow that cannot be written leaves no trace in the next ones', async (t) => {
  const flows = Array.from({ length: 60 }, (_, n) => view(n))
  const bad = (at: number): FlowView => {
    const { ufid, key, mask, actions } = flows[at] as FlowView
    const wrong = at % 2 === 0 ? { key: { ...key, inPort: -1 } } : { actions: [...actions, { output: -1 }] }
    return viewOf({ ufid, key, mask, actions, ...wrong }, 'create')
  }
  const mixed = flows.map((flow, n) => (n % 5 === 4 ? bad(n) : flow))
  const { messages, refused } = await sent([mixed])
  t.same(
    refused,
    flows.flatMap((_, n) => (n % 5 === 4 ? [n] : [])),
  )
  const good = flows.filter((_, n) => n % 5 !== 4)
  t.same(messages, (await sent(good.map((flow) => [flow]))).messages)
})
