import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  type BackendName,
  type Dpif,
  kernelOnly,
  NativeTransport,
  type Policy,
  tcOnly,
} from '../../lib/index.js'
import { datapath, eventually, ip, missing, netns, open, type Owner, run, veth } from '../fixtures/lab.js'
import { sender, udpFrame } from '../fixtures/packets.js'

// Real packets between two network namespaces, over flows in either backend. Neighbours are known beforehand, so that nothing but
// what a test sends is on its way, and counts can be exact.

t.setTimeout(0)

const macs = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'] as const
const flood = fileURLToPath(new URL('../fixtures/flood.js', import.meta.url))

/** A namespace with one address behind a port. */
interface Host {
  readonly ns: string
  readonly device: string
}

/** A datapath with hosts 10.0.0.1 and 10.0.0.2 behind its ports 1 and 2. */
async function hosts(t: Owner, policy: Policy): Promise<{ dpif: Dpif; a: Host; b: Host }> {
  const { name } = await datapath(t)
  const dpif = await open(t, name, policy)
  const made = []
  for (const [index, mac] of macs.entries()) {
    const ns = netns(t)
    run('ip', 'netns', 'exec', ns, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6')
    const [port, device] = veth(t)
    ip(`link set ${device} netns ${ns} address ${mac}`)
    ip(`-n ${ns} address add 10.0.0.${index + 1}/24 dev ${device}`)
    ip(`-n ${ns} link set ${device} up`)
    ip(`-n ${ns} neigh add 10.0.0.${2 - index} lladdr ${macs[1 - index]} dev ${device}`)
    await dpif.addPort(port, { number: index + 1 })
    made.push({ ns, device })
  }
  return { dpif, a: made[0] as Host, b: made[1] as Host }
}

const ipv4From = (port: number) => `recirc_id(0),in_port(${port}),eth(),eth_type(0x0800),ipv4(frag=no)`

async function put(dpif: Dpif, key: string, actions: string, backend: BackendName): Promise<string> {
  const { ufid, error, backend: home } = await dpif.put({ key, actions }, { mode: 'upsert' })
  if (error !== undefined) throw new Error(error.message)
  t.equal(home, backend)
  return ufid
}

/** How many echoes came back; each is waited for a second. */
function ping({ ns }: Host, address: string, count: number): number {
  try {
    return received(
      run('ip', 'netns', 'exec', ns, 'ping', '-n', '-i', '0.2', '-W', '1', '-c', `${count}`, address),
    )
  } catch (error) {
    // ping ends with 1 when nothing came back.
    return received(String((error as { stdout?: unknown }).stdout))
  }
}

const received = (output: string): number =>
  Number(/(\d+) (packets )?received/.exec(output)?.[1] ?? Number.NaN)

/** Counters of UDP in a namespace. */
function udpOf({ ns }: Host): Record<string, number> {
  const lines = run('ip', 'netns', 'exec', ns, 'cat', '/proc/net/snmp').split('\n')
  const [names = [], values = []] = lines
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '))
  return Object.fromEntries(names.map((name, index) => [name, Number(values[index])]))
}

const RECEIVER = `
  const socket = require('node:dgram').createSocket('udp4')
  socket.on('message', (data, from) => console.log(from.address, from.port, String(data)))
  socket.bind(9000, () => console.log('ready'))
`

const nowMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)

const rows: readonly { backend: BackendName; policy: Policy }[] = [
  { backend: 'ovs', policy: kernelOnly() },
  { backend: 'tc', policy: tcOnly() },
]

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  for (const { backend, policy } of rows) {
    t.test(`packets go where flows in ${backend} say, and are counted`, async (t) => {
      const { dpif, a } = await hosts(t, policy)
      t.equal(ping(a, '10.0.0.2', 1), 0, 'nothing passes without flows')
      const there = await put(dpif, ipv4From(1), '2', backend)
      const back = await put(dpif, ipv4From(2), '1', backend)
      const started = nowMs()
      t.equal(ping(a, '10.0.0.2', 3), 3)
      const seen = async () => {
        const stats = []
        for await (const flow of dpif.dump()) {
          if (flow.ufid === there || flow.ufid === back) stats.push({ ...flow.stats, backend: flow.backend })
        }
        return stats
      }
      const flows = await eventually(seen, (all) => all.every(({ packets }) => packets === 3n))
      t.equal(flows.length, 2)
      for (const { bytes, used, backend: home } of flows) {
        // 84 bytes of IP and 14 of Ethernet.
        t.equal(bytes, 294n)
        t.equal(home, backend)
        // The kernel counts in ticks, of 10 ms at worst.
        t.ok(used >= started - 100 && used <= nowMs() + 100, `used at ${used}, pinged from ${started} on`)
      }
      t.equal(ping(a, '10.0.0.2', 1), 1)
      const later = await eventually(seen, (all) => all.every(({ packets }) => packets === 4n))
      t.ok(
        Math.max(...later.map(({ used }) => used)) > Math.max(...flows.map(({ used }) => used)),
        'used advances',
      )

      await put(dpif, ipv4From(1), 'drop', backend)
      t.equal(ping(a, '10.0.0.2', 1), 0, 'dropped')
      const dropped = await eventually(
        () => dpif.get({ ufid: there }),
        ({ stats }) => stats?.packets === 5n,
      )
      t.same(dropped.flow?.actions, [], 'what is dropped is counted')
      await put(dpif, ipv4From(1), '2', backend)
      t.equal(ping(a, '10.0.0.2', 1), 1, 'forwarded again')
      await dpif.del({ ufid: back })
      t.equal(ping(a, '10.0.0.2', 1), 0, 'no way back')
    })

    t.test(`tags are pushed and popped by flows in ${backend}`, async (t) => {
      const { dpif, a, b } = await hosts(t, policy)
      // The far host is on VLAN 7 only.
      ip(`-n ${b.ns} link add link ${b.device} name tagged type vlan id 7`)
      ip(`-n ${b.ns} address del 10.0.0.2/24 dev ${b.device}`)
      ip(`-n ${b.ns} address add 10.0.0.2/24 dev tagged`)
      ip(`-n ${b.ns} link set tagged up`)
      ip(`-n ${b.ns} neigh add 10.0.0.1 lladdr ${macs[0]} dev tagged`)
      const there = await put(dpif, ipv4From(1), 'push_vlan(vid=7,pcp=0),2', backend)
      const tagged =
        'recirc_id(0),in_port(2),eth(),eth_type(0x8100),vlan(vid=7,pcp=0),encap(eth_type(0x0800),ipv4(frag=no))'
      const back = await put(dpif, tagged, 'pop_vlan,1', backend)
      t.equal(ping(a, '10.0.0.2', 3), 3)
      for (const ufid of [there, back]) {
        await eventually(
          () => dpif.get({ ufid }),
          ({ stats }) => stats?.packets === 3n,
        )
      }
    })

    t.test(`headers are rewritten with right checksums by flows in ${backend}`, async (t) => {
      const { dpif, b } = await hosts(t, policy)
      // Port 3 is fed by a datapath, since a namespace leaves checksums to a device that never fills them in.
      const [port, peer] = veth(t)
      await dpif.addPort(port, { number: 3 })
      const far = await open(t, (await datapath(t)).name, kernelOnly())
      await far.addPort(peer, { number: 1 })
      const transport = new NativeTransport()
      t.teardown(() => transport.close())
      const send = await sender(transport, far.datapath.ifindex)

      const key =
        'recirc_id(0),in_port(3),eth(),eth_type(0x0800),ipv4(dst=10.0.0.99,proto=17,frag=no),udp(dst=7777)'
      const actions = [
        `set(eth(dst=${macs[1]}/ff:ff:ff:ff:ff:ff))`,
        'set(ipv4(src=10.0.0.77/255.255.255.255,dst=10.0.0.2/255.255.255.255,ttl=5/0xff))',
        'set(udp(src=5555,dst=9000))',
        '2',
      ]
      const ufid = await put(dpif, key, actions.join(','), backend)

      const receiver = spawn('ip', ['netns', 'exec', b.ns, process.execPath, '-e', RECEIVER], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      t.teardown(() => receiver.kill())
      const lines: string[] = []
      receiver.stdout.on('data', (chunk: Buffer) =>
        lines.push(...chunk.toString().split('\n').filter(Boolean)),
      )
      await eventually(
        () => lines.length,
        (length) => length === 1,
      )
      const frame = {
        src: macs[0],
        dst: '02:00:00:00:00:99',
        from: ['10.0.0.1', 1234],
        to: ['10.0.0.99', 7777],
      } as const
      await send(1, udpFrame({ ...frame, spoil: 1 }), 1)
      // openvswitch changes a checksum by what it rewrites (inet_proto_csum_replace4()), so that a wrong one stays wrong. TC's csum
      // computes it anew over the whole packet (tcf_csum_ipv4_udp(), Linux 6.1), so that a wrong one becomes right.
      const mended = backend === 'tc' ? 1 : 0
      await eventually(
        () => udpOf(b),
        ({ InCsumErrors, InDatagrams }) => InCsumErrors === 1 - mended && InDatagrams === mended,
      )
      await send(1, udpFrame(frame), 3)
      await eventually(
        () => lines.length,
        (length) => length === 4 + mended,
      )
      t.same(lines.slice(1), Array(3 + mended).fill('10.0.0.77 5555 pong'))
      t.equal(udpOf(b).InCsumErrors, 1 - mended)
      await eventually(
        () => dpif.get({ ufid }),
        ({ stats }) => stats?.packets === 4n,
      )
    })
  }

  /** How a flow is changed while packets go through it; none may be lost or doubled. */
  const changes: readonly { name: string; homes: readonly BackendName[] }[] = [
    { name: 'modified in ovs', homes: ['ovs'] },
    { name: 'modified in tc', homes: ['tc'] },
    { name: 'moved between ovs and tc', homes: ['ovs', 'tc'] },
  ]
  for (const { name, homes } of changes) {
    t.test(`a flow that is ${name} under traffic loses no packet`, async (t) => {
      let turn = 0
      const place = () => ({
        choices: [{ backend: homes[turn % homes.length] ?? 'ovs' }],
        reason: 'by turns',
      })
      const { dpif, a, b } = await hosts(t, { name: 'by-turns', place })
      const key = ipv4From(1)
      const ufid = await put(dpif, key, '2', homes[0] ?? 'ovs')
      // A rewrite that changes nothing, so that every version forwards.
      const versions = ['2', `set(eth(dst=${macs[1]}/ff:ff:ff:ff:ff:ff)),2`]
      const COUNT = 2000
      const before = udpOf(b)
      const child = spawn(
        'ip',
        ['netns', 'exec', a.ns, process.execPath, flood, '10.0.0.2', '9', `${COUNT}`],
        {
          stdio: ['ignore', 'inherit', 'inherit'],
        },
      )
      let running = true
      const ended = once(child, 'exit').then(() => {
        running = false
      })
      let packets = 0n
      let underTraffic = 0
      while (running) {
        turn++
        const result = await dpif.put(
          { key, actions: versions[turn % 2] ?? '2' },
          { mode: 'modify', stats: true },
        )
        if (result.error !== undefined) throw new Error(result.error.message)
        const now = result.stats?.packets ?? 0n
        if (now < packets) t.fail(`counters ran backwards: ${now} after ${packets}`)
        if (now > 0n && now < COUNT) underTraffic++
        packets = now
      }
      await ended
      t.equal(child.exitCode, 0)
      t.ok(underTraffic > 2, `changed ${underTraffic} times while packets went through`)
      // Nobody listens, so every datagram that arrives is counted as one for no port.
      const after = await eventually(
        () => udpOf(b),
        ({ NoPorts }) => (NoPorts ?? 0) - (before.NoPorts ?? 0) >= COUNT,
      )
      t.equal((after.NoPorts ?? 0) - (before.NoPorts ?? 0), COUNT, 'each arrived once')
      const { stats } = await dpif.get({ ufid })
      t.ok((stats?.packets ?? 0n) <= BigInt(COUNT), 'none is counted twice')
    })
  }
}
