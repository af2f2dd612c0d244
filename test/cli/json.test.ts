import t from 'tap'
import { verbs } from '../../lib/cli/verb/index.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { call } from './call.js'

// Whatever is printed for people is to be had for programs: every verb of the table is called both ways.

const key = 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'

/** A call of each verb that prints, on a kernel with datapath dp0 and the flow {@link key}. */
const calls: Readonly<Record<string, readonly string[]>> = {
  'dump-dps': [],
  show: [],
  'add-flow': ['in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)', '1', '-v'],
  'mod-flow': [key, '1', '-s'],
  'get-flow': [key],
  'del-flow': [key, '-s'],
  'add-flows': ['-', '-v'],
  'mod-flows': ['-', '-v', '--may-create'],
  'del-flows': ['-'],
  'dump-flows': [],
  'cache-get-size': [],
  'cache-set-size': ['dp0', 'masks-cache', '512'],
  explain: [key, '2'],
  'parse-flow': [key],
  'parse-actions': ['1'],
  'normalize-actions': [key, '2,1'],
  features: [],
  devices: [],
  eswitch: ['show'],
  preflight: ['eth0'],
  'list-commands': [],
  'dump-conntrack': [],
  'ct-stats-show': [],
  'ct-get-limits': [],
  trace: ['in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)', '1'],
  audit: [],
  sweep: ['dp0'],
  policy: ['check', 'examples/small-cloud.yaml'],
}

/** Exit codes that are not 0: nothing is ready for hardware there. */
const ends: Readonly<Record<string, number>> = { preflight: 1 }

/** What prints nothing, or text that is not data. Meters are not simulated; those that do not end by themselves have tests of their own. */
const others: Readonly<Record<string, string>> = {
  help: 'for people',
  completion: 'for a shell',
  upcalls: 'upcalls.test.ts',
  'monitor-ports': 'ports.test.ts',
  'add-meter': 'kernel/conntrack.test.ts',
  'mod-meter': 'kernel/conntrack.test.ts',
  'del-meter': 'kernel/conntrack.test.ts',
  'dump-meters': 'kernel/conntrack.test.ts',
  'meter-features': 'kernel/conntrack.test.ts',
  'add-dp': 'nothing',
  'del-dp': 'nothing',
  'add-if': 'nothing',
  'del-if': 'nothing',
  'set-if': 'nothing',
  'flush-conntrack': 'nothing',
  'ct-set-limits': 'nothing',
  'ct-del-limits': 'nothing',
  'ct-bkts': 'a sentence, as ovs-dpctl',
  'ct-set-maxconns': 'refused',
  'ct-get-maxconns': 'refused',
  'ct-get-nconns': 'refused',
  'ct-enable-tcp-seq-chk': 'refused',
  'ct-disable-tcp-seq-chk': 'refused',
  'ct-get-tcp-seq-chk': 'refused',
  'offload-stats-show': 'refused',
  'ipf-set-enabled': 'refused',
  'ipf-set-disabled': 'refused',
  'ipf-set-min-frag': 'refused',
  'ipf-set-max-nfrags': 'refused',
  'ipf-get-status': 'refused',
}

for (const verb of verbs) {
  const words = calls[verb.name]
  if (words === undefined) {
    t.ok(others[verb.name], `${verb.name} has a call here, or a reason why not`)
    continue
  }
  t.test(`${verb.name} prints JSON when it is asked to`, async (t) => {
    const fresh = async () => {
      const transport = new SimulatedKernel()
      for (const name of ['eth0', 'eth1']) transport.addDevice(name)
      const io = { transport, input: verb.name === 'del-flows' ? `${key}\n` : `${key} 2\n` }
      await call(['add-dp', 'dp0', 'eth0', 'eth1'], io)
      if (!verb.name.startsWith('add-flow')) await call(['add-flow', key, '2'], io)
      return io
    }
    t.ok(verb.options.includes('json'))
    t.ok(verb.json, 'help tells the shape')
    const { out, err, code } = await call([verb.name, ...words, '--json'], await fresh())
    t.equal(code, ends[verb.name] ?? 0, err)
    t.equal(out.trimEnd().split('\n').length, 1 + (out.match(/,\n/g) ?? []).length, 'one document')
    t.type(JSON.parse(out), 'object')
    const plain = await call([verb.name, ...words], await fresh())
    t.equal(plain.code, code, plain.err)
    t.not(plain.out, out, 'and lines when it is not')
  })
}

for (const name of [...Object.keys(calls), ...Object.keys(others)]) {
  t.ok(
    verbs.some((verb) => verb.name === name),
    `${name} is a verb`,
  )
}
