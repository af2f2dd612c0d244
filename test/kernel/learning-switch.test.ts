import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { deleteDatapath, kernelOnly, listDatapaths, openDpif } from '../../lib/index.js'
import { eventually, ip, missing, netns, type Owner, run, tc, unique, veth } from '../fixtures/lab.js'

// The switch of examples/, as newcomers start it: hosts in namespaces of their own that nothing else connects.

t.setTimeout(0)

const program = fileURLToPath(new URL('../../examples/learning-switch.js', import.meta.url))

/** A namespace behind a port. */
interface Host {
  readonly ns: string
  readonly port: string
  readonly device: string
  readonly number: number
}

function host(t: Owner, number: number): Host {
  const ns = netns(t)
  const [port, device] = veth(t)
  ip(`link set ${device} netns ${ns}`)
  settle(ns, device, number)
  return { ns, port, device, number }
}

/** Gives a device the addresses of a host. */
function settle(ns: string, device: string, number: number): void {
  ip(`-n ${ns} link set ${device} address 02:00:00:00:00:0${number} up`)
  ip(`-n ${ns} address add 10.0.0.${number}/24 dev ${device}`)
  ip(`-n ${ns} address add fd00::${number}/64 dev ${device} nodad`)
}

/** Whether an echo comes back, of however many are tried. */
function answers({ ns }: Host, address: string): boolean {
  try {
    run('ip', 'netns', 'exec', ns, 'ping', '-n', '-c', '1', '-W', '2', address)
    return true
  } catch {
    return false
  }
}

/** The switch, once it says that it switches. Killed with the test, if it is still there. */
async function start(t: Owner, name: string, ports: readonly string[], ...more: readonly string[]) {
  const args = ['--dp', name, ...ports.flatMap((port) => ['--port', port]), ...more]
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  t.teardown(() => deleteDatapath(name).catch(() => {}))
  const lines: string[] = []
  const errors: string[] = []
  createInterface(child.stderr).on('line', (line) => errors.push(line))
  const output = createInterface(child.stdout)
  output.on('line', (line) => lines.push(line))
  await Promise.race([
    once(output, 'line'),
    once(child, 'exit').then(() => {
      throw new Error(`the switch did not start: ${errors.join('\n')}`)
    }),
  ])
  return { child, lines, errors }
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  const exit = once(child, 'exit')
  child.kill(signal)
  return (await exit)[0]
}

/** Where the flows between two hosts of IPv4 are, both ways. */
async function homes(name: string, a: Host, b: Host) {
  const dpif = await openDpif({ datapath: name, policy: kernelOnly() })
  const found: string[] = []
  for await (const { key, backend } of dpif.dump()) {
    const { src, dst } = key.ethernet ?? {}
    const ends = [a, b].map(({ number }) => `02:00:00:00:00:0${number}`)
    if (key.etherType === 0x0800 && ends.includes(src ?? '') && ends.includes(dst ?? '')) found.push(backend)
  }
  await dpif.close()
  return found
}

const SERVER = `
  require('node:net').createServer((socket) => {
    let size = 0
    socket.on('data', (data) => { size += data.length }).on('end', () => socket.end(String(size)))
  }).listen(9000, '0.0.0.0', () => console.log('ready'))
`
const CLIENT = `
  const socket = require('node:net').connect(9000, process.argv[1])
  socket.on('data', (data) => console.log(String(data)))
  socket.end(Buffer.alloc(200_000))
`

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  for (const [policy, home] of [
    ['kernel-only', 'ovs'],
    ['prefer-tc', 'tc'],
  ] as const) {
    t.test(`three hosts find each other through the switch, and their flows are in ${home}`, async (t) => {
      const [a, b, c] = [host(t, 1), host(t, 2), host(t, 3)]
      const name = unique('sw')
      const ports = [a, b, c].map(({ port }) => port)
      const { child, errors } = await start(t, name, ports, '--policy', policy, '--idle', '2')
      for (const [from, to] of [
        [a, b],
        [b, c],
        [c, a],
      ] as const) {
        t.ok(answers(from, `10.0.0.${to.number}`), `${from.number} to ${to.number}, found by ARP`)
        t.ok(answers(from, `fd00::${to.number}`), `${from.number} to ${to.number}, found by its neighbours`)
      }
      t.ok(answers(a, '10.0.0.2'))
      t.same(await homes(name, a, b), [home, home], 'both ways')

      const server = spawn('ip', ['netns', 'exec', b.ns, process.execPath, '-e', SERVER], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      t.teardown(() => server.kill())
      await once(server.stdout, 'data')
      t.equal(run('ip', 'netns', 'exec', a.ns, process.execPath, '-e', CLIENT, '10.0.0.2').trim(), '200000')

      await eventually(
        () => homes(name, a, b),
        (found) => found.length === 0,
      )
      t.ok(answers(a, '10.0.0.2'), 'after its flows were idle and went')

      t.equal(await ended(child, 'SIGTERM'), 0)
      t.same(errors, [])
      t.notOk(
        (await listDatapaths()).some((datapath) => datapath.name === name),
        'the datapath is gone',
      )
      for (const port of ports) t.equal(tc(`filter show dev ${port} ingress`), '', `${port} has no filter`)
    })
  }

  t.test('a host that moves to another port is found again, and again when it moves back', async (t) => {
    const [a, b] = [host(t, 1), host(t, 2)]
    const [port, device] = veth(t)
    ip(`link set ${device} netns ${b.ns}`)
    const { lines, errors } = await start(t, unique('sw'), [a.port, b.port, port], '--idle', '60')
    t.ok(answers(a, '10.0.0.2'))
    for (const [from, to] of [
      [b.device, device],
      [device, b.device],
    ] as const) {
      ip(`-n ${b.ns} address flush dev ${from}`)
      ip(`-n ${b.ns} link set ${from} down`)
      settle(b.ns, to, b.number)
      t.ok(answers(b, '10.0.0.1'), 'what it sends finds its way back')
      t.ok(answers(a, '10.0.0.2'))
    }
    await eventually(
      () => lines.filter((line) => line.startsWith('02:00:00:00:00:02 moved')).length,
      (moves) => moves === 2,
    )
    t.same(errors, [])
  })

  t.test('hosts with tags talk as well', async (t) => {
    const [a, b] = [host(t, 1), host(t, 2)]
    for (const { ns, device, number } of [a, b]) {
      ip(`-n ${ns} link add link ${device} name tagged type vlan id 7`)
      ip(`-n ${ns} address add 10.0.7.${number}/24 dev tagged`)
      ip(`-n ${ns} link set tagged up`)
    }
    const { errors } = await start(t, unique('sw'), [a.port, b.port])
    t.ok(answers(a, '10.0.7.2'))
    t.ok(answers(b, '10.0.7.1'))
    t.same(errors, [])
  })

  t.test('traffic goes on while the switch is killed and started again', async (t) => {
    const [a, b, c] = [host(t, 1), host(t, 2), host(t, 3)]
    const name = unique('sw')
    const ports = [a, b, c].map(({ port }) => port)
    const first = await start(t, name, ports, '--idle', '60')
    t.ok(answers(a, '10.0.0.2'))
    t.ok(answers(a, '10.0.0.2'), 'the flows are there')
    await ended(first.child, 'SIGKILL')
    t.ok(answers(a, '10.0.0.2'), 'with nobody there')
    t.notOk(answers(c, '10.0.0.1'), 'but nobody learns')
    const second = await start(t, name, ports, '--idle', '3')
    t.ok(answers(a, '10.0.0.2'), 'as before')
    t.ok(answers(c, '10.0.0.1'), 'and whoever is new is learned')
    await eventually(
      () => homes(name, a, b),
      (found) => found.length === 0,
      30_000,
    )
    t.ok(answers(a, '10.0.0.2'), 'after the flows that were taken over were idle and went')
    t.equal(await ended(second.child, 'SIGINT'), 0)
    t.same(second.errors, [])
    const left = await openDpif({ datapath: name, policy: kernelOnly() })
    for await (const flow of left.dump()) t.fail(`${flow.ufid} was left behind`)
    await left.close()
  })
}
