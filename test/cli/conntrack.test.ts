import t, { type Test } from 'tap'
import { createDatapath, kernelOnly, openDpif } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/simulated-kernel/index.js'
import { udpFrame } from '../fixtures/packets.js'
import { call } from './call.js'

/** A datapath whose flow commits to zone 5 what comes in on eth0. */
async function setUp(t: Test) {
  const kernel = new SimulatedKernel()
  for (const name of ['eth0', 'eth1']) kernel.addDevice(name)
  await createDatapath('dp0', { transport: kernel })
  const dpif = await openDpif({ datapath: 'dp0', policy: kernelOnly(), transport: kernel })
  t.teardown(() => dpif.close())
  for (const name of ['eth0', 'eth1']) await dpif.addPort(name)
  const key = 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
  t.equal((await dpif.put({ key, actions: 'ct(commit,zone=5),2' })).error, undefined)
  const send = (port: number) => {
    const macs = { src: '02:00:00:00:00:0a', dst: '02:00:00:00:00:0b' }
    kernel.receive('eth0', udpFrame({ ...macs, from: ['10.0.0.1', port], to: ['10.0.0.2', 7] }))
  }
  return { kernel, dpif, send, hwacc: (...words: string[]) => call(words, { transport: kernel }) }
}

const line = (port: number) =>
  `udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=${port},dport=7),reply=(src=10.0.0.2,dst=10.0.0.1,sport=7,dport=${port}),zone=5\n`
const good = (out = '') => ({ code: 0, out, err: '' })

t.test('connections are dumped, counted and forgotten, with a datapath or without', async (t) => {
  const { hwacc, send } = await setUp(t)
  t.same(await hwacc('dump-conntrack'), good())
  for (const port of [1, 2, 3]) send(port)
  t.same(await hwacc('dump-conntrack'), good(line(1) + line(2) + line(3)))
  t.same(await hwacc('dump-conntrack', 'dp0', 'zone=5'), good(line(1) + line(2) + line(3)))
  t.same(await hwacc('dump-conntrack', 'zone=6'), good())
  t.match((await hwacc('dump-conntrack', '-m', '-s')).out, /,id=1,zone=5,status=CONFIRMED,timeout=30\n/)
  t.match(JSON.parse((await hwacc('dump-conntrack', '--json', 'zone=5')).out), [
    { zone: 5, original: { srcPort: 1 }, status: ['CONFIRMED'], labels: 0 },
    { original: { srcPort: 2 } },
    { original: { srcPort: 3 } },
  ])
  t.same(await hwacc('dump-conntrack', '--json', 'zone=6'), good('[]\n'))
  t.same(await hwacc('ct-stats-show', 'dp0'), good('Connections Stats:\n    Total: 3\n  UDP: 3\n'))
  t.same(await hwacc('ct-stats-show', 'zone=6', 'verbose'), good('Connections Stats:\n    Total: 0\n'))
  t.same(JSON.parse((await hwacc('ct-stats-show', '--json')).out), {
    ...{ total: 3, protocols: { udp: 3 }, tcpStates: {} },
  })
  const whole = 'ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=7'
  t.match(
    await hwacc('flush-conntrack', whole),
    { code: 1, err: /no such connection.*ENOENT/ },
    'zone 0 is meant',
  )
  t.same(await hwacc('flush-conntrack', 'dp0', 'zone=5', whole), good())
  t.same(await hwacc('flush-conntrack', '', 'ct_nw_proto=17,ct_tp_dst=2'), good())
  t.same(await hwacc('dump-conntrack'), good(line(3)))
  t.same(await hwacc('flush-conntrack', 'zone=6'), good())
  t.same(await hwacc('dump-conntrack'), good(line(3)))
  t.same(await hwacc('flush-conntrack', 'dp0'), good())
  t.same(await hwacc('dump-conntrack'), good())
})

t.test('limits are set, printed and taken back', async (t) => {
  const { hwacc, send } = await setUp(t)
  t.same(await hwacc('ct-get-limits'), good('default limit=0\n'))
  t.same(await hwacc('ct-set-limits', 'dp0', 'default=9', 'zone=5,limit=1', 'limit=4,zone=7'), good())
  for (const port of [1, 2]) send(port)
  t.same(
    await hwacc('ct-get-limits', 'dp0'),
    good('default limit=9\nzone=5,limit=1,count=1\nzone=7,limit=4,count=0\n'),
  )
  t.same(await hwacc('ct-del-limits', 'zone=5,7'), good())
  t.same(await hwacc('ct-get-limits', 'zone=5'), good('default limit=9\nzone=5,limit=9,count=1\n'))
  t.same(JSON.parse((await hwacc('ct-get-limits', '--json')).out), { default: 9, zones: [] })
})

t.test('words that are none are refused, each with what is wrong', async (t) => {
  const { hwacc } = await setUp(t)
  const wrong: readonly (readonly [words: readonly string[], message: string | RegExp])[] = [
    [['dump-conntrack', 'nope'], /datapath 'nope' not found/],
    [['dump-conntrack', 'zone=x'], /'zone=x' is no zone/],
    [['dump-conntrack', 'zone=65536'], /'zone=65536' is no zone/],
    [['flush-conntrack', 'zork=1'], /parsing tuple: 'zork' is no field/],
    [['flush-conntrack', 'zone=1', 'zone=2'], /one zone/],
    [['flush-conntrack', '', '', ''], /invalid arguments/],
    [['ct-set-limits', 'dp0'], /usage: hwacc ct-set-limits/],
    [['ct-set-limits', 'default=x'], /'x' is no number/],
    [['ct-set-limits', 'zone=5'], /'zone=5' is no limit/],
    [['ct-set-limits', 'zone=65536,limit=1'], /is no number from 0 to 65535/],
    [['ct-del-limits', 'dp0'], /is no list of zones/],
    [['ct-get-limits', 'zone=1,x'], /is no list of zones/],
    [['ct-bkts', 'gt=x'], /is no threshold/],
    [['ct-get-nconns'], /Operation not supported/],
    [['ct-set-maxconns', 'dp0', '5'], /Operation not supported/],
    [['--read-only', 'flush-conntrack'], /read only mode/],
    [['--read-only', 'ct-set-limits', 'default=1'], /read only mode/],
  ]
  for (const [words, err] of wrong) t.match(await hwacc(...words), { code: 1, err }, words.join(' '))
  t.same(await hwacc('ct-bkts', 'gt=1'), good('Command is available for UserSpace ConnTracker only.\n'))
})
