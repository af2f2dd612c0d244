import t from 'tap'
import { createDatapath, kernelOnly, openDpif } from '../../lib/index.js'
import { ScriptedTransport } from '../../lib/testing/scripted-transport.js'
import { dissect } from '../../lib/testing/simulated-kernel/dissect.js'
import { SimulatedKernel } from '../../lib/testing/simulated-kernel/index.js'
import { udpFrame } from '../fixtures/packets.js'

// What the conformance suite does not ask of the simulated kernel: what frames look like to it, and that packets are nobody's without a
// datapath that is listened to.

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
const ethernet = { dst: '02:00:00:00:00:0b', src: '02:00:00:00:00:0a' }
const macs = '02000000000b 02000000000a'

t.test('a frame is taken apart as the datapath does', async (t) => {
  const frame = { ...ethernet, from: ['10.0.0.1', 1234], to: ['10.0.0.2', 7] } as const
  t.same(dissect(udpFrame(frame)), {
    ethernet,
    etherType: 0x0800,
    ipv4: { src: '10.0.0.1', dst: '10.0.0.2', proto: 17, tos: 0, ttl: 64, frag: 0 },
    udp: { src: 1234, dst: 7 },
  })
  // ARP who has 10.0.0.2, tell 10.0.0.1
  const arp = hex(`${macs} 0806 0001 0800 06 04 0001 02000000000a 0a000001 000000000000 0a000002`)
  t.match(dissect(arp).arp, { op: 1, sip: '10.0.0.1', tip: '10.0.0.2', sha: ethernet.src })
  const nd = `${macs} 86dd 60000000 0018 3a ff ${'fd'.padEnd(30, '0')}01 ${'ff02'.padEnd(30, '0')}01`
  // Neighbour solicitation for fd00::2
  const solicitation = dissect(hex(`${nd} 87 00 0000 00000000 ${'fd'.padEnd(30, '0')}02`))
  t.match(solicitation, {
    ipv6: { proto: 58, hlimit: 255 },
    icmpv6: { type: 135 },
    nd: { target: 'fd00::2' },
  })
  const later = udpFrame(frame)
  later[21] = 1
  t.match(dissect(later), { ipv4: { frag: 2 } })
  t.equal(dissect(later).udp, undefined, 'a later fragment has no ports')
  t.same(dissect(hex(`${macs} 88b5`)), { ethernet, etherType: 0x88b5 })
})

t.test('a frame that is shorter than it says is none', async (t) => {
  const whole = udpFrame({ ...ethernet, from: ['10.0.0.1', 1], to: ['10.0.0.2', 2] })
  for (const size of [0, 13, 20, 33, 41]) t.throws(() => dissect(whole.subarray(0, size)), TypeError)
})

t.test('a packet nobody listens for is counted as lost', async (t) => {
  const transport = new SimulatedKernel()
  transport.addDevice('eth0')
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', policy: kernelOnly(), transport })
  await dpif.addPort('eth0')
  t.equal(transport.receive('eth0', hex(`${macs} 88b5`)).by, 'miss')
  t.match(await dpif.stats(), { missed: 1n, lost: 1n, hit: 0n })
})

t.test('without privileges nobody is handed anything', async (t) => {
  const transport = new SimulatedKernel({ privileged: false })
  await t.rejects(createDatapath('dp0', { transport }), { code: 'NO_PRIVILEGE' })
  const listener = await transport.listen('generic')
  await transport.close()
  t.same(await listener.next(), { done: true, value: undefined })
})

t.test('a script can have somebody listen', async (t) => {
  const page = { bytes: new Uint8Array(16), overruns: 1, drained: true }
  const transport = new ScriptedTransport([{ protocol: 'generic', pids: [7], heard: [page] }])
  const listener = await transport.listen('generic')
  t.same(listener.pids, [7])
  t.same(await listener.next(), { done: false, value: page })
  const waiting = listener.next()
  await listener.close()
  t.same(await waiting, { done: true, value: undefined })
  t.match(transport.sent, [{ call: 'listen', protocol: 'generic' }])
  await t.rejects(transport.listen('route'), /the script has nothing more/)
})
