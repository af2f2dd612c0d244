import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { call } from '../cli/call.js'
import { eventually, has, ip, type Owner, run } from '../fixtures/lab.js'
import {
  type Eswitch,
  eswitchMissing,
  type Guest,
  guests,
  loadEswitch,
  ping,
  received,
} from '../lab/eswitch/device.js'

// ovs-vswitchd takes the lab's e-switch for a NIC it can offload to.

t.setTimeout(0)

/** An Open vSwitch of the test's own: what its commands have in common. */
async function openvswitch(t: Owner) {
  const dir = mkdtempSync('/run/ovs-')
  t.teardown(() => rmSync(dir, { recursive: true }))
  const env = { ...process.env, OVS_RUNDIR: dir, OVS_DBDIR: dir, OVS_SYSCONFDIR: dir, OVS_LOGDIR: dir }
  const start = (command: string, ...args: readonly string[]) => {
    const child = spawn(command, args, { env, stdio: 'ignore' })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  }
  const socket = `${dir}/db.sock`
  const vsctl = (...args: readonly string[]) =>
    run('ovs-vsctl', `--db=unix:${socket}`, '--timeout=60', ...args)
  run('ovsdb-tool', 'create', `${dir}/conf.db`, '/usr/share/openvswitch/vswitch.ovsschema')
  start('ovsdb-server', `${dir}/conf.db`, `--remote=punix:${socket}`)
  await eventually(
    () => existsSync(socket),
    (there) => there,
  )
  vsctl('--no-wait', 'init')
  vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:hw-offload=true')
  const control = `${dir}/vswitchd.ctl`
  start('ovs-vswitchd', `unix:${socket}`, `--unixctl=${control}`)
  await eventually(
    () => existsSync(control),
    (there) => there,
  )
  return { vsctl, appctl: (...args: readonly string[]) => run('ovs-appctl', '-t', control, ...args) }
}

const reason = eswitchMissing() || (has('ovs-vswitchd') ? false : 'there is no ovs-vswitchd')
if (reason !== false) t.plan(0, reason)
else {
  t.test('ovs-vswitchd offloads to it', async (t) => {
    const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
    const [a, b] = guests(t, [esw.vf(0), esw.vf(1)]) as [Guest, Guest]
    const { vsctl, appctl } = await openvswitch(t)
    vsctl('add-br', 'br0')
    for (const rep of [esw.rep(0), esw.rep(1)]) {
      ip(`link set ${rep} up`)
      vsctl('add-port', 'br0', rep)
    }
    // The first packets make the flows, and teach the bridge where who is.
    const flows = await eventually(
      () => {
        ping(a, b.ip4)
        return appctl('dpctl/dump-flows', '-m', 'type=offloaded').trim().split('\n')
      },
      (lines) => [0, 1].every((vf) => lines.some((line) => offloaded(line, esw.rep(vf), esw.rep(1 - vf)))),
      60_000,
    )
    t.comment(flows.join('\n'))
    const seen = received(esw.rep(0))
    t.equal(ping(a, b.ip4, 20), 20)
    t.ok(received(esw.rep(0)) - seen < 10, 'the packets stay in hardware')
    // Both go on while we look: what one has just put the other may not see yet.
    await eventually(
      async () => {
        const theirs = appctl('dpctl/dump-flows', '-m', 'type=offloaded')
        const { code, out } = await call(['dump-flows', '-m', '--names', 'ovs-system', 'type=offloaded'])
        return { code, theirs: summary(theirs), ours: summary(out) }
      },
      ({ code, theirs, ours }) => {
        const both = [0, 1].every((vf) =>
          theirs.some((line) => line.endsWith(`offloaded:yes, dp:tc actions:${esw.rep(1 - vf)}`)),
        )
        return code === 0 && both && isDeepStrictEqual(theirs, ours)
      },
      60_000,
    )
    t.pass('hwacc says of the flows what ovs-vswitchd says')
    vsctl('del-br', 'br0')
    t.equal(esw.used, 0)
  })
}

/** Of each flow: which it is, where it is, and what it does. */
function summary(flows: string): string[] {
  const lines = flows.trim().split('\n')
  return lines
    .map((line) => /ufid:[^,]*|offloaded:\S* dp:\w+|actions:.*/g[Symbol.match](line)?.join(' ') ?? line)
    .sort()
}

function offloaded(flow: string, from: string, to: string): boolean {
  const ours = flow.includes(`in_port(${from})`) && flow.includes('eth_type(0x0800)')
  return ours && /offloaded:yes, dp:tc/.test(flow) && flow.endsWith(`actions:${to}`)
}
