import t from 'tap'
import type { Flow } from '../../types/op.js'
import { DpifError } from '../../lib/errors.js'
import { formatFlow, parseFlowLine } from '../../lib/ovs/flow-line.js'
import { parseKey } from '../../lib/ovs/text.js'

const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
const flow: Flow = {
  ufid,
  ufidPresent: true,
  ...parseKey('recirc_id(0),in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)'),
  actions: [{ output: 3 }],
  stats: { packets: 9n, bytes: 882n, used: 41_000, tcpFlags: 0 },
  backend: 'ovs',
  offloaded: false,
  suspect: false,
}
const now = 41_010

t.test('a flow is a line of dump-flows', async (t) => {
  t.equal(
    formatFlow(flow, { now }),
    'recirc_id(0),in_port(2),eth(),eth_type(0x0800),ipv4(frag=no), packets:9, bytes:882, used:0.010s, actions:3',
  )
})

t.test('a verbose line has the ufid and where the flow lives', async (t) => {
  const verbose = { now, verbose: true, portName: (port: number) => `p${port}` }
  t.match(
    formatFlow({ ...flow, backend: 'tc', offloaded: true }, verbose),
    new RegExp(`^ufid:${ufid}, recirc_id`),
  )
  t.match(formatFlow({ ...flow, backend: 'tc', offloaded: true }, verbose), /,in_port\(p2\),/)
  t.match(
    formatFlow({ ...flow, backend: 'tc', offloaded: true }, verbose),
    /0\.010s, offloaded:yes, dp:tc, actions:p3$/,
  )
  t.match(formatFlow({ ...flow, offloaded: true }, verbose), /, offloaded:partial, dp:ovs, actions:p3$/)
  t.match(formatFlow(flow, verbose), /0\.010s, dp:ovs, actions:p3$/)
  t.match(formatFlow({ ...flow, ufidPresent: false }, verbose), /^recirc_id/, 'a computed ufid is not shown')
  t.notMatch(formatFlow({ ...flow, offloaded: true }, { now }), /ufid|offloaded|dp:/)
})

t.test('counters say never, and which TCP flags were seen', async (t) => {
  const line = (stats: Partial<Flow['stats']>) =>
    formatFlow({ ...flow, stats: { ...flow.stats, ...stats } }, { now })
  t.match(line({ used: 0 }), /, used:never, actions/)
  t.match(line({ used: 39_999 }), /, used:1\.011s, actions/)
  t.match(line({ packets: 2n ** 64n - 1n }), /packets:18446744073709551615,/)
  // The order of packet_format_tcp_flags(): not that of the bits.
  t.match(line({ tcpFlags: 0x12 }), /used:0\.010s, flags:S\., actions/)
  t.match(line({ tcpFlags: 0xfff }), /, flags:SFPRU\.ECN\[200\]\[400\]\[800\], actions/)
})

t.test('what was printed can be read', async (t) => {
  for (const verbose of [false, true]) {
    for (const tcpFlags of [0, 0xfff]) {
      for (const used of [0, 5]) {
        const stats = { ...flow.stats, tcpFlags, used }
        const line = formatFlow({ ...flow, offloaded: true, stats }, { verbose, now })
        const { key, mask, actions } = flow
        t.same(parseFlowLine(line), { ...(verbose && { ufid }), key, mask, actions }, line)
      }
    }
  }
})

t.test('lines of other versions and without counters can be read', async (t) => {
  t.same(parseFlowLine('in_port(1), actions:drop').actions, [])
  t.same(parseFlowLine('in_port(1) actions:1,2').actions, [{ output: 1 }, { output: 2 }])
  t.same(
    parseFlowLine('in_port(1), packets:0, bytes:0, used:never, actions:1, dp-extra-info:miniflow_bits(4,1)')
      .actions,
    [{ output: 1 }],
  )
  const portNumber = (name: string) => (name === 'veth0' ? 7 : undefined)
  t.match(parseFlowLine('in_port(veth0), actions:veth0', { portNumber }), {
    key: { inPort: 7 },
    actions: [{ output: 7 }],
  })
})

t.test('the position of an error counts from the start of the line', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['in_port(1)', "'actions:' expected at the end"],
    ['in_port(1), foo(2), actions:1', "no field is called 'foo' at position 13, before 'foo(2), actions:1'"],
    ['in_port(1), packets:x, actions:1', "'actions:' expected at position 13, before 'packets:x, actions:1'"],
    ['in_port(1), actions:1,foo', "an action like 2, pop_vlan or set(…) expected at position 23, before 'foo'"],
  ]
  for (const [text, problem] of wrong)
    t.throws(() => parseFlowLine(text), new DpifError('SYNTAX', problem), text)
})
