import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import t from 'tap'
import { kernelOnly, NativeTransport } from '../../lib/index.js'
import { datapath, eventually, ip, open, type Owner, run, tc } from '../fixtures/lab.js'
import { sender } from '../fixtures/packets.js'
import {
  type Eswitch,
  eswitchMissing,
  filters,
  type Guest,
  guests,
  inside,
  loadEswitch,
  ping,
  received,
} from '../lab/eswitch/device.js'

// The lab's own e-switch is what it says it is: modes, names, and a table that real packets go through.

t.setTimeout(0)

const read = (device: string, file: string) => readFileSync(`/sys/class/net/${device}/${file}`, 'utf8').trim()

/** An e-switch in mode switchdev; its first ports have a guest each, and an ingress qdisc. */
function bench(t: Owner, ports = 2, ip6 = false) {
  const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
  const reps = Array.from({ length: ports }, (_, vf) => esw.rep(vf))
  const made = guests(
    t,
    reps.map((_, vf) => esw.vf(vf)),
    ip6,
  )
  for (const rep of reps) prepare(rep)
  return { esw, reps: reps as [string, string, string], made: made as [Guest, Guest, Guest] }
}

function prepare(rep: string): void {
  ip(`link set ${rep} addrgenmode none up`)
  tc(`qdisc add dev ${rep} ingress`)
}

const add = (device: string, prio: number, words: string) =>
  tc(`filter add dev ${device} ingress prio ${prio} ${words}`)
const refusal = (device: string, words: string): string => {
  try {
    add(device, 99, words)
    return 'it was taken'
  } catch (error) {
    return String((error as { stderr?: string }).stderr)
  }
}
const to = (device: string) => `action mirred egress redirect dev ${device}`

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  t.test('representors are there in mode switchdev only, with ids and names', async (t) => {
    const [esw, other] = loadEswitch(t, { devices: 2, vfs: 4 }) as [Eswitch, Eswitch]
    const links = () => JSON.parse(run('ip', '-j', 'link')).map((link: { ifname: string }) => link.ifname)
    const mode = () =>
      JSON.parse(run('devlink', '-j', 'dev', 'eswitch', 'show', esw.handle)).dev[esw.handle].mode
    const reps = [esw.uplink, esw.rep(0), esw.rep(1), esw.rep(2), esw.rep(3)]
    t.equal(mode(), 'legacy')
    t.notOk(links().includes(esw.uplink))
    t.equal(read(esw.vf(0), 'carrier_changes'), read(esw.wire, 'carrier_changes'))
    for (const one of [esw, other]) one.mode('switchdev')
    t.equal(mode(), 'switchdev')
    for (const rep of reps) {
      t.ok(links().includes(rep), rep)
      t.equal(read(rep, 'phys_switch_id'), 'e500000000000000')
    }
    t.equal(read(other.rep(0), 'phys_switch_id'), 'e500000000000001')
    t.same(
      reps.map((rep) => read(rep, 'phys_port_name')),
      ['p0', 'pf0vf0', 'pf0vf1', 'pf0vf2', 'pf0vf3'],
    )
    const { port } = JSON.parse(run('devlink', '-j', 'port'))
    t.match(port[`${esw.handle}/0`], { type: 'eth', netdev: esw.uplink, flavour: 'physical' })
    t.match(port[`${esw.handle}/4`], { netdev: esw.rep(3), flavour: 'pcivf', pfnum: 0, vfnum: 3 })
    const { info } = JSON.parse(run('devlink', '-j', 'dev', 'info'))
    t.match(info[esw.handle], { driver: 'eswitch', versions: { running: { fw: '1.0.0' } } })
    t.match(run('ethtool', '-i', esw.rep(0)), /^driver: eswitch\nversion: 1.0.0\nfirmware-version: 1.0.0/)
    esw.mode('legacy')
    t.notOk(links().some((name: string) => reps.includes(name)))
    t.ok(links().includes(esw.vf(0)), 'the virtual machine keeps its end')
  })

  t.test('hw-tc-offload is a switch', async (t) => {
    const [esw] = loadEswitch(t, { switchdev: true, hw_tc_offload: false }) as [Eswitch]
    const rep = esw.rep(0)
    prepare(rep)
    const words = `protocol ip flower skip_sw ${to(esw.rep(1))}`
    t.match(refusal(rep, words), /TC offload is disabled on net device/)
    run('ethtool', '-K', rep, 'hw-tc-offload', 'on')
    add(rep, 1, words)
    t.equal(filters(rep).get(1)?.inHardware, true)
    t.throws(() => run('ethtool', '-K', rep, 'hw-tc-offload', 'off'), 'there are rules')
    tc(`filter del dev ${rep} ingress`)
    for (const state of ['on', 'off']) run('ethtool', '-K', rep, 'hw-tc-offload', state)
    t.match(refusal(rep, words), /TC offload is disabled on net device/)
  })

  t.test('a packet without a rule is seen by software, one with a rule is not', async (t) => {
    const { esw, reps, made } = bench(t)
    const [a, b] = made
    t.equal(ping(a, b.ip4), 0, 'nobody forwards yet')
    for (const [at, rep] of reps.entries())
      add(rep, 1, `protocol ip flower skip_hw ${to(reps[1 - at] as string)}`)
    t.equal(ping(a, b.ip4), 3)
    t.match(filters(reps[0]).get(1), { inHardware: false, packets: 3, hardwarePackets: 0 })
    t.equal(esw.used, 0)
    for (const [at, rep] of reps.entries())
      add(rep, 2, `protocol ip flower skip_sw ${to(reps[1 - at] as string)}`)
    t.equal(esw.used, 2)
    const seen = reps.map(received)
    t.equal(ping(a, b.ip4), 3)
    t.same(reps.map(received), seen, 'the representors saw nothing')
    for (const rep of reps) t.match(filters(rep).get(2), { inHardware: true, packets: 3, hardwarePackets: 3 })
    t.equal(filters(reps[0]).get(1)?.packets, 3, 'nor did the filter in software')
  })

  t.test('the uplink is a port as any other', async (t) => {
    const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
    const [outside, inside] = guests(t, [esw.wire, esw.vf(0)]) as [Guest, Guest]
    for (const rep of [esw.uplink, esw.rep(0)]) prepare(rep)
    add(esw.uplink, 1, `protocol ip flower skip_sw dst_mac ${inside.mac} ${to(esw.rep(0))}`)
    add(esw.rep(0), 1, `protocol ip flower skip_sw ${to(esw.uplink)}`)
    t.equal(ping(outside, inside.ip4), 3)
    t.equal(filters(esw.uplink).get(1)?.hardwarePackets, 3)
    t.equal(received(esw.uplink), 0)
  })

  t.test('drop, mirror, and chains', async (t) => {
    const { esw, reps, made } = bench(t, 3)
    const [a, b, c] = made
    add(reps[1], 1, `protocol ip flower skip_sw ${to(reps[0])}`)
    const mirror = `action mirred egress mirror dev ${reps[2]}`
    add(reps[0], 1, `protocol ip flower skip_sw dst_ip ${b.ip4} ${mirror} ${to(reps[1])}`)
    tc(`-n ${c.namespace} qdisc add dev ${c.device} ingress`)
    tc(`-n ${c.namespace} filter add dev ${c.device} ingress prio 1 protocol ip flower action pass`)
    t.equal(ping(a, b.ip4), 3)
    t.equal(filters(c.device, c.namespace).get(1)?.packets, 3, 'the third guest has a copy of each')
    tc(`filter del dev ${reps[0]} ingress`)
    add(reps[0], 3, 'chain 0 protocol ip flower skip_sw ip_proto icmp action goto chain 5')
    add(reps[0], 3, `chain 5 protocol ip flower skip_sw dst_ip ${b.ip4} ${to(reps[1])}`)
    add(reps[0], 4, `chain 5 protocol ip flower skip_sw action drop`)
    t.equal(ping(a, b.ip4), 3)
    t.equal(ping(a, c.ip4), 0)
    t.match(filters(reps[0]).get(4), { inHardware: true, hardwarePackets: 3 })
    t.equal(esw.used, 4)
    t.equal(received(reps[0]), 0)
    // Two chains that lead to each other: the packet is gone, and the e-switch is not.
    add(reps[0], 1, 'chain 0 protocol ip flower skip_sw action goto chain 7')
    add(reps[0], 1, 'chain 7 protocol ip flower skip_sw action goto chain 0')
    t.equal(ping(a, b.ip4, 1), 0)
  })

  t.test(
    'a packet that misses in a later chain goes on there in software, where the kernel can',
    async (t) => {
      const { reps, made } = bench(t)
      const [a, b] = made
      add(reps[1], 1, `protocol ip flower skip_sw ${to(reps[0])}`)
      add(reps[0], 1, 'chain 0 protocol ip flower skip_sw action goto chain 5')
      add(reps[0], 2, `chain 5 protocol ip flower skip_hw ${to(reps[1])}`)
      add(reps[0], 3, 'chain 0 protocol ip flower skip_hw action drop')
      // The same it takes to recirculate in TC.
      const { features } = await datapath(t)
      const goesOn = features.includes('tcRecircSharing')
      t.equal(ping(a, b.ip4), goesOn ? 3 : 0)
      t.match(filters(reps[0]).get(1), { inHardware: true, hardwarePackets: 3 })
      t.equal(filters(reps[0]).get(2)?.packets, goesOn ? 3 : 0)
      t.equal(filters(reps[0]).get(3)?.packets, goesOn ? 0 : 3, 'else it begins anew')
    },
  )

  t.test('tags are pushed, popped and changed', async (t) => {
    const { reps, made } = bench(t)
    const [a, b] = made
    // b sees the same address behind a tag.
    const tagged = (guest: Guest, vid: number) => {
      const [mine, other] = guest === a ? ['10.1.0.1', '10.1.0.2'] : ['10.1.0.2', '10.1.0.1']
      inside(guest, [
        `link add link ${guest.device} name tag${vid} type vlan id ${vid}`,
        `link set tag${vid} addrgenmode none up`,
        `addr add ${mine}/24 dev tag${vid}`,
        `neigh add ${other} lladdr ${guest === a ? b.mac : a.mac} dev tag${vid}`,
      ])
    }
    tagged(b, 9)
    inside(a, [`addr add 10.1.0.1/24 dev ${a.device}`, `neigh add 10.1.0.2 lladdr ${b.mac} dev ${a.device}`])
    add(
      reps[0],
      1,
      `protocol ip flower skip_sw dst_ip 10.1.0.2 action vlan push id 9 priority 3 ${to(reps[1])}`,
    )
    const pop = 'protocol 802.1q flower skip_sw vlan_id 9 vlan_ethtype ip action vlan pop'
    add(reps[1], 1, `${pop} ${to(reps[0])}`)
    t.equal(ping(a, '10.1.0.2'), 3)
    for (const rep of reps) t.equal(filters(rep).get(1)?.hardwarePackets, 3)
    for (const rep of reps) tc(`filter del dev ${rep} ingress`)
    ip(`-n ${a.namespace} addr del 10.1.0.1/24 dev ${a.device}`)
    tagged(a, 7)
    const modify = (from: number, into: number) =>
      `protocol 802.1q flower skip_sw vlan_id ${from} vlan_ethtype ip action vlan modify id ${into}`
    add(reps[0], 1, `${modify(7, 9)} ${to(reps[1])}`)
    add(reps[1], 1, `${modify(9, 7)} ${to(reps[0])}`)
    t.equal(ping(a, '10.1.0.2'), 3)
    for (const rep of reps) t.equal(filters(rep).get(1)?.hardwarePackets, 3)
  })

  t.test('addresses and ports are rewritten, with checksums that are right', async (t) => {
    const { reps, made } = bench(t, 2, true)
    const [a, b] = made
    for (const address of ['10.0.0.9', 'fd00::9'])
      ip(`-n ${a.namespace} neigh add ${address} lladdr ${b.mac} dev ${a.device}`)
    let prio = 1
    for (const proto of ['udp', 'tcp']) {
      for (const [type, family, fake, real] of [
        ['ip', 'ip', '10.0.0.9', b.ip4],
        ['ipv6', 'ip6', 'fd00::9', b.ip6],
      ]) {
        const match = `protocol ${type} flower skip_sw ip_proto ${proto}`
        const csum = `pipe action csum ${family === 'ip' ? 'ip and ' : ''}${proto}`
        const there = `munge ${family} dst set ${real} munge ${proto} dport set 7001`
        const back = `munge ${family} src set ${fake} munge ${proto} sport set 7000`
        add(reps[0], prio, `${match} dst_port 7000 action pedit ex ${there} ${csum} ${to(reps[1])}`)
        add(reps[1], prio++, `${match} src_port 7001 action pedit ex ${back} ${csum} ${to(reps[0])}`)
      }
    }
    const server = script(t, b, SERVER)
    await once(server.stdout, 'data')
    const client = script(t, a, CLIENT)
    const said: string[] = []
    client.stdout.on('data', (bytes: Buffer) => said.push(bytes.toString()))
    await once(client, 'close')
    t.same(said.join('').trim().split('\n').sort(), [
      'tcp 10.0.0.9',
      'tcp fd00::9',
      'udp 10.0.0.9',
      'udp fd00::9',
    ])
    const counts = [...filters(reps[0]).values()].map((filter) => filter.hardwarePackets)
    t.equal(counts.filter((count) => count > 0).length, 4)
  })

  t.test('hardware sees in a packet what flower sees in software', async (t) => {
    const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
    const { name, ifindex } = await datapath(t)
    const dpif = await open(t, name, kernelOnly())
    await dpif.addPort(esw.vf(1), { number: 1 })
    // IPv6 has something to tell on every device.
    writeFileSync(`/proc/sys/net/ipv6/conf/${esw.vf(1)}/disable_ipv6`, '1')
    ip(`link set ${esw.vf(1)} up`)
    prepare(esw.rep(1))
    const transport = new NativeTransport()
    t.teardown(() => transport.close())
    const send = await sender(transport, ifindex)
    const rep = esw.rep(1)
    // Frame n is sent 2^n times: a filter's counter says which of them it saw.
    const halves = [FRAMES.slice(0, 7), FRAMES.slice(7)]
    const hits = async (where: string, words: string) => {
      const seen: number[] = []
      for (const frames of halves) {
        add(rep, 1, `${words.replace('flower', `flower ${where}`)} action drop`)
        const before = received(rep)
        for (const [at, bytes] of frames.entries()) await send(1, bytes, 1 << at)
        // In hardware it is done at once; software has it a moment later.
        if (where === 'skip_hw') {
          await eventually(
            () => received(rep) - before,
            (count) => count === (1 << frames.length) - 1,
          )
        }
        seen.push(filters(rep).get(1)?.packets ?? -1)
        tc(`filter del dev ${rep} ingress`)
      }
      return seen
    }
    for (const words of KEYS) {
      const software = await hits('skip_hw', words)
      t.same(await hits('skip_sw', words), software, words)
      t.ok(
        software.some((count) => count > 0),
        `${words} sees a packet`,
      )
    }
  })

  t.test('what cannot be done is refused with a sentence', async (t) => {
    const [esw, other] = loadEswitch(t, { devices: 2, switchdev: true }) as [Eswitch, Eswitch]
    prepare(esw.rep(0))
    const ipv4 = 'protocol ip flower skip_sw'
    // biome-ignore format: a table
    const cases: readonly (readonly [words: string, sentence: RegExp])[] = [
      [`${ipv4} ${to(other.rep(0))}`, /cannot send to a port that is not of this e-switch/],
      [`${ipv4} ${to('lo')}`, /cannot send to a port that is not of this e-switch/],
      [`${ipv4} ${to(esw.vf(1))}`, /cannot send to a port that is not of this e-switch/],
      [`${ipv4} action mirred egress mirror dev ${esw.rep(1)}`, /one action has to say where the packet goes, the last/],
      [`${ipv4} ip_proto tcp dst_port 1-9 action drop`, /cannot match on ports_range/],
      [`${ipv4} ct_state +trk action drop`, /cannot match on ct/],
      [`${ipv4} enc_key_id 5 action drop`, /cannot match on enc/],
      [`${ipv4} action skbedit mark 5 ${to(esw.rep(1))}`, /cannot carry out mark/],
      [`${ipv4} action pedit ex munge ip ttl add 255 ${to(esw.rep(1))}`, /cannot carry out add/],
    ]
    for (const [words, sentence] of cases) t.match(refusal(esw.rep(0), words), sentence, words)
    t.equal(esw.used, 0)
  })
}

function script(t: Owner, guest: Guest, text: string) {
  const words = ['netns', 'exec', guest.namespace, process.execPath, '-e', text]
  const child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill())
  return child
}

// Echoes on 7001, by whatever way it is asked.
const SERVER = `
const dgram = require('node:dgram'), net = require('node:net')
const ready = []
for (const type of ['udp4', 'udp6']) {
  const socket = dgram.createSocket({ type, ipv6Only: type === 'udp6' })
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address))
  ready.push(new Promise((done) => socket.bind(7001, done)))
}
const server = net.createServer((socket) => socket.pipe(socket))
ready.push(new Promise((done) => server.listen(7001, '::', done)))
Promise.all(ready).then(() => console.log('ready'))`

// Says who answered; gives up after a while.
const CLIENT = `
const dgram = require('node:dgram'), net = require('node:net')
let open = 4
const done = (text) => { console.log(text); if (--open === 0) process.exit() }
for (const address of ['10.0.0.9', 'fd00::9']) {
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', () => done('udp ' + address))
  socket.send('hello', 7000, address)
  const stream = net.connect(7000, address, () => stream.write('hello'))
  stream.on('data', () => done('tcp ' + address)).on('error', (error) => done(String(error)))
}
setTimeout(() => process.exit(1), 20_000)`

// biome-ignore format: one filter per line
const KEYS = [
  'protocol all flower',
  'protocol all flower dst_mac 02:00:00:00:00:02',
  'protocol all flower src_mac 02:00:00:00:00:00/ff:ff:ff:ff:ff:00',
  'protocol ip flower',
  'protocol ip flower src_ip 10.0.0.0/8',
  'protocol ip flower dst_ip 10.0.0.2 ip_proto udp',
  'protocol ip flower ip_tos 0x20/0xfc',
  'protocol ip flower ip_ttl 64',
  'protocol ip flower ip_flags frag',
  'protocol ip flower ip_flags nofrag',
  'protocol ip flower ip_flags frag/firstfrag',
  'protocol ip flower ip_proto udp dst_port 53',
  'protocol ip flower ip_proto tcp src_port 1024/0xff00',
  'protocol ip flower ip_proto tcp tcp_flags 0x2/0x12',
  'protocol ip flower ip_proto icmp type 8 code 0',
  'protocol ipv6 flower dst_ip fd00::/16',
  'protocol ipv6 flower ip_proto udp dst_port 53',
  'protocol arp flower arp_op request arp_tip 10.0.0.2',
  'protocol 802.1q flower vlan_id 7',
  'protocol 802.1q flower vlan_prio 5',
  'protocol 802.1q flower vlan_id 7 vlan_ethtype ip dst_ip 10.0.0.2',
  'protocol 802.1q flower vlan_id 7 vlan_ethtype 802.1q cvlan_id 9 cvlan_ethtype ip',
  'protocol mpls_uc flower mpls_label 5',
] as const

const MACS = '020000000002020000000001'
const frame = (...parts: string[]) =>
  new Uint8Array(Buffer.from([MACS, ...parts, '00'.repeat(40)].join('').replaceAll(' ', ''), 'hex'))
// tos, flags and offset, ttl, protocol; 10.0.0.1 to 10.0.0.2
const ip4 = (tos: string, fragment: string, ttl: string, proto: string) =>
  `45${tos}0028 0001${fragment} ${ttl}${proto}0000 0a000001 0a000002`
const PORTS = '0400 0035'
const FRAMES = [
  frame('0800', ip4('00', '0000', '40', '11'), PORTS, '0014 0000'),
  frame('0800', ip4('20', '4000', '3f', '11'), PORTS, '0014 0000'),
  frame('0800', ip4('00', '2000', '40', '11'), PORTS, '0014 0000'),
  frame('0800', ip4('00', '2001', '40', '11'), PORTS),
  frame('0800', ip4('00', '0000', '40', '06'), PORTS, '00000001 00000000 5002 2000 0000 0000'),
  frame('0800', ip4('00', '0000', '40', '06'), PORTS, '00000001 00000001 5012 2000 0000 0000'),
  frame('0800', ip4('00', '0000', '40', '01'), '0800 0000 0001 0001'),
  frame(
    '86dd',
    '60000000 0014 11 40',
    `fd00${'00'.repeat(13)}01`,
    `fd00${'00'.repeat(13)}02`,
    PORTS,
    '0014 0000',
  ),
  frame('0806', '0001 0800 06 04 0001', '020000000001 0a000001 000000000000 0a000002'),
  frame('8100 a007 0800', ip4('00', '0000', '40', '11'), PORTS, '0014 0000'),
  frame('8100 0007 8100 0009 0800', ip4('00', '0000', '40', '11'), PORTS, '0014 0000'),
  frame('8100 0008 0800', ip4('00', '0000', '40', '11'), PORTS, '0014 0000'),
  frame('8847 00005140', ip4('00', '0000', '40', '11'), PORTS),
]
