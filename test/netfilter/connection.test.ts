import t from 'tap'
import { connectionMessage, connectionOf, tupleBody } from '../../lib/netfilter/connection.js'
import { timeoutBody, timeoutObjects, timeoutOf } from '../../lib/netfilter/timeout.js'
import { timeoutPolicyName } from '../../lib/index.js'
import { readMessage, writeMessage } from '../../lib/netlink/message.js'
import { messagesOf } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'

/** What comes out of a message with that body. */
function read(body: Parameters<typeof connectionOf>[0]) {
  const writer = new Writer()
  writeMessage(writer, connectionMessage, { type: 0x100, flags: 0, header: { family: 2 }, body })
  const [message] = [...messagesOf(writer.take())]
  return message && connectionOf(readMessage(connectionMessage, message).body)
}

const v4 = { src: '10.0.0.1', dst: '10.0.0.2', proto: 6, srcPort: 1, dstPort: 2 }
const v6 = { src: 'fd00::1', dst: 'fd00::2', proto: 58, icmpId: 3, icmpType: 128, icmpCode: 0 }

t.test('a connection is read with all that is told of it', async (t) => {
  const body = {
    original: tupleBody(v4).body,
    reply: tupleBody(v6).body,
    parent: tupleBody(v4).body,
    status: 0x8189,
    protoInfo: {
      tcp: { state: 3, originalScale: 7, originalFlags: { flags: 0x23 }, replyFlags: { flags: 0 } },
    },
    helper: { name: 'ftp' },
    timeout: 9,
    mark: 0xffffffff,
    originalCounters: { packets: 1n, bytes: 60n },
    id: 0xfedcba98,
    zone: 65_535,
    timestamp: { start: 5n },
    labels: (1n << 127n) | 1n,
  }
  t.same(read(body), {
    id: 0xfedcba98,
    zone: 65_535,
    original: v4,
    reply: v6,
    parent: v4,
    status: ['EXPECTED', 'CONFIRMED', 'SRC_NAT_DONE', 'DST_NAT_DONE', 'HW_OFFLOAD'],
    timeout: 9,
    mark: 0xffffffff,
    labels: (1n << 127n) | 1n,
    tcp: {
      state: 'ESTABLISHED',
      originalScale: 7,
      originalFlags: ['WINDOW_SCALE', 'SACK_PERM', 'MAXACK_SET'],
      replyFlags: [],
    },
    helper: 'ftp',
    originalCounters: { packets: 1n, bytes: 60n },
    start: 5n,
  })
})

t.test('what this version does not know stays a number, and what is left out is nothing', async (t) => {
  t.same(read({ protoInfo: { tcp: { state: 99 } } })?.tcp, { state: 99 })
  t.same(read({ protoInfo: { sctp: { state: 4, originalTag: 1, replyTag: 2 } } })?.sctp, {
    ...{ state: 'ESTABLISHED', originalTag: 1, replyTag: 2 },
  })
  const nothing = { src: '', dst: '', proto: 0 }
  const rest = { status: [], mark: 0, labels: 0n }
  t.same(read({}), { id: 0, zone: 0, original: nothing, reply: nothing, ...rest })
})

t.test('a timeout policy is six objects, and they are one policy again', async (t) => {
  const policy = {
    id: 4_294_967_295,
    tcp: { established: 7, unack: 8 },
    udp: { single: 9 },
    icmp: { first: 1 },
  }
  const bodies = timeoutObjects.map((object) => timeoutBody(policy, object))
  t.same(
    bodies.map(({ name }) => name?.replace(/.*_/, '')),
    ['tcp4', 'udp4', 'icmp4', 'tcp6', 'udp6', 'icmpv6'],
  )
  t.ok(bodies.every(({ name = '' }) => name.length < 32))
  const merged = Object.assign({}, ...bodies.map(timeoutOf))
  t.same(merged, policy)
  t.equal(timeoutPolicyName(1, 'tcp', 4), 'ovs_tp_1_tcp4')
  t.equal(timeoutPolicyName(1, 'icmp', 6), 'ovs_tp_1_icmpv6')
  t.throws(() => timeoutPolicyName(1, 'sctp' as never, 4), TypeError)
  for (const name of ['mine', 'ovs_tp_1_tcp6', 'ovs_tp_x_tcp4', 'ovs_tp_1_tcp4x'])
    t.equal(timeoutOf({ ...bodies[0], name }), undefined, name)
})
