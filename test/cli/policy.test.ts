import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { call } from './call.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const cloud = join(root, 'examples/small-cloud.yaml')
const flows = join(root, 'examples/small-cloud.flows')
const folder = mkdtempSync(join(tmpdir(), 'hwacc-policy-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const wrong = file('wrong.yaml', 'version: 1\nrules:\n  - match: { protocol: tpc }\n    backend: hw\n')
const kernelDocument = file(
  'ovs.yml',
  'version: 1\nname: mine\ndefault: { backend: ovs, reason: as I say }\n',
)

t.test('a document is checked', async (t) => {
  const { code, out, err } = await call(['policy', 'check', cloud])
  t.same([code, err], [0, ''])
  t.match(out, /^policy small-cloud: 7 rules, the default among them\n {2}line 22: rule inspected -> ovs\n/)
  const document = JSON.parse((await call(['policy', 'check', cloud, '--json'])).out)
  t.equal(document.name, 'small-cloud')
  t.same(document.problems, [])
  t.match(document.rules[2], {
    name: 'rule dropped',
    choices: [{ backend: 'tc' }, { backend: 'ovs' }],
    reason: 'rule dropped: the NIC drops for nothing',
  })
  const named = file(
    'named.yaml',
    'version: 1\nrules: [{ match: { device: pci/0000:08:00.0 }, backend: tc }]\n',
  )
  t.match((await call(['policy', 'check', named])).out, /e-switch pci\/0000:08:00.0 is looked up when/)
})

t.test('what is wrong with it has a line each, and a place', async (t) => {
  const { code, out, err } = await call(['policy', 'check', wrong])
  t.same([code, out], [1, ''])
  t.same(err.trimEnd().split('\n'), [
    `hwacc: ${wrong}:3:24: rules[0].match.protocol: icmp, icmpv6, sctp, tcp or udp expected, not 'tpc'`,
    `hwacc: ${wrong}:4:14: rules[0].backend: ovs or tc expected, not 'hw'`,
  ])
  const { problems } = JSON.parse((await call(['policy', 'check', wrong, '--json'])).out)
  t.match(problems, [
    { line: 3, column: 24, path: 'rules[0].match.protocol' },
    { line: 4, column: 14, path: 'rules[0].backend' },
  ])
  t.match(await call(['policy', 'check', '-'], { input: 'version: 2' }), {
    code: 1,
    err: /^hwacc: -:1:10: version: 1 expected/,
  })
})

t.test('the small cloud is simulated', async (t) => {
  const { code, out, err } = await call(['policy', 'simulate', cloud, '--flows', flows])
  t.same([code, err], [0, ''])
  const page = readFileSync(join(root, 'docs/policies.md'), 'utf8')
  const [, printed = ''] = /--flows examples\/small-cloud.flows\n(13 flows.*?)```/s.exec(page) ?? []
  t.ok(out.startsWith(printed) && printed !== '', 'the page shows what is printed')
  const told = JSON.parse((await call(['policy', 'simulate', cloud, '--flows', flows, '--json'])).out)
  t.same(
    told.flows.map(
      ({ line, rule, choices }: { line: number; rule: string; choices: { backend: string }[] }) => [
        line,
        rule,
        choices[0]?.backend,
      ],
    ),
    [
      [2, 'rule inspected', 'ovs'],
      [3, 'rule inspected', 'ovs'],
      [4, 'rule tenants', 'tc'],
      [5, 'rule tenants', 'tc'],
      [6, 'rule tenants', 'tc'],
      [7, 'rule tenants', 'tc'],
      [8, 'rule tenants', 'tc'],
      [9, 'rule dropped', 'tc'],
      [10, 'rule control', 'ovs'],
      [11, 'rule stateful', 'ovs'],
      [12, 'rule dropped', 'tc'],
      [13, 'rule copied', 'ovs'],
      [14, 'default', 'ovs'],
    ],
  )
  t.same(told.unread, [])
  const verbose = await call(['policy', 'simulate', cloud, '--flows', flows, '-v'])
  t.match(verbose.out, /\n14: in_port\(dpi\),.*, actions:uplink -> ovs: default: it is nobody's\n$/)
})

t.test('limits count, and what is beyond them waits', async (t) => {
  const limited = file(
    'limited.yaml',
    'version: 1\ntenants: { a: { ports: p3, limit: 1 } }\ndefault: { backend: tc, limit: 2 }\n',
  )
  const dump = Array.from(
    { length: 3 },
    (_, i) =>
      `in_port(1),eth(src=00:00:00:00:00:0${i}),eth_type(0x0806), packets:0, bytes:0, used:never, actions:2`,
  )
  const more = [0, 1].map(
    (i) => `in_port(p3),eth(src=00:00:00:00:00:0${i}),eth_type(0x0806), dp:tc, actions:2`,
  )
  const { out } = await call(['policy', 'simulate', limited, '--flows', '-'], {
    input: [...more, ...dump].join('\n'),
  })
  t.match(out, '2  tc                 default\n')
  t.match(out, '2  ovs, waits for tc  default: its 2 flows in TC are there\n')
  t.match(out, '1  ovs, waits for tc  tenant a: its 1 flows in TC are there\n')
  t.match(out, '1 of them are elsewhere in the dump\n')
})

t.test('named policies are simulated as well, with the ports of show', async (t) => {
  const kernel = new SimulatedKernel()
  for (const name of ['eth0', 'eth1']) kernel.addDevice(name)
  await call(['add-dp', 'dp0', 'eth0', 'eth1'], { transport: kernel })
  const dump =
    'in_port(1),eth(),eth_type(0x0806), actions:eth1\nin_port(eth1),eth(),eth_type(0x0806), actions:7\nnonsense\n'
  const simulate = (policy: string, ports: string) =>
    call(['policy', 'simulate', policy, '--flows', '-', '--ports', ports], { input: dump })
  for (const [name, options] of [
    ['lines', []],
    ['json', ['--json']],
  ] as const) {
    const ports = file(`ports.${name}`, (await call(['show', ...options], { transport: kernel })).out)
    const { code, out, err } = await simulate('same-switch', ports)
    t.equal(code, 1)
    t.match(err, /^hwacc: stdin:3: /)
    t.match(out, /^2 flows, policy same-switch\n {6}2 {2}ovs {2}the ports are not all on one e-switch\n/)
    t.match(out, /known of port 7:/)
  }
  const nic = file(
    'nic.json',
    JSON.stringify([1, 2].map((number) => ({ number, name: `eth${number - 1}`, switchId: 'aa' }))),
  )
  t.match((await simulate('same-switch+capacity:5', nic)).out, '1  tc, ovs')
  t.match(await simulate('zork', nic), { code: 1, err: /'zork' is no policy/ })
  t.match(await simulate('prefer-tc', file('bad.json', '[{"number": "x"}]')), {
    code: 1,
    err: /a port needs a number and a name/,
  })
  t.match(await simulate('prefer-tc', file('bad.txt', 'hello')), {
    code: 1,
    err: /no line like 'port 1: eth0'/,
  })
})

t.test('wrong calls are told', async (t) => {
  for (const [words, message] of [
    [['policy', 'zork'], "'zork' is nothing to do with a policy; there are check, simulate and schema"],
    [['policy', 'check'], 'usage: hwacc policy check FILE'],
    [['policy', 'schema', 'x'], 'usage: hwacc policy schema'],
    [['policy', 'simulate', 'prefer-tc'], "'policy simulate' needs --flows=FILE, lines of dump-flows"],
    [
      ['policy', 'check', cloud, '--flows', 'x'],
      "'policy check' has no option --flows; use hwacc help policy",
    ],
    [['policy', 'check', '/nowhere.yaml'], "cannot read '/nowhere.yaml': no such file"],
    [['policy', 'simulate', 'prefer-tc', '--flows', '/nowhere'], "cannot read '/nowhere': no such file"],
  ] as const) {
    t.same(await call(words), { code: 1, out: '', err: `hwacc: ${message}\n` }, words.join(' '))
  }
})

t.test('where a policy is named, a document does as well', async (t) => {
  const kernel = new SimulatedKernel()
  for (const name of ['eth0', 'eth1']) kernel.addDevice(name)
  const hwacc = (...words: string[]) => call(words, { transport: kernel })
  await hwacc('add-dp', 'dp0', 'eth0', 'eth1')
  const flow = 'in_port(1),eth(),eth_type(0x88b5)'
  t.match(await hwacc('add-flow', '--policy', kernelDocument, '-v', flow, '2'), {
    code: 0,
    out: /is in ovs\n/,
  })
  t.match(
    (await hwacc('explain', '--policy', kernelDocument, flow, '2')).out,
    'policy mine: default: as I say\n',
  )
  t.match(
    await hwacc('explain', '--policy', 'when:{source: 10.0.0.0/8}=tc-only+kernel-only', flow, '2'),
    {
      code: 0,
      out: /would go to ovs/,
    },
    'a slash in a condition makes no file of it',
  )
  t.match(await hwacc('explain', '--policy', wrong, flow, '2'), {
    code: 1,
    err: /wrong.yaml:3:24: .*\nhwacc: .*wrong.yaml:4:14: /,
  })
  t.match(await hwacc('explain', '--policy', './nowhere', flow, '2'), {
    code: 1,
    err: /cannot read '.\/nowhere'/,
  })
})

t.test('an e-switch is known by the name devlink has for it', async (t) => {
  const kernel = new SimulatedKernel()
  const eswitch = 'pci/0000:08:00.0'
  kernel.addEswitch(eswitch, { mode: 'switchdev', vfs: 2 })
  const hwacc = (...words: string[]) => call(words, { transport: kernel })
  const [{ ports }] = JSON.parse((await hwacc('eswitch', 'show', '--json')).out)
  await hwacc('add-dp', 'dp0', ...ports)
  const named = file(
    'eswitch.yaml',
    `version: 1\nrules: [{ match: { device: '${eswitch}' }, backend: tc }]\ndefault: { backend: ovs }\n`,
  )
  t.match(
    (await hwacc('explain', '--policy', named, 'in_port(1),eth(),eth_type(0x0806)', '2')).out,
    /^policy rules: rule 1$/m,
  )
})

t.test('the schema is printed', async (t) => {
  t.equal((await call(['policy', 'schema'])).out, readFileSync(join(root, 'policy.schema.json'), 'utf8'))
})
