import t from 'tap'
import type { Connection } from '../../types/index.js'
import {
  ConnectionCounter,
  formatConnection,
  formatLimits,
  formatTally,
  parseTuple,
} from '../../lib/index.js'

// The lines are those of ovs-dpctl 3.1; test/kernel/conntrack.test.ts has both print the same connections.

const tcp: Connection = {
  id: 3_000_000_000,
  zone: 5,
  original: { src: '10.0.0.1', dst: '10.0.0.2', proto: 6, srcPort: 40_000, dstPort: 80 },
  reply: { src: '10.0.0.2', dst: '10.0.0.9', proto: 6, srcPort: 80, dstPort: 40_000 },
  status: ['SEEN_REPLY', 'ASSURED', 'CONFIRMED', 'SRC_NAT', 'HELPER', 'OFFLOAD'],
  timeout: 431_999,
  mark: 7,
  labels: 0x10000000000000000n,
  helper: 'ftp',
  originalCounters: { packets: 3n, bytes: 180n },
  replyCounters: { packets: 0n, bytes: 0n },
  start: 1_700_000_000_123_456_789n,
  tcp: {
    state: 'SYN_RECV',
    originalScale: 7,
    replyScale: 0,
    originalFlags: ['WINDOW_SCALE', 'SACK_PERM'],
    replyFlags: [],
  },
}
const icmp: Connection = {
  ...{ id: 1, zone: 0, status: [], mark: 0, labels: 0n },
  original: { src: 'fd00::1', dst: 'fd00::2', proto: 58, icmpId: 9, icmpType: 128, icmpCode: 0 },
  reply: { src: 'fd00::2', dst: 'fd00::1', proto: 58, icmpId: 9, icmpType: 129, icmpCode: 0 },
}
const parent = { src: '10.0.0.1', dst: '10.0.0.2', proto: 6, srcPort: 1, dstPort: 21 }

t.test('a connection is one line, and more of it with -m and -s', async (t) => {
  t.equal(
    formatConnection(tcp),
    'tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=80),reply=(src=10.0.0.2,dst=10.0.0.9,sport=80,dport=40000)' +
      ',zone=5,mark=7,labels=0x10000000000000000,protoinfo=(state=ESTABLISHED),helper=ftp',
  )
  t.equal(
    formatConnection({ ...tcp, parent }, { verbose: true }),
    'tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=80),reply=(src=10.0.0.2,dst=10.0.0.9,sport=80,dport=40000)' +
      ',id=3000000000,zone=5,status=SEEN_REPLY|ASSURED|CONFIRMED|SRC_NAT,mark=7,labels=0x10000000000000000' +
      ',protoinfo=(state_orig=SYN_RECV,state_reply=SYN_RECV,wscale_orig=7,wscale_reply=0,flags_orig=WINDOW_SCALE|SACK_PERM,flags_reply=0)' +
      ',helper=ftp,parent=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=21)',
  )
  const line = formatConnection(tcp, { statistics: true })
  t.match(
    line,
    /,dport=80,packets=3,bytes=180\),reply=\(src=10.0.0.2,dst=10.0.0.9,sport=80,dport=40000\),start=/,
  )
  t.match(line, /,start=2023-11-1[45]T\d\d:\d\d:20\.123,zone=5,timeout=431999,mark=7/)
  t.match(formatConnection({ ...tcp, stop: 1n }, { statistics: true }), /,start=\S+,stop=19(70|69)-/)
})

t.test(
  'ICMP has identifiers, what has no ports has 0, and protocols without a name are numbers',
  async (t) => {
    t.equal(
      formatConnection(icmp, { verbose: true }),
      'icmpv6,orig=(src=fd00::1,dst=fd00::2,id=9,type=128,code=0),reply=(src=fd00::2,dst=fd00::1,id=9,type=129,code=0),id=1,status=0',
    )
    const plain = { src: '10.0.0.1', dst: '10.0.0.2', proto: 89 }
    t.equal(
      formatConnection({ ...icmp, original: plain, reply: plain }),
      '89,orig=(src=10.0.0.1,dst=10.0.0.2,sport=0,dport=0),reply=(src=10.0.0.1,dst=10.0.0.2,sport=0,dport=0)',
    )
  },
)

t.test("states have OVS's names", async (t) => {
  const stateOf = (state: NonNullable<Connection['tcp']>['state']) =>
    /state=(\w+)/.exec(formatConnection({ ...icmp, tcp: { state } }))?.[1]
  t.same(
    ['NONE', 'SYN_SENT', 'SYN_SENT2', 'FIN_WAIT', 'TIME_WAIT', 'CLOSE', 77].map((state) =>
      stateOf(state as never),
    ),
    ['CLOSED', 'SYN_SENT', 'SYN_SENT', 'FIN_WAIT_1', 'TIME_WAIT', 'CLOSING', 'CLOSED'],
  )
  const sctp = { state: 'COOKIE_WAIT', originalTag: 0x01020304, replyTag: 0 } as const
  // OVS does not turn the tags round.
  t.match(
    formatConnection({ ...icmp, sctp }),
    /,protoinfo=\(state=COOKIE_WAIT,vtag_orig=(67305985|16909060),vtag_reply=0\)$/,
  )
})

t.test('connections are counted as ct-stats-show does it, without ICMPv6', async (t) => {
  const counter = new ConnectionCounter()
  t.equal(formatTally(counter), 'Connections Stats:\n    Total: 0')
  const udp = { ...icmp, original: { ...tcp.original, proto: 17 } }
  const other = { ...icmp, original: { ...tcp.original, proto: 89 } }
  for (const connection of [tcp, tcp, icmp, udp, other]) counter.add(connection)
  t.equal(formatTally(counter), 'Connections Stats:\n    Total: 5\n  TCP: 2\n  UDP: 1\n  Other: 1')
  t.equal(
    formatTally(counter, true),
    'Connections Stats:\n    Total: 5\n  TCP: 2\n    Conn per TCP states:\n\t  [ESTABLISHED]=2\n  UDP: 1\n  Other: 1',
  )
})

t.test('limits are printed one zone a line', async (t) => {
  const zones = [{ zone: 5, limit: 10, count: 2 }]
  t.equal(formatLimits({ default: 0, zones: [] }), 'default limit=0')
  t.equal(formatLimits({ default: 1, zones }), 'default limit=1\nzone=5,limit=10,count=2')
})

t.test('tuples are read as flush-conntrack takes them', async (t) => {
  t.same(parseTuple('ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_dst=80'), {
    src: '10.0.0.1',
    proto: 6,
    dstPort: 80,
  })
  t.same(parseTuple('ct_ipv6_dst=FD00:0::1'), { dst: 'fd00::1' })
  t.same(parseTuple('icmp_id=0,icmp_type=8,icmp_code=0,ct_nw_proto=1'), {
    ...{ proto: 1, icmpId: 0, icmpType: 8, icmpCode: 0 },
  })
  t.same(parseTuple('ct_nw_src=0.0.0.0,ct_tp_src=0'), {}, 'zeros say nothing')
  t.same(parseTuple('ct_tp_src=1', 17), { proto: 17, srcPort: 1 }, 'the other tuple may say the protocol')
  t.same(parseTuple(''), {})
  for (const wrong of [
    'zork=1',
    'ct_nw_src',
    'ct_nw_src=',
    'ct_nw_src=fd00::1',
    'ct_ipv6_src=10.0.0.1',
    'ct_nw_src=10.0.0.1,ct_ipv6_dst=fd00::1',
    'ct_nw_src=10.0.0.1,ct_nw_src=10.0.0.2',
    'ct_nw_proto=256',
    'ct_tp_src=1',
    'ct_nw_proto=6,ct_tp_src=65536',
    'ct_nw_proto=6,icmp_id=1',
    'ct_nw_proto=-1',
    '__proto__=1',
  ])
    t.throws(() => parseTuple(wrong), { code: 'SYNTAX' }, wrong)
})
