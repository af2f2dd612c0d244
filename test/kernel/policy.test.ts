import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { formatKey, openDpif, kernelOnly, rules } from '../../lib/index.js'
import { call } from '../cli/call.js'
import { datapath, ip, missing, open } from '../fixtures/lab.js'

// The document of the small cloud on a kernel: its flows are where the simulation says.

t.setTimeout(0)

const root = fileURLToPath(new URL('../../../', import.meta.url))
const cloud = join(root, 'examples/small-cloud.yaml')
const flows = join(root, 'examples/small-cloud.flows')
const names = ['uplink', 'blue-web', 'blue-db', 'green-app', 'dpi']

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('the flows of the small cloud are where the simulation says', async (t) => {
    const { name: dp } = await datapath(t)
    for (const [index, name] of names.entries()) {
      ip(`link add ${name} type veth peer name far${index}`)
      t.teardown(() => ip(`link del ${name}`))
      ip(`link set ${name} up`)
    }
    t.match(await call(['add-if', dp, ...names]), { code: 0, err: '' })
    t.match(await call(['add-flows', '--policy', cloud, dp, flows]), { code: 0, err: '' })

    const told = JSON.parse((await call(['policy', 'simulate', cloud, '--flows', flows, '--json'])).out)
    const expected = told.flows.map(({ flow, choices }: { flow: string; choices: { backend: string }[] }) => [
      flow.split(', actions:')[0],
      choices[0]?.backend,
    ])
    const dpif = await openDpif({ datapath: dp, policy: kernelOnly() })
    t.teardown(() => dpif.close())
    const ports = new Map((await dpif.ports()).map((port) => [port.number, port.name]))
    const portName = (number: number) => ports.get(number)
    const found: (readonly [string, string])[] = []
    for await (const { key, mask, backend } of dpif.dump()) {
      const text = formatKey(key, mask, { portName }).replace(/^recirc_id\(0\),/, '')
      found.push([text, backend])
    }
    t.same(found.sort(), expected.sort())
    await dpif.flush()
  })

  t.test('a limit holds, and a name is a port once there is one', async (t) => {
    const { name } = await datapath(t)
    const dpif = await open(
      t,
      name,
      rules({
        version: 1,
        tenants: { late: { ports: 'lateport', limit: 2 } },
        rules: [{ match: { tenant: 'late' }, backend: ['tc', 'ovs'] }],
        default: { backend: 'ovs' },
      }),
    )
    ip('link add lateport type veth peer name farport')
    t.teardown(() => ip('link del lateport'))
    ip('link set lateport up')
    const { number } = await dpif.addPort('lateport')
    const results = await dpif.operate(
      [1, 2, 3, 4].map((last) => ({
        op: 'put' as const,
        key: `in_port(${number}),eth(src=02:00:00:00:00:0${last}),eth_type(0x88b5)`,
        actions: '',
      })),
    )
    t.same(
      results.map(({ backend }) => backend),
      ['tc', 'tc', 'ovs', 'ovs'],
    )
    await dpif.flush()
  })
}
