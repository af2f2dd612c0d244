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
}

/** Exit codes that are not 0: nothing is ready for hardware there. */
const ends: Readonly<Record<string, number>> = { preflight: 1 }

/** What prints nothing, or text that is not data. `upcalls` does not end by itself and has a test of its own. */
const others: Readonly<Record<string, string>> = {
  help: 'for people',
  completion: 'for a shell',
  upcalls: 'upcalls.test.ts',
  'add-dp': 'nothing',
  'del-dp': 'nothing',
  'add-if': 'nothing',
  'del-if': 'nothing',
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
