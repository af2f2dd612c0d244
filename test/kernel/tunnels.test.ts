import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import {
  type BackendName,
  deleteDatapath,
  type Dpif,
  kernelOnly,
  type Policy,
  type TunnelType,
  tcOnly,
} from '../../lib/index.js'
import {
  datapath,
  eventually,
  has,
  ip,
  missing,
  netns,
  open,
  type Owner,
  run,
  tc,
  unique,
  veth,
} from '../fixtures/lab.js'

// Tunnels between a datapath and a host that knows nothing of datapaths: the kernel's own devices on the far side, over one link.
//
//   host a ── port 1 ┐                          ┌── tunnel device
//                    ├ datapath ── tunnel port ─┤
//                    ┘            192.0.2.1 ── 192.0.2.2   host b

t.setTimeout(0)

const macs = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'] as const
const policies: Readonly<Record<BackendName, () => Policy>> = { ovs: kernelOnly, tc: tcOnly }

interface Kind {
  readonly type: TunnelType
  readonly title?: string
  readonly gbp?: true
  /** The far device, as `ip link add` takes it. */
  readonly far: string
  /** What a packet out of the datapath is told beside id, ends and TTL, and what one that comes in is asked beside them. */
  readonly set?: string
  readonly match?: Readonly<Partial<Record<BackendName, string>>>
  /** With an external far device: what its tc asks of packets that come, and says of those that go. */
  readonly tc?: { readonly ask: string; readonly say: string }
  /** Ends are IPv6. */
  readonly v6?: true
}

const ends = 'local 192.0.2.2 remote 192.0.2.1'
const kinds: readonly Kind[] = [
  { type: 'vxlan', far: `vxlan id 7 ${ends} dstport 4789`, set: ',tp_dst=4789' },
  { type: 'geneve', far: 'geneve id 7 remote 192.0.2.1', set: ',tp_dst=6081' },
  { type: 'gre', far: `gretap key 7 ${ends}` },
  { type: 'ip6gre', far: 'ip6gretap key 7 local fd00::2 remote fd00::1', v6: true },
  {
    type: 'vxlan',
    title: 'vxlan with group policy',
    gbp: true,
    far: 'vxlan external gbp dstport 4789',
    set: ',tp_dst=4789,vxlan(gbp(id=5,flags=8))',
    match: { ovs: ',vxlan(gbp(id=6,flags=0))', tc: ',vxlan(gbp(id=6,flags=0))' },
    tc: { ask: 'vxlan_opts 524293', say: 'dst_port 4789 vxlan_opts 6' },
  },
  {
    type: 'geneve',
    title: 'geneve with options',
    far: 'geneve external',
    set: ',tp_dst=6081,geneve({class=0x102,type=0x1,len=4,0x7})',
    // flower cannot match options of exactly one length.
    match: { ovs: ',geneve({class=0x102,type=0x2,len=4,0x8})' },
    tc: { ask: 'geneve_opts 0102:01:00000007', say: 'dst_port 6081 geneve_opts 0102:02:00000008' },
  },
]

interface Site {
  readonly dpif: Dpif
  readonly a: string
  readonly b: string
  readonly port: string
  readonly tunnel: string
  /** Host b's end of the link. */
  readonly far: string
}

async function site(t: Owner, kind: Kind, policy: Policy): Promise<Site> {
  const { name } = await datapath(t)
  const dpif = await open(t, name, policy)
  const [a, b] = [netns(t), netns(t)]
  for (const ns of [a, b]) inside(ns, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad')
  const [port, device] = veth(t)
  ip(`link set ${device} netns ${a} address ${macs[0]} mtu 1400`)
  ip(`-n ${a} address add 10.0.0.1/24 dev ${device}`)
  ip(`-n ${a} link set ${device} up`)
  ip(`-n ${a} neigh add 10.0.0.2 lladdr ${macs[1]} dev ${device}`)
  const [near, far] = veth(t)
  ip(`link set ${far} netns ${b}`)
  ip(`-n ${b} link set ${far} up`)
  ip(`address add 192.0.2.1/24 dev ${near}`)
  ip(`-n ${b} address add 192.0.2.2/24 dev ${far}`)
  ip(`address add fd00::1/64 dev ${near} nodad`)
  ip(`-n ${b} address add fd00::2/64 dev ${far} nodad`)
  ip(`-n ${b} link add tun type ${kind.far}`)
  ip(`-n ${b} link set tun address ${macs[1]} mtu 1400 up`)
  ip(`-n ${b} address add 10.0.0.2/24 dev tun`)
  ip(`-n ${b} neigh add 10.0.0.1 lladdr ${macs[0]} dev tun`)
  if (kind.tc !== undefined) {
    const { ask, say } = kind.tc
    tc(`-n ${b} qdisc add dev tun clsact`)
    tc(`-n ${b} filter add dev tun ingress prio 1 protocol ip flower enc_key_id 7 ${ask} action pass`)
    tc(`-n ${b} filter add dev tun ingress prio 2 matchall action drop`)
    const set = `tunnel_key set src_ip 192.0.2.2 dst_ip 192.0.2.1 id 7 ttl 64 ${say}`
    tc(`-n ${b} filter add dev tun egress prio 1 matchall action ${set}`)
  }
  await dpif.addPort(port, { number: 1 })
  const tunnel = unique('t')
  await dpif.addPort(tunnel, {
    number: 2,
    type: kind.type,
    ...(kind.gbp ? { tunnel: { gbp: kind.gbp } } : {}),
  })
  return { dpif, a, b, port, tunnel, far }
}

const outward = 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
const inner = 'in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)'

function setTunnel({ v6, set = '' }: Kind): string {
  const dst = v6 ? 'ipv6_dst=fd00::2' : 'dst=192.0.2.2'
  return `set(tunnel(tun_id=0x7,${dst},ttl=64${set},flags(key)))`
}

function inward({ v6, match = {} }: Kind, backend: BackendName): string {
  const both = v6 ? 'ipv6_src=fd00::2,ipv6_dst=fd00::1' : 'src=192.0.2.2,dst=192.0.2.1'
  return `recirc_id(0),tunnel(tun_id=0x7,${both},ttl=64/0${match[backend] ?? ''}),${inner}`
}

const inside = (ns: string, ...command: string[]): string => run('ip', 'netns', 'exec', ns, ...command)

/** How many echoes came back; each is waited for a second. */
function ping(ns: string, count: number): number {
  let output: string
  try {
    output = inside(ns, 'ping', '-n', '-i', '0.2', '-W', '1', '-c', `${count}`, '10.0.0.2')
  } catch (error) {
    // ping ends with 1 when nothing came back.
    output = String((error as { stdout?: unknown }).stdout)
  }
  return Number(/(\d+) (packets )?received/.exec(output)?.[1] ?? Number.NaN)
}

async function put(dpif: Dpif, key: string, actions: string, backend: BackendName): Promise<string> {
  const { ufid, error, backend: home } = await dpif.put({ key, actions }, { mode: 'upsert' })
  if (error !== undefined) throw new Error(error.message)
  t.equal(home, backend)
  return ufid
}

/** A checksum of what the other side sent, and of how many bytes. */
const SERVER = `
  const { createServer } = require('node:net')
  createServer((socket) => {
    let bytes = 0, sum = 0
    socket.on('data', (data) => { for (const byte of data) { sum = (sum * 31 + byte) >>> 0; bytes++ } })
    socket.on('end', () => socket.end(bytes + ' ' + sum))
  }).listen(9000, '10.0.0.2', () => console.log('ready'))
`
const CLIENT = `
  const data = Buffer.alloc(200_000, (_, at) => at)
  for (let at = 0; at < data.length; at++) data[at] = at * 7
  let sum = 0
  for (const byte of data) sum = (sum * 31 + byte) >>> 0
  const socket = require('node:net').connect(9000, '10.0.0.2', () => socket.end(data))
  let answer = ''
  socket.on('data', (text) => { answer += text })
  socket.on('close', () => console.log(answer === data.length + ' ' + sum ? 'same' : 'other: ' + answer))
`

/** Says whether 200,000 bytes that go over TCP arrive as they were sent. */
async function exchange(t: Owner, { a, b }: Site): Promise<string> {
  const server = spawn('ip', ['netns', 'exec', b, process.execPath, '-e', SERVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => server.kill())
  await once(server.stdout, 'data')
  const client = spawn('timeout', ['60', 'ip', 'netns', 'exec', a, process.execPath, '-e', CLIENT], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  client.stdout.on('data', (text: Buffer) => {
    said += text
  })
  await once(client, 'close')
  return said.trim()
}

/** Checksums of TCP found wrong in a namespace. */
function wrongChecksums(ns: string): number {
  const [names = '', values = ''] = inside(ns, 'cat', '/proc/net/snmp')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('InCsumErrors')])
}

const packetsOf = async (dpif: Dpif, ufid: string) => (await dpif.get({ ufid })).flow

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else if (!has('tc')) t.plan(0, 'tc is missing')
else {
  for (const kind of kinds) {
    for (const backend of ['ovs', 'tc'] as const) {
      t.test(`${kind.title ?? kind.type}: packets go out and come in by flows in ${backend}`, async (t) => {
        const here = await site(t, kind, policies[backend]())
        const { dpif, a, b } = here
        t.match(
          (await dpif.ports()).find(({ number }) => number === 2),
          { type: kind.type, ...(kind.gbp ? { tunnel: { gbp: true, dstPort: 4789 } } : {}) },
        )
        t.equal(ping(a, 1), 0, 'nothing passes without flows')
        const there = await put(dpif, outward, `${setTunnel(kind)},2`, backend)
        const back = await put(dpif, inward(kind, backend), '1', backend)
        t.equal(ping(a, 3), 3)
        for (const ufid of [there, back]) {
          const seen = await eventually(
            () => packetsOf(dpif, ufid),
            (flow) => flow?.stats.packets === 3n,
          )
          t.equal(seen?.backend, backend)
        }
        t.equal(await exchange(t, here), 'same')
        t.equal(wrongChecksums(a) + wrongChecksums(b), 0)

        // Another key, another end: not matched, in either place.
        await put(dpif, inward(kind, backend), 'drop', backend)
        const other = inward(kind, backend).replace('tun_id=0x7', 'tun_id=0x8')
        const unmatched = await put(dpif, other, '1', backend)
        t.equal(ping(a, 1), 0)
        t.equal((await packetsOf(dpif, unmatched))?.stats.packets, 0n)

        // What is dumped is what was put.
        for await (const flow of dpif.dump()) {
          if (flow.ufid === there) t.equal(flow.actions.length, 2)
          t.equal(flow.backend, backend)
          t.ok(flow.key.inPort === 1 || flow.key.inPort === 2)
        }

        await dpif.delPort(2)
        t.throws(() => ip(`link show ${here.tunnel}`), 'the device goes with its port')
        await dpif.flush()
        t.notMatch(tc('qdisc show'), /ingress|clsact/)
      })
    }
  }

  const [vxlan, geneve] = kinds as readonly [Kind, Kind]

  /** Counts what comes over the link to host b and has `bits` at `at`, counted from the outer IP header. */
  function watch({ b, far }: Site, at: number, bits: number): () => number {
    tc(`-n ${b} qdisc add dev ${far} clsact`)
    const byte = bits.toString(16)
    const udp = 'match ip protocol 17 0xff'
    tc(
      `-n ${b} filter add dev ${far} ingress prio 1 protocol ip u32 ${udp} match u8 0x${byte} 0x${byte} at ${at} action pass`,
    )
    return () => {
      const text = tc(`-n ${b} -s filter show dev ${far} ingress`)
      return Number(/Sent \d+ bytes (\d+) pkt/.exec(text)?.[1])
    }
  }

  for (const backend of ['ovs', 'tc'] as const) {
    const policy = policies[backend]()

    t.test(`a flow in ${backend} that does not look at the tunnel takes packets of any`, async (t) => {
      const { dpif, a } = await site(t, vxlan, policy)
      await put(dpif, outward, `${setTunnel(vxlan)},2`, backend)
      await put(dpif, `recirc_id(0),${inner}`, '1', backend)
      t.equal(ping(a, 2), 2)
    })

    t.test(`without a tunnel set nothing leaves a tunnel port, by a flow in ${backend}`, async (t) => {
      const here = await site(t, vxlan, policy)
      // The UDP port of the outside is 0x12b5.
      const sent = watch(here, 22, 0x12)
      await put(here.dpif, inward(vxlan, backend), '1', backend)
      const ufid = await put(here.dpif, outward, '2', backend)
      t.equal(ping(here.a, 1), 0)
      t.equal((await packetsOf(here.dpif, ufid))?.stats.packets, 1n)
      t.equal(sent(), 0)
      await put(here.dpif, outward, `${setTunnel(vxlan)},2`, backend)
      t.equal(ping(here.a, 1), 1)
      t.equal(sent(), 1)
      // What came through a tunnel does not go back into one by itself.
      await put(here.dpif, inward(vxlan, backend), '2', backend)
      t.equal(ping(here.a, 1), 0)
      t.equal(sent(), 2)
    })

    t.test(`a tunnel that is set is nothing to other ports, by a flow in ${backend}`, async (t) => {
      const { dpif, a } = await site(t, vxlan, policy)
      const [port, peer] = veth(t)
      await dpif.addPort(port, { number: 3 })
      tc(`qdisc add dev ${peer} ingress`)
      tc(`filter add dev ${peer} ingress protocol ip flower action drop`)
      await put(dpif, `recirc_id(0),${inner}`, '1', backend)
      await put(dpif, outward, `${setTunnel(vxlan)},3,2`, backend)
      t.equal(ping(a, 3), 3)
      t.match(run('tc', '-s', 'filter', 'show', 'dev', peer, 'ingress'), /Sent 252 bytes 3 pkt/)
    })
  }

  t.test(
    'the header says that an option is critical by flows in ovs, and TC would not, so it is refused',
    async (t) => {
      const here = await site(t, geneve, kernelOnly())
      const critical = watch(here, 29, 0x40)
      const actions = setTunnel({ ...geneve, set: ',tp_dst=6081,geneve({class=0x102,type=0x80,len=4,0x7})' })
      await put(here.dpif, outward, `${actions},2`, 'ovs')
      ping(here.a, 1)
      t.equal(critical(), 1)
      tc(`qdisc add dev ${here.port} ingress`)
      const set =
        'tunnel_key set src_ip 0.0.0.0 dst_ip 192.0.2.2 id 7 dst_port 6081 geneve_opts 0102:80:00000007'
      tc(
        `filter add dev ${here.port} ingress protocol ip flower action ${set} pipe action mirred egress redirect dev ${here.tunnel}`,
      )
      ping(here.a, 1)
      t.equal(critical(), 1)
      t.match(run('tc', '-s', 'filter', 'show', 'dev', here.port, 'ingress'), /Sent 84 bytes 1 pkt/)
      const { others } = await here.dpif.explain({ key: outward, actions: `${actions},2` })
      t.match(others, [
        { backend: 'tc', objections: [{ code: 'UNSUPPORTED_ACTION', reason: 'KERNEL_RULE' }] },
      ])
    },
  )

  t.test(
    'a mask for the tunnel, unless it is empty, says more than its bits, which TC cannot say',
    async (t) => {
      const { dpif, a } = await site(t, vxlan, kernelOnly())
      const [ip4, ip4Mask] = [
        { etherType: 0x0800, ethernet: {}, ipv4: {} },
        { inPort: 0xffffffff, etherType: 0xffff, tunnel: { ttl: 0 } },
      ]
      const put = async (key: object) => {
        const flow = { key: { ...ip4, ...key }, mask: ip4Mask, actions: [] }
        const { ufid, error } = await dpif.put(flow)
        if (error !== undefined) throw new Error(error.message)
        const { others } = await dpif.explain(flow)
        t.match(others, [{ backend: 'tc', objections: [{ code: 'UNSUPPORTED_MATCH', path: 'tunnel' }] }])
        return ufid
      }
      // Only packets of an IPv4 tunnel, and this port has none.
      const tunnelled = await put({ inPort: 1, tunnel: { dst: '1.2.3.4', ttl: 0 } })
      // Only packets of no tunnel, and this port has only others.
      const plain = await put({ inPort: 2 })
      t.equal(ping(a, 1), 0)
      t.equal((await packetsOf(dpif, tunnelled))?.stats.packets, 0n)
      await dpif.del({ ufid: tunnelled })
      await dpif.put({ key: outward, actions: `${setTunnel(vxlan)},2` })
      t.equal(ping(a, 1), 0)
      t.equal((await packetsOf(dpif, plain))?.stats.packets, 0n)
    },
  )

  t.test('a device that was there stays, whatever kind it is, and others are not taken for it', async (t) => {
    const { name } = await datapath(t)
    const dpif = await open(t, name, kernelOnly())
    const [mine, theirs, plain, other] = [unique('m'), unique('x'), unique('p'), unique('o')]
    ip(`link add ${theirs} type vxlan external dstport 4790`)
    ip(`link add ${plain} type vxlan id 3 dstport 4791`)
    ip(`link add ${other} type veth peer name ${other}p`)
    for (const device of [theirs, plain, other]) t.teardown(() => ip(`link del ${device}`))
    t.match(await dpif.addPort(theirs, { up: true }), { type: 'vxlan', tunnel: { dstPort: 4790 } })
    t.match(await dpif.addPort(plain), { type: 'netdev', tunnel: undefined })
    t.match(await dpif.addPort(mine, { type: 'erspan' }), { type: 'erspan', tunnel: {} })
    t.match(ip(`-d link show ${mine}`), /mtu 65000(.|\n)*erspan external(.|\n)*alias dpif-hw-acc/)
    const vxlan = { type: 'vxlan' } as const
    await t.rejects(dpif.addPort(other, vxlan), { code: 'EXISTS', message: /another device of that name/ })
    await t.rejects(dpif.addPort(plain, { ...vxlan, tunnel: { dstPort: 4791 } }), { code: 'EXISTS' })
    await t.rejects(dpif.addPort(theirs, vxlan), { code: 'EXISTS', message: /another device of that name/ })
    const taken = unique('t')
    await t.rejects(dpif.addPort(taken, { ...vxlan, tunnel: { dstPort: 4790 } }), { code: 'BUSY', errno: 98 })
    t.throws(() => ip(`link show ${taken}`))
    await t.rejects(dpif.addPort(unique('t'), { type: 'erspan' }), { code: 'EXISTS' })
    // A device that was made for a port that could not be goes again.
    const none = unique('t')
    await t.rejects(dpif.addPort(none, { ...vxlan, number: 0xffff }), { code: 'NO_SPACE', errno: 27 })
    t.throws(() => ip(`link show ${none}`))

    await dpif.delPort(theirs)
    t.match(await dpif.addPort(theirs, { ...vxlan, tunnel: { dstPort: 4790 } }), { type: 'vxlan' })
    await dpif.delPort(theirs)
    await dpif.delPort(plain)
    for (const device of [theirs, plain]) t.match(ip(`link show ${device}`), device)
    await deleteDatapath(name)
    t.throws(() => ip(`link show ${mine}`), 'goes with the datapath')
  })
}
