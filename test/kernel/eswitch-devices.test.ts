import { readFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  listDevices,
  NativeTransport,
  openDpif,
  preferTc,
  preflight,
  setEswitchMode,
} from '../../lib/index.js'
import { filterFlags } from '../../lib/tc/flower.js'
import { type EswitchKernel, expectations, lands, putForeign } from '../fixtures/eswitch-facts.js'
import { datapath, type Owner, run, veth } from '../fixtures/lab.js'
import { type Eswitch, eswitchMissing, guests, type Guest, loadEswitch, ping } from '../lab/eswitch/device.js'

// The inventory and the preflight against the lab's own e-switch: what the simulated kernel is held to, with the commands people type,
// and what takes modules, privileges or packets.

t.setTimeout(0)

const MODPROBE = '/proc/sys/kernel/modprobe'
const script = fileURLToPath(new URL('../fixtures/preflight.js', import.meta.url))

/** Both e-switches, in mode legacy. */
function bench(t: Owner): EswitchKernel {
  const [first, second] = loadEswitch(t, { devices: 2, vfs: 2 }) as [Eswitch, Eswitch]
  const transport = new NativeTransport()
  t.teardown(() => transport.close())
  const [other] = veth(t)
  return {
    transport,
    eswitches: [first.handle, second.handle],
    ports: [first.uplink, first.rep(0), first.rep(1)],
    foreign: second.rep(0),
    other,
    mend: async (command) => {
      run('sh', '-c', command)
    },
  }
}

/** Whether the kernel of this machine has a module in itself. */
function isBuiltIn(module: string): boolean {
  return readFileSync(`/lib/modules/${release()}/modules.builtin`, 'utf8').includes(`/${module}.ko`)
}

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  for (const { title, run } of expectations) t.test(title, (t) => run(t, bench(t)))

  t.test('what stands for the other side is no port', async (t) => {
    const { transport, eswitches } = bench(t)
    await setEswitchMode(eswitches[0], 'switchdev', { transport })
    const kinds = (await listDevices({ transport })).map(({ name, kind }) => `${name} ${kind}`)
    for (const name of ['es0_vf0', 'es0_wire', 'lo']) t.ok(kinds.includes(`${name} other`), name)
  })

  t.test('preflight: a missing module, and its mend', async (t) => {
    const kernel = bench(t)
    const { transport, ports, eswitches } = kernel
    const [, a, b] = ports
    await setEswitchMode(eswitches[0], 'switchdev', { transport })
    const loader = readFileSync(MODPROBE, 'utf8')
    t.teardown(() => writeFileSync(MODPROBE, loader))
    for (const module of ['act_mirred', 'cls_flower', 'sch_ingress']) {
      if (isBuiltIn(module)) {
        // Such a kernel lacks it never, whoever is asked to load it.
        writeFileSync(MODPROBE, '/bin/false')
        t.equal(await lands(kernel, a, b), true, `${module} is built in`)
        t.equal((await preflight([a], { transport })).ready, true)
        writeFileSync(MODPROBE, loader)
        continue
      }
      writeFileSync(MODPROBE, '/bin/false')
      run('rmmod', module)
      t.equal(await lands(kernel, a, b), false)
      const { ready, findings } = await preflight([a], { transport })
      t.equal(ready, false, module)
      t.match(findings[0], { reason: 'NO_MODULE', effect: 'all', mend: `modprobe ${module}` })
      await kernel.mend(findings[0]?.mend ?? '')
      t.equal(await lands(kernel, a, b), true, module)
      t.equal((await preflight([a], { transport })).ready, true)
      t.notMatch(run('tc', 'qdisc', 'show', 'dev', 'lo'), /ingress/, 'lo is as it was')
      writeFileSync(MODPROBE, loader)
    }
  })

  t.test('preflight: no privileges', async (t) => {
    const kernel = bench(t)
    const { transport, ports, eswitches } = kernel
    const [, a, b] = ports
    await setEswitchMode(eswitches[0], 'switchdev', { transport })
    const denied = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin']
    const said = run(denied[0] ?? '', ...denied.slice(1), process.execPath, script, a, b)
    t.match(JSON.parse(said), {
      ready: false,
      findings: [
        { reason: 'NO_PRIVILEGE', mend: `sudo hwacc preflight ${a} ${b}` },
        { reason: 'NO_QDISC' },
        { reason: 'NO_QDISC' },
      ],
    })
    t.equal(JSON.parse(run(process.execPath, script, a, b)).ready, true)
    t.equal(await lands(kernel, a, b), true)
  })

  t.test('a foreign filter takes the packets of a flow in hardware, until it is gone', async (t) => {
    const { transport, ports, eswitches } = bench(t)
    const [, a, b] = ports
    await setEswitchMode(eswitches[0], 'switchdev', { transport })
    const [from, to] = guests(t, ['es0_vf0', 'es0_vf1']) as [Guest, Guest]
    for (const rep of [a, b]) run('ip', 'link', 'set', rep, 'addrgenmode', 'none', 'up')
    const found = (await listDevices({ transport })).find(({ name }) => name === a)
    t.equal((await putForeign(transport, found?.ifindex ?? 0, 1, filterFlags.SKIP_SW)).errno, 0)
    const { name } = await datapath(t)
    const dpif = await openDpif({ datapath: name, policy: preferTc({ skip: 'sw' }) })
    t.teardown(() => dpif.close())
    for (const [index, port] of [a, b].entries()) await dpif.addPort(port, { number: index + 1 })
    for (const [inPort, output] of [
      [1, '2'],
      [2, '1'],
    ] as const) {
      const key = `recirc_id(0),in_port(${inPort}),eth(),eth_type(0x0800),ipv4(frag=no)`
      t.match(await dpif.put({ key, actions: output }), { backend: 'tc' })
    }
    t.equal(ping(from, to.ip4), 0)
    const { findings } = await preflight([a, b], { transport })
    t.match(findings, [{ reason: 'FOREIGN_FILTER', port: a }])
    run('sh', '-c', findings[0]?.mend ?? '')
    t.equal(ping(from, to.ip4), 3)
    for await (const { offloaded, stats } of dpif.dump()) t.match([offloaded, stats.packets], [true, 3n])
    await dpif.flush()
  })
}
