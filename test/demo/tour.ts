/** What the demo shows, on one kernel: `node tour.js native|simulated LABEL`. */
import { execFileSync } from 'node:child_process'
import {
  createDatapath,
  deleteDatapath,
  type FlowSpec,
  formatFlow,
  openDpif,
  type OpResult,
  type Policy,
  preferTc,
} from '../../lib/index.js'
import { NativeTransport } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import type { Transport } from '../../types/transport.js'

/** A host to run on: devices can be made there, and they vanish with it. */
interface Host {
  readonly transport: Transport
  addDevice(name: string): void
  removeDevice(name: string): void
}

const hosts: Record<string, () => Host> = {
  native: () => ({
    transport: new NativeTransport(),
    addDevice: (name) => {
      execFileSync('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-peer`])
      for (const end of [name, `${name}-peer`]) execFileSync('ip', ['link', 'set', end, 'up'])
    },
    removeDevice: (name) => void execFileSync('ip', ['link', 'del', name]),
  }),
  simulated: () => {
    const transport = new SimulatedKernel()
    return {
      transport,
      addDevice: (name) => void transport.addDevice(name),
      removeDevice: (name) => transport.removeDevice(name),
    }
  },
}

const devices = ['vm0', 'vm1', 'uplink']

/** A policy of the demo's own: what the uplink receives stays in the kernel, the rest goes to TC where TC can carry it. */
const splitting: Policy = (() => {
  const offload = preferTc()
  const stay = {
    choices: [{ backend: 'ovs' as const }],
    reason: 'traffic from the uplink is inspected in software',
  }
  return {
    name: 'demo',
    place: (put, facts) =>
      facts.port(put.key.inPort ?? -1)?.name === 'uplink' ? stay : offload.place(put, facts),
  }
})()

const ip = (n: number) => `10.0.${n >> 8}.${n & 255}`
const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n))

/** A few hundred flows as a small cloud has them. Ports: 1 vm0, 2 vm1, 3 uplink. */
const flows: readonly FlowSpec[] = [
  ...times(120, (n) => ({
    key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=${ip(n)},proto=17,frag=no),udp(dst=4789)`,
    actions: '3',
  })),
  ...times(80, (n) => ({
    key: `in_port(2),eth(),eth_type(0x0800),ipv4(src=${ip(n)},proto=6,frag=no),tcp(dst=443),tcp_flags(0/0)`,
    actions: `set(ipv4(src=192.0.2.${n + 1})),push_vlan(vid=${100 + n},pcp=0),3`,
  })),
  ...times(60, (n) => ({
    key: `in_port(3),eth(),eth_type(0x8100),vlan(vid=${100 + n}),encap(eth_type(0x0800),ipv4())`,
    actions: `pop_vlan,2`,
  })),
  ...times(20, (n) => ({
    key: `skb_mark(${n + 1}),in_port(1),eth(),eth_type(0x86dd),ipv6()`,
    actions: '3',
  })),
  ...times(20, (n) => ({
    key: `in_port(2),eth(src=02:00:00:00:00:${(16 + n).toString(16)}),eth_type(0x0800),ipv4(proto=16/0xf0,frag=no)`,
    actions: 'drop',
  })),
]

export async function runTour(kind: string, label: string): Promise<void> {
  const makeHost = hosts[kind]
  if (makeHost === undefined) throw new TypeError(`'${kind}' is neither native nor simulated`)
  const { transport, addDevice, removeDevice } = makeHost()
  const print = (line = '') => process.stdout.write(`${line}\n`)
  const undo: (() => unknown)[] = [() => transport.close()]
  try {
    print(`Kernel: ${label}\n`)
    const datapath = 'demo0'
    await createDatapath(datapath, { transport })
    undo.push(() => deleteDatapath(datapath, { transport }))
    const dpif = await openDpif({ datapath, policy: splitting, transport })
    undo.push(() => dpif.close())
    for (const name of devices) {
      addDevice(name)
      undo.push(() => removeDevice(name))
      const { number } = await dpif.addPort(name)
      print(`port ${number}: ${name}`)
    }

    const before = process.hrtime.bigint()
    const results = await dpif.operate(flows.map((flow) => ({ op: 'put', ...flow })))
    const ms = Number(process.hrtime.bigint() - before) / 1e6
    print(`\n${results.length} flows put in one call, ${ms.toFixed(0)} ms. What went where, and why:\n`)
    printSummary(results, print)
    const failed = results.find(({ error }) => error !== undefined)
    if (failed?.error !== undefined) throw new Error(failed.error.message)

    print('\nBoth tables as one (every 40th flow):\n')
    const counts = { ovs: 0, tc: 0 }
    let seen = 0
    for await (const flow of dpif.dump()) {
      counts[flow.backend]++
      if (seen++ % 40 === 0)
        print(formatFlow(flow, { verbose: true, now: 0, portName: (n) => devices[n - 1] }))
    }
    print(`\n${counts.tc} flows in TC, ${counts.ovs} in openvswitch.`)
    await dpif.flush()
  } finally {
    for (const step of undo.reverse()) await step()
  }
  print('Cleaned up: datapath, devices, filters and qdiscs are gone.')
}

function printSummary(results: readonly OpResult[], print: (line: string) => void): void {
  const rows = new Map<string, number>()
  for (const { backend, declined } of results) {
    const why = declined?.map(({ backend, message }) => `${backend} declined: ${message}`).join('; ')
    const row = `${(backend ?? 'none').padEnd(4)}  ${why ?? 'the first choice of the policy'}`
    rows.set(row, (rows.get(row) ?? 0) + 1)
  }
  print('flows  where  why')
  for (const [row, count] of rows) print(`${String(count).padStart(5)}  ${row}`)
}

if (process.argv[1]?.endsWith('tour.js')) await runTour(process.argv[2] ?? '', process.argv[3] ?? '')
