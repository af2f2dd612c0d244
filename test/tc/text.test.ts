import t from 'tap'
import { NO_PERCPU_STATS, type TcAction } from '../../lib/tc/action/index.js'
import { verdicts } from '../../lib/tc/action/kind.js'
import { directions } from '../../lib/tc/action/mirred.js'
import { headerTypes } from '../../lib/tc/action/pedit.js'
import { filterFlags } from '../../lib/tc/flower.js'
import { matchRows, oddRows, writeMatch } from '../../lib/tc/match.js'
import { ctState } from '../../lib/tc/match-ct.js'
import { eachAttribute } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'
import { formatFilter } from '../../lib/tc/text/filter.js'
import { textRows } from '../../lib/tc/text/match.js'
import type { FlowKey, UnknownAttribute } from '../../types/flow.js'

// Filters in the words of tc. That tc itself takes them for the same is seen in test/kernel/tc-syntax.test.ts.

const nameOf = (ifindex: number) => ({ 7: 'veth0', 8: 'veth1' })[ifindex]

function matchOf(key: FlowKey, mask: FlowKey): UnknownAttribute[] {
  const writer = new Writer(256)
  writeMatch(writer, key, mask)
  const bytes = writer.take()
  const list: UnknownAttribute[] = []
  eachAttribute(bytes, 0, bytes.length, (id, start, end) => list.push({ id, data: bytes.slice(start, end) }))
  return list
}

const redirect: TcAction = {
  kind: 'mirred',
  options: { parms: { action: verdicts.STOLEN, eaction: directions.EGRESS_REDIR, ifindex: 8 } },
  cookie: new Uint8Array(16).fill(0xab),
  flags: NO_PERCPU_STATS,
}
const place = { ifindex: 7, protocol: 0x0800, prio: 2, handle: 0x68000001 }

t.test('a filter is a command', async (t) => {
  const unknown = matchOf(
    { etherType: 0x0800, ctState: 0x21, ipv4: { dst: '10.0.0.0', proto: 6 }, tcp: { dst: 80 } },
    { etherType: 0xffff, ctState: 0x23, ipv4: { dst: '255.0.0.0', proto: 0xff }, tcp: { dst: 0xffff } },
  )
  t.equal(
    formatFilter(place, { unknown, flags: filterFlags.SKIP_HW, actions: [redirect] }, nameOf),
    'tc filter add dev veth0 ingress protocol ip pref 2 handle 0x68000001 flower ip_proto tcp dst_ip 10.0.0.0/8 dst_port 80 ' +
      'ct_state +new-est+trk skip_hw action mirred egress redirect dev veth1 ' +
      `cookie ${'ab'.repeat(16)} no_percpu`,
  )
})

t.test('what tc has no words for is named, and nothing is left to be run', async (t) => {
  const unknown = matchOf(
    { etherType: 0x0800, ipv4: { src: '10.0.3.0' } },
    { etherType: 0xffff, ipv4: { src: '255.0.255.0' } },
  )
  const word = { offset: 4, mask: 0xffff0000, value: 0x1234 }
  const actions: TcAction[] = [
    {
      kind: 'pedit',
      options: { parms: { action: verdicts.PIPE, keys: [word] }, headers: [headerTypes.ETH] },
    },
    { kind: 'other', name: 'bpf' },
    { kind: 'gact', options: { parms: { action: 77 } } },
  ]
  const lines = formatFilter({ ifindex: 9, protocol: 0x88b5 }, { unknown, actions }, nameOf).split('\n')
  t.same(lines, [
    '# tc has no words for the device 9, whose name nobody knows',
    '# tc has no words for src_ip 10.0.3.0/255.0.255.0: a mask that is no prefix',
    '# tc has no words for pedit ETH +4 0x1234/0xffff: part of a field that is longer, or no field',
    '# tc has no words for the action bpf',
    '# tc has no words for a verdict of 77',
    '# tc filter add dev 9 ingress protocol 0x88b5 flower action pedit ex pipe action gact',
  ])
})

t.test('a name that a shell would read otherwise is quoted', async (t) => {
  const text = formatFilter({ ifindex: 7, protocol: 0x0800 }, {}, () => 'a;b')
  t.match(text, "dev 'a;b' ingress")
})

t.test('every attribute of a match has words, or a reason', async (t) => {
  const known = new Set(textRows.flatMap(({ id, maskId }) => (maskId === undefined ? [id] : [id, maskId])))
  for (const { uapi, id, maskId } of [...matchRows, { ...ctState }])
    t.ok(known.has(id) && (maskId === undefined || known.has(maskId)), uapi)
  for (const { uapi, id } of Object.values(oddRows)) t.ok(known.has(id) || id === oddRows.ethType.id, uapi)
})
