import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { type BackendName, type Dpif, listDatapaths, type OpResult } from '../../lib/index.js'
import { steering } from '../../lib/testing/conformance/lab.js'
import { datapath, eventually, has, ip, missing, netns, open, run, tc, veth } from '../fixtures/lab.js'

// Packets that pass through several flows, by recirculation in openvswitch and by chains in TC, also from one into the other. Where a
// kernel cannot hand packets over in the middle (no CONFIG_NET_TC_SKB_EXT), TC has to refuse, and all of it works in openvswitch.
//
//   host a 10.0.0.1 ── port 1 ┤ datapath ├ port 2 ── host b 10.0.0.2

t.setTimeout(0)

const macs = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'] as const
/** What host b takes host a for. */
const alias = '10.0.0.100'

interface Site {
  readonly t: Test
  readonly name: string
  readonly dpif: Dpif
  readonly to: (...names: BackendName[]) => void
  /** Whether packets can be handed over in the middle. */
  readonly shared: boolean
  /** The namespaces of the hosts. */
  readonly a: string
  readonly b: string
  /** Host b's device. */
  readonly far: string
}

/** A datapath between two hosts that know each other as neighbours, so that nothing is sent that the test does not send. */
async function site(t: Test): Promise<Site> {
  const { name, features } = await datapath(t)
  const { policy, to } = steering(['ovs'])
  const dpif = await open(t, name, policy)
  const [a, b] = [netns(t), netns(t)]
  const devices: string[] = []
  for (const [index, ns] of [a, b].entries()) {
    inside(ns, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6')
    const [port, device] = veth(t)
    ip(`link set ${device} netns ${ns} address ${macs[index]}`)
    ip(`-n ${ns} address add 10.0.0.${index + 1}/24 dev ${device}`)
    ip(`-n ${ns} link set ${device} up`)
    ip(`-n ${ns} neigh add 10.0.0.${2 - index} lladdr ${macs[1 - index]} dev ${device}`)
    await dpif.addPort(port, { number: index + 1 })
    devices.push(device)
  }
  const far = devices[1] as string
  ip(`-n ${b} neigh add ${alias} lladdr ${macs[0]} dev ${far}`)
  return { t, name, dpif, to, shared: features.includes('tcRecircSharing'), a, b, far }
}

const inside = (ns: string, ...command: string[]): string => run('ip', 'netns', 'exec', ns, ...command)

/** A flow for IPv4 of a port, in the pass that begins with `id`. */
const ipv4 = (port: number, id = 0, more = '', dst = ''): string =>
  `recirc_id(${id}),in_port(${port}),${more}eth(),eth_type(0x0800),ipv4(${dst}frag=no)`

/**
 * Puts a flow in one backend, and answers its ufid. What is meant for TC goes to openvswitch where the kernel does not share
 * recirculation, and only for that reason.
 */
async function put(
  { t, dpif, to, shared }: Site,
  wanted: BackendName,
  key: string,
  actions: string,
): Promise<string> {
  const home = shared ? wanted : 'ovs'
  if (home !== wanted) {
    to(wanted)
    t.equal((await dpif.put({ key, actions })).error?.reason, 'NOT_SHARED', `TC refuses ${key}`)
    to(wanted, home)
  } else to(wanted)
  const result = await dpif.put({ key, actions }, { mode: 'upsert' })
  t.equal(result.error, undefined)
  t.equal(result.backend, home, key)
  t.same(reasons(result), home === wanted ? [] : ['NOT_SHARED'])
  return result.ufid
}

const reasons = ({ declined = [] }: OpResult) => declined.map(({ reason }) => reason)

/** Waits until flows have counted these packets, and says that they are where they were put. */
async function counted(
  { t, dpif, shared }: Site,
  expected: Readonly<Record<string, readonly [BackendName, number]>>,
) {
  const seen = async () => {
    const found: Record<string, readonly [BackendName, number]> = {}
    for await (const { ufid, backend, stats } of dpif.dump()) found[ufid] = [backend, Number(stats.packets)]
    return found
  }
  const placed = Object.entries(expected).map(([ufid, [backend, packets]]) => [
    ufid,
    [shared ? backend : 'ovs', packets],
  ])
  const reached = (found: Awaited<ReturnType<typeof seen>>) =>
    Object.entries(expected).every(([ufid, [, packets]]) => found[ufid]?.[1] === packets)
  t.same(await eventually(seen, reached), Object.fromEntries(placed))
}

/** How many echoes came back to host a; each is waited for a second. */
function ping({ a }: Site, count: number): number {
  return echoes(a, '10.0.0.2', count)
}

function echoes(ns: string, address: string, count: number): number {
  const words = `ping -q -n -i 0.02 -W 1 -c ${count} ${address}; true`
  return Number(/(\d+) received/.exec(inside(ns, 'sh', '-c', words))?.[1] ?? Number.NaN)
}

/** Counts the packets that reach host b from an address. */
function arrivals({ b, far }: Site, ...sources: readonly string[]): () => number[] {
  tc(`-n ${b} qdisc add dev ${far} ingress`)
  for (const [at, address] of sources.entries()) {
    tc(
      `-n ${b} filter add dev ${far} ingress prio ${at + 1} protocol ip flower src_ip ${address} action pass`,
    )
  }
  return () =>
    sources.map((_, at) => {
      const text = tc(`-n ${b} -s filter show dev ${far} ingress prio ${at + 1}`)
      return Number(/Sent \d+ bytes (\d+) pkt/.exec(text)?.[1])
    })
}

/** Sends back what it gets, and says from where. */
const SERVER = `
  const { createServer } = require('node:net')
  createServer((socket) => {
    console.log(socket.remoteAddress)
    socket.pipe(socket)
  }).listen(9000, '10.0.0.2', () => console.log('ready'))
`
/** Says how much of what it sent came back, in order. */
const CLIENT = `
  const data = Buffer.from(Array.from({ length: 50_000 }, (_, at) => at * 7))
  const socket = require('node:net').connect(9000, '10.0.0.2', () => socket.end(data))
  const parts = []
  socket.on('data', (part) => parts.push(part))
  socket.on('close', () => console.log(Buffer.concat(parts).equals(data) ? 'same' : 'other'))
  socket.on('error', (error) => console.log(String(error)))
`

/** A connection from host a to host b: what either side says about it. */
async function connect({ t, a, b }: Site): Promise<{ server: string; client: string }> {
  const node = (ns: string, text: string) => {
    const words = ['60', 'ip', 'netns', 'exec', ns, process.execPath, '-e', text]
    const child = spawn('timeout', words, { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill())
    const said: string[] = []
    child.stdout.on('data', (bytes: Buffer) => said.push(bytes.toString()))
    return { child, said: () => said.join('').trim() }
  }
  const server = node(b, SERVER)
  await once(server.child.stdout, 'data')
  const client = node(a, CLIENT)
  await once(client.child, 'close')
  server.child.kill()
  await once(server.child, 'close')
  return { server: server.said(), client: client.said() }
}

/** Whether the kernel has zones (CONFIG_NF_CONNTRACK_ZONES), which not every one has. */
async function zoned({ t, dpif, to }: Site): Promise<boolean> {
  to('ovs')
  const { ufid, error } = await dpif.put({ key: ipv4(1), actions: 'ct(zone=1)' })
  if (error === undefined) await dpif.del({ ufid })
  else t.equal(error.code, 'INVALID')
  return error === undefined
}

/** Where the first pass of a packet is, and where those that follow. */
const pairs: readonly (readonly [BackendName, BackendName])[] = [
  ['ovs', 'ovs'],
  ['tc', 'tc'],
  ['tc', 'ovs'],
]

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else if (!has('tc')) t.plan(0, 'tc is missing')
else {
  t.test('a new datapath shares recirculation with TC where the kernel can', async (t) => {
    const { features } = await datapath(t)
    t.same(
      features.filter((feature) => feature !== 'tcRecircSharing'),
      [],
      'nothing else is asked for',
    )
    // Of the lab's kernels one was made for it.
    if (process.env.LAB_KERNEL === 'built') t.ok(features.includes('tcRecircSharing'))
  })

  for (const [at, [first, then]] of pairs.entries()) {
    t.test(
      `connections are tracked and translated, ct in ${first} and what follows in ${then}`,
      async (t) => {
        const here = await site(t)
        const [zone, inZone] = (await zoned(here)) ? [`zone=${at + 1},`, `ct_zone(${at + 1}),`] : ['', '']
        const there = await put(here, first, ipv4(1), `ct(commit,${zone}nat(src=${alias})),recirc(1)`)
        const fresh = await put(here, then, ipv4(1, 1, `ct_state(+new+trk),${inZone}`), '2')
        const known = await put(here, then, ipv4(1, 1, `ct_state(-new+est+trk),${inZone}`), '2')
        const back = await put(here, first, ipv4(2), `ct(${zone}nat),recirc(2)`)
        const reply = await put(here, then, ipv4(2, 2, `ct_state(-new+est+rpl+trk),${inZone}`), '1')
        const arrived = arrivals(here, alias, '10.0.0.1')

        t.equal(ping(here, 3), 3)
        await counted(here, {
          [there]: [first, 3],
          [fresh]: [then, 1],
          [known]: [then, 2],
          [back]: [first, 3],
          [reply]: [then, 3],
        })
        t.same(arrived(), [3, 0], 'host b sees the translated address')

        t.same(await connect(here), { server: `ready\n${alias}`, client: 'same' })
        t.equal(arrived()[1], 0)
        const { stats } = (await here.dpif.get({ ufid: fresh })).flow ?? {}
        t.equal(stats?.packets, 2n, 'one packet of each connection is new')

        t.equal(
          echoes(here.b, '10.0.0.1', 1),
          0,
          'who begins a connection from the other side does not get through',
        )
        await here.dpif.flush()
        t.equal(ping(here, 1), 0, 'nothing passes without flows')
      },
    )
  }

  const passes: readonly (readonly BackendName[])[] = [
    ['ovs', 'ovs', 'ovs'],
    ['tc', 'tc', 'tc'],
    ['tc', 'tc', 'ovs'],
    ['tc', 'ovs', 'ovs'],
  ]
  for (const backends of passes) {
    t.test(`a packet goes on where it was sent: ${backends.join(', then ')}`, async (t) => {
      const here = await site(t)
      const [one, two, three] = backends as [BackendName, BackendName, BackendName]
      const flows = [
        await put(here, one, ipv4(1), 'recirc(7)'),
        await put(here, two, ipv4(1, 7), 'set(ipv4(tos=0x20/0xfc)),recirc(9)'),
        // What the pass before has changed.
        await put(here, three, ipv4(1, 9, '', 'tos=0x20/0xfc,'), '2'),
      ] as const
      const back = await put(here, 'ovs', ipv4(2), '1')
      t.equal(ping(here, 3), 3)
      await counted(here, {
        [flows[0]]: [one, 3],
        [flows[1]]: [two, 3],
        [flows[2]]: [three, 3],
        [back]: ['ovs', 3],
      })
      // Nobody but the first pass sends packets there.
      await here.dpif.del({ ufid: flows[0] })
      t.equal(ping(here, 1), 0)
    })
  }

  t.test('a flow that openvswitch leads to is not taken by TC', async (t) => {
    const here = await site(t)
    const parent = await put(here, 'ovs', ipv4(1), 'recirc(5)')
    const back = await put(here, 'ovs', ipv4(2), '1')
    const child = { key: ipv4(1, 5), actions: '2' }
    here.to('tc')
    const { error } = await here.dpif.put(child)
    t.match(error, {
      code: 'UNSUPPORTED_MATCH',
      path: 'recircId',
      reason: here.shared ? 'NOT_REACHED' : 'NOT_SHARED',
    })
    here.to('tc', 'ovs')
    const result = await here.dpif.put(child)
    t.equal(result.backend, 'ovs')
    t.same(reasons(result), [here.shared ? 'NOT_REACHED' : 'NOT_SHARED'])
    t.equal(ping(here, 3), 3)
    await counted(here, { [parent]: ['ovs', 3], [result.ufid]: ['ovs', 3], [back]: ['ovs', 3] })
  })

  t.test(
    'packets of openvswitch miss a flow in TC that TC leads to as well, until it is put again',
    async (t) => {
      const here = await site(t)
      const echo = await put(here, 'ovs', `${ipv4(1, 0, '', 'proto=1,')},icmp()`, 'recirc(5)')
      const rest = await put(here, 'tc', `${ipv4(1, 0, '', 'proto=6,')},tcp(),tcp_flags(0/0)`, 'recirc(5)')
      const child = await put(here, 'tc', ipv4(1, 5), '2')
      const back = await put(here, 'ovs', ipv4(2), '1')
      t.match(await connect(here), { server: 'ready\n10.0.0.1', client: 'same' })
      const before = await missed(here)
      // Where TC has no part in it there is nothing to miss.
      t.equal(ping(here, 2), here.shared ? 0 : 2)
      t.equal((await missed(here)) - before, here.shared ? 2n : 0n)
      await put(here, 'ovs', ipv4(1, 5), '2')
      t.equal(ping(here, 2), 2)
      t.match(await connect(here), { client: 'same' })
      for (const [ufid, backend] of [
        [echo, 'ovs'],
        [rest, here.shared ? 'tc' : 'ovs'],
        [child, 'ovs'],
        [back, 'ovs'],
      ] as const) {
        t.equal((await here.dpif.get({ ufid })).flow?.backend, backend)
      }
    },
  )
}

/** Packets that openvswitch had no flow for. */
async function missed({ name }: Site): Promise<bigint> {
  const found = (await listDatapaths()).find((datapath) => datapath.name === name)
  return found?.stats?.missed ?? -1n
}
