import t from 'tap'
import { parseFlowFile } from '../../lib/ovs/flow-file.js'

const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
const inPort = (port: number) => ({ key: { inPort: port }, mask: { inPort: 0xffffffff } })

t.test('each line is a flow with what to do about it', async (t) => {
  const text = [
    '# flows',
    '',
    'add in_port(1) 2',
    'modify in_port(2)\tpop_vlan,3 # there',
    'delete in_port(3)',
    '  in_port(4)  drop\r',
    ' \t',
    'in_port(5),eth() 1, 2',
  ].join('\n')
  t.match(parseFlowFile(text, 'add'), [
    { line: 3, verb: 'add', ...inPort(1), actions: [{ output: 2 }] },
    { line: 4, verb: 'modify', ...inPort(2), actions: [{ popVlan: true }, { output: 3 }] },
    { line: 5, verb: 'delete', ...inPort(3) },
    { line: 6, verb: 'add', ...inPort(4), actions: [] },
    { line: 8, verb: 'add', key: { inPort: 5, ethernet: {} }, actions: [{ output: 1 }, { output: 2 }] },
  ])
  t.same(parseFlowFile('', 'add'), [])
})

t.test('a verb may be any beginning of its name, and has a default', async (t) => {
  for (const verb of ['add', 'modify', 'delete'] as const) {
    for (let length = 1; length <= verb.length; length++) {
      const actions = verb === 'delete' ? '' : ' 1'
      t.match(parseFlowFile(`${verb.slice(0, length)} in_port(1)${actions}`, 'add'), [{ verb, ...inPort(1) }])
    }
    t.match(parseFlowFile(`in_port(1)${verb === 'delete' ? '' : ' 1'}`, verb), [{ verb, ...inPort(1) }])
  }
})

t.test('lines of dump-flows can be pasted', async (t) => {
  const line = `ufid:${ufid}, in_port(1),packet_counters`
  t.match(parseFlowFile(line, 'add'), [{ line: 1, error: { code: 'SYNTAX' } }])
  const dumped = `ufid:${ufid}, in_port(1), packets:9, bytes:882, used:0.001s, flags:SF.[200], offloaded:yes, dp:tc, actions:3`
  t.match(parseFlowFile(dumped, 'add'), [{ verb: 'add', ufid, ...inPort(1), actions: [{ output: 3 }] }])
  t.match(parseFlowFile(`mod ${dumped}`, 'add'), [
    { verb: 'modify', ufid, ...inPort(1), actions: [{ output: 3 }] },
  ])
  const [deleted] = parseFlowFile(dumped, 'delete')
  t.match(deleted, { verb: 'delete', ufid, ...inPort(1) })
  t.notOk(deleted && 'actions' in deleted, 'whose actions do not matter when they are to be deleted')
  t.match(parseFlowFile(`ufid:${ufid}`, 'delete'), [{ ufid, key: {} }])
})

t.test('ports may be named', async (t) => {
  const portNumber = (name: string) => (name === 'veth0' ? 7 : undefined)
  t.match(parseFlowFile('in_port(veth0) veth0', 'add', { portNumber }), [
    { ...inPort(7), actions: [{ output: 7 }] },
  ])
})

t.test('a wrong line is reported with its number and position, and the others still count', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['in_port(1)', 'actions expected, as add needs them, at the end'],
    ['modify in_port(1)', 'actions expected, as modify needs them, at the end'],
    ['del in_port(1) 2', "no actions expected, as delete takes none at position 16, before '2'"],
    ['in_port(1),foo(2) 3', "no field is called 'foo' at position 12, before 'foo(2) 3'"],
    ['in_port(1) foo', "an action like 2, pop_vlan or set(…) expected at position 12, before 'foo'"],
    ['in_port(1), packets:1', "'actions:' expected at the end"],
    ['add 2', "a field like in_port(1) expected at position 5, before '2'"],
    ['adder in_port(1) 2', "a field like in_port(1) expected at position 1, before 'adder in_port(1) 2'"],
    ['add', 'a field like in_port(1) expected at the end'],
  ]
  const text = wrong.map(([line]) => `${line}\nin_port(9) 1`).join('\n')
  const entries = parseFlowFile(text, 'add')
  t.equal(entries.length, wrong.length * 2)
  for (const [index, [line, problem]] of wrong.entries()) {
    t.match(entries[index * 2], { line: index * 2 + 1, error: { code: 'SYNTAX', message: problem } }, line)
    t.match(entries[index * 2 + 1], { line: index * 2 + 2, ...inPort(9) })
  }
})
