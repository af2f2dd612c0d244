import { readFileSync } from 'node:fs'
import t from 'tap'
import { kernelOnly, openDpif, type TraceCall } from '../../lib/index.js'
import { call } from '../cli/call.js'
import { datapath, ip } from '../fixtures/lab.js'
import { type Eswitch, eswitchMissing, loadEswitch } from '../lab/eswitch/device.js'

// What a put runs through, down to the driver. Where the kernel has no function_graph, why not.

t.setTimeout(0)

const TRACEFS = '/sys/kernel/tracing'
const changed = ['current_tracer', 'tracing_on', 'set_ftrace_pid', 'options/funcgraph-proc', 'trace']

function read(file: string): string {
  try {
    return readFileSync(`${TRACEFS}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

const state = () => Object.fromEntries(changed.map((file) => [file, read(file)]))
const canTrace = read('available_tracers').includes('function_graph')

/** The functions from a root down to the first that is called `name`. */
function wayTo(name: string, calls: readonly TraceCall[]): readonly TraceCall[] {
  for (const call of calls) {
    if (call.name === name) return [call]
    const rest = wayTo(name, call.calls)
    if (rest.length > 0) return [call, ...rest]
  }
  return []
}

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  t.test('trace shows the way down to the callback of the driver, and leaves no trace', async (t) => {
    const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
    const { name } = await datapath(t)
    const dpif = await openDpif({ datapath: name, policy: kernelOnly() })
    for (const vf of [0, 1]) {
      ip(`link set ${esw.rep(vf)} up`)
      await dpif.addPort(esw.rep(vf), { number: vf + 1 })
    }
    t.teardown(() => dpif.close())
    const before = state()
    const flow = 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1,frag=no)'
    const json = await call(['trace', '--json', '--more', name, flow, '2'])
    t.equal(json.err, '')
    const { kernel, untraced, flow: lived } = JSON.parse(json.out)
    t.equal(lived.offloaded, true)
    t.equal(esw.used, 0, 'the flow is gone again')
    t.same(state(), before, 'tracefs is as it was')
    if (!canTrace) {
      t.match(untraced, /tracefs|function_graph/)
      return
    }
    t.equal(untraced, undefined)
    const way = wayTo('esw_setup_block_cb', kernel)
    t.comment(
      way.map(({ name, module }) => (module === undefined ? name : `${name} [${module}]`)).join(' -> '),
    )
    const names = way.map((called) => called.name.replace(/\..*$/, ''))
    for (const name of ['tc_new_tfilter', 'fl_change', 'tc_setup_cb_add', 'esw_setup_block_cb'])
      t.ok(names.includes(name), `${name} is on the way`)
    t.equal(way.at(-1)?.module, 'eswitch')
    t.ok(
      way.every(({ microseconds = 0 }) => microseconds > 0),
      'each with its time',
    )

    const text = await call(['trace', '--keep', name, flow, '2'])
    t.comment(text.out)
    t.match(text.out, /\n +[\d.]+ us +esw_setup_block_cb\(\) \[eswitch\]\n/)
    t.match(text.out, /in hardware \(in_hw\)\nkept\n$/)
    t.equal(esw.used, 1)
    const ovs = await call([
      'trace',
      '--policy',
      'kernel-only',
      name,
      flow.replace('10.0.0.1', '10.0.0.2'),
      '2',
    ])
    t.match(ovs.out, /us +ovs_flow_cmd_new\(\) \[openvswitch\]\n/)
    t.same(state(), before)
  })
}
