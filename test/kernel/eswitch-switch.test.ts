import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { kernelOnly, openDpif } from '../../lib/index.js'
import { eventually, ip } from '../fixtures/lab.js'
import { type Eswitch, eswitchMissing, type Guest, guests, loadEswitch } from '../lab/eswitch/device.js'

// The switch of examples/, as newcomers start it, on the representors of a NIC: what it learns ends up in hardware.

t.setTimeout(0)

const program = fileURLToPath(new URL('../../examples/learning-switch.js', import.meta.url))

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  t.test('the flows of the learning switch are in hardware', async (t) => {
    const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
    const [a, b] = guests(t, [esw.vf(0), esw.vf(1)]) as [Guest, Guest]
    const reps = [esw.rep(0), esw.rep(1)]
    for (const rep of reps) ip(`link set ${rep} addrgenmode none up`)
    const ports = reps.flatMap((rep) => ['--port', rep])
    const child = spawn(process.execPath, [program, '--dp', 'lsw-hw', ...ports], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    t.teardown(async () => {
      child.kill('SIGKILL')
      await ended
    })
    await once(createInterface(child.stdout), 'line')

    const ping = spawn(
      'ip',
      ['netns', 'exec', a.namespace, 'ping', '-q', '-c', '10', '-i', '0.05', '-W', '30', b.ip4],
      { stdio: 'ignore' },
    )
    const [status] = await once(ping, 'exit')
    t.equal(status, 0, 'every packet is answered')
    const dpif = await openDpif({ datapath: 'lsw-hw', policy: kernelOnly() })
    t.teardown(() => dpif.close())
    const unicast = await eventually(
      async () => {
        const flows = []
        for await (const flow of dpif.dump())
          if (flow.actions.length === 1 && flow.key.ethernet?.dst !== 'ff:ff:ff:ff:ff:ff') flows.push(flow)
        return flows
      },
      (flows) => flows.length >= 2,
    )
    t.ok(unicast.length >= 2, `${unicast.length} flows from host to host`)
    for (const { key, backend, offloaded } of unicast) {
      t.equal(backend, 'tc', `from port ${key.inPort}`)
      t.ok(offloaded, `from port ${key.inPort}: in hardware`)
    }
    child.kill('SIGINT')
    t.same(await ended, [0, null], 'it ends when it is told to')
  })
}
