import t from 'tap'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { call } from './call.js'

// audit, sweep, trace, and explain of a flow that lives.

const web = 'in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=80),tcp_flags(0/0)'

async function setUp() {
  const kernel = new SimulatedKernel()
  kernel.addEswitch('pci/0000:08:00.0', { mode: 'switchdev' })
  const hwacc = (...words: string[]) => call(words, { transport: kernel })
  await hwacc('add-dp', 'dp0', 'es0_pf0vf0', 'es0_pf0vf1')
  return { kernel, hwacc }
}

const good = (out = '') => ({ code: 0, out, err: '' })

t.test('audit finds what del-if by others left, and sweep takes it away', async (t) => {
  const { hwacc } = await setUp()
  t.same(await hwacc('audit'), good('nothing was found\n'))
  t.same(await hwacc('audit', '--json'), good('[]\n'))
  await hwacc('add-flow', web, '2')
  await hwacc('del-flow', web)
  t.same(
    await hwacc('audit', 'dp0'),
    good("EMPTY_QDISC: 'es0_pf0vf0' has an ingress qdisc that we made, and no filter on it (sweep)\n"),
  )
  const words = "EMPTY_QDISC: 'es0_pf0vf0' has an ingress qdisc that we made, and no filter on it\n"
  t.same(await hwacc('sweep', 'dp0', '--dry-run'), good(`would sweep ${words}`))
  t.match(JSON.parse((await hwacc('sweep', 'dp0', '--dry-run', '--json')).out), [
    { kind: 'EMPTY_QDISC', device: 'es0_pf0vf0', sweepable: true },
  ])
  t.same(await hwacc('sweep', 'dp0'), good(`swept ${words}`))
  t.same(await hwacc('sweep', 'dp0'), good())
  t.match(await hwacc('sweep', 'dp0', '--read-only'), { code: 1, err: /read only/ })
  t.match(await hwacc('sweep'), { code: 1 })
})

t.test('explain tells of a flow that lives, by ufid or key', async (t) => {
  const { hwacc, kernel } = await setUp()
  await hwacc('add-flow', web, '2')
  const [ufid = ''] = /ufid:[-0-9a-f]{36}/.exec((await hwacc('dump-flows', '-m')).out) ?? []
  for (const words of [[ufid], [web], [web, '2']]) {
    const { code, out } = await hwacc('explain', ...words)
    t.equal(code, 0)
    const lines = out.trimEnd().split('\n')
    t.same(lines.slice(0, 3), [
      ufid,
      'lives in tc, in hardware',
      'policy prefer-tc: TC first, openvswitch for what TC cannot carry',
    ])
    t.same(lines.slice(-3), [
      'would go to tc',
      '  es0_pf0vf0: vf, switch e500000000000000, hw-tc-offload on',
      '  es0_pf0vf1: vf, switch e500000000000000, hw-tc-offload on',
    ])
  }
  kernel.loseRules('es0_pf0vf0')
  t.match(JSON.parse((await hwacc('explain', '--json', ufid)).out), {
    flow: { backend: 'tc', offloaded: true },
    changes: [],
    devices: [{ name: 'es0_pf0vf0', hwTcOffload: 'on' }, { name: 'es0_pf0vf1' }],
  })
  await hwacc('del-flow', web)
  t.match(await hwacc('explain', ufid), { code: 1, err: /no backend holds it/ })
  t.match(
    (await hwacc('explain', '--policy', 'kernel-only', web, '2')).out,
    /policy kernel-only would have to name tc/,
  )
})

t.test('explain says what would have to change', async (t) => {
  const kernel = new SimulatedKernel()
  kernel.addEswitch('pci/0000:08:00.0', { mode: 'switchdev', hwTcOffload: false })
  const hwacc = (...words: string[]) => call(words, { transport: kernel })
  await hwacc('add-dp', 'dp0', 'es0_pf0vf0', 'es0_pf0vf1')
  await hwacc('add-flow', web, '2')
  const { out } = await hwacc('explain', web)
  t.match(out, /lives in tc, not in hardware\n/)
  t.ok(
    out.endsWith(
      `for it to be in hardware:
    ethtool -K es0_pf0vf0 hw-tc-offload on
    ethtool -K es0_pf0vf1 hw-tc-offload on
`,
    ),
    out,
  )
})

t.test('trace puts a flow, tells the way, and deletes it again unless it is kept', async (t) => {
  const { hwacc } = await setUp()
  const { code, out } = await hwacc('trace', web, '2')
  t.equal(code, 0)
  const lines = out.trimEnd().split('\n')
  t.match(lines, [
    /^ufid:/,
    'policy prefer-tc: TC first, openvswitch for what TC cannot carry',
    /^ +[\d.]+ us {2}read: viewOf\(\)$/,
    /^ +[\d.]+ us {2}policy: place\(\)$/,
    /^ +[\d.]+ us {2}tc translate: translateFilter\(\)$/,
    /^ +[\d.]+ us {2}tc encode: writeFilter\(\)$/,
    /^ +[\d.]+ us {2}ovs encode: writeFlow\(\)$/,
    /^ +[\d.]+ us {2}send: /,
    'the kernel was not watched: the kernel of this transport is not that of this machine',
    /is in tc$/,
    'in hardware (in_hw)',
    'deleted again',
  ])
  t.same(await hwacc('dump-flows'), good())
  t.match(JSON.parse((await hwacc('trace', '--json', '--keep', web, '2')).out), {
    result: { backend: 'tc' },
    reason: 'TC first, openvswitch for what TC cannot carry',
    kernel: [],
    untraced: /transport/,
    flow: { offloaded: true },
    kept: true,
  })
  t.match(await hwacc('trace', web, '2'), { code: 1, err: /it exists in tc/ })
  t.match((await hwacc('dump-flows')).out, /actions:2\n$/)
  t.match(
    (await hwacc('trace', `skb_mark(0x7),${web.replace('dst=80', 'dst=81')}`, '2')).out,
    /is in ovs\n {2}tc declined: skbMark: .*\ndeleted again\n$/,
  )
  t.match(await hwacc('trace', '--read-only', web, '2'), { code: 1, err: /read only/ })
})
