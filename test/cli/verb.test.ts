import t from 'tap'
import { policies } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { call } from './call.js'

const web = 'in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=80)'
const arp = 'in_port(2),eth(),eth_type(0x0806),arp(op=1)'
const ufid = '00000000-0000-4000-8000-000000000001'

/** A kernel with datapath dp0, and a way to call the command line on it. */
async function setUp() {
  const kernel = new SimulatedKernel()
  for (const name of ['eth0', 'eth1', 'eth2']) kernel.addDevice(name)
  const hwacc = (...words: string[]) => call(words, { transport: kernel })
  const feed = (input: string, ...words: string[]) => call(words, { transport: kernel, input })
  await hwacc('add-dp', 'dp0', 'eth0', 'eth1,port_no=2')
  return { kernel, hwacc, feed }
}

const good = (out = '') => ({ code: 0, out, err: '' })

t.test('datapaths and ports come and go', async (t) => {
  const { hwacc } = await setUp()
  t.same(await hwacc('dump-dps'), good('system@dp0\n'))
  t.same(await hwacc('add-dp', 'system@a1'), good())
  t.same(await hwacc('dump-dps'), good('system@a1\nsystem@dp0\n'))
  t.same(await hwacc('del-dp', 'system@a1'), good())
  t.match(await hwacc('del-dp', 'a1'), { code: 1, err: /^hwacc: cannot open datapath 'a1': .*\n$/ })

  t.same(await hwacc('add-if', 'dp0', 'int0,type=internal,port_no=7'), good())
  const some = await hwacc('add-if', 'dp0', 'nope', 'eth2', 'x,type=zork', 'x,zork=flow', 'x,port_no=many')
  t.equal(some.code, 1)
  const [device, ...settings] = some.err.trimEnd().split('\n')
  t.match(device, /^hwacc: cannot add port 'nope'/)
  t.same(settings, [
    "hwacc: x: 'zork' is no type of port; there are system, netdev, internal, gre, ip6gre, erspan, ip6erspan, vxlan, geneve",
    "hwacc: x: option 'zork' is not supported; there are type, port_no, dst_port, exts, key, local_ip, remote_ip",
    "hwacc: x: 'many' is no port number",
  ])
  const { out } = await hwacc('show')
  t.match(out, /^system@dp0:\n {2}lookups: hit:0 missed:0 lost:0\n {2}flows: 0\n/)
  t.ok(
    out.endsWith(
      '  port 0: dp0 (internal)\n  port 1: eth0\n  port 2: eth1\n  port 3: eth2\n  port 7: int0 (internal)\n',
    ),
    out,
  )
  t.same(await hwacc('del-if', 'dp0', 'eth2', '7'), good())
  t.match(await hwacc('del-if', 'dp0', 'eth2', 'eth1'), {
    code: 1,
    err: /^hwacc: cannot delete port 'eth2'.*\n$/,
  })
  t.notMatch((await hwacc('show', 'system@dp0')).out, /eth1|eth2|int0/)
})

t.test('tunnels are added with the options of ovs-dpctl, and shown with them', async (t) => {
  const { hwacc } = await setUp()
  const interfaces = [
    'vxlan_sys_4789,type=vxlan,key=flow,remote_ip=flow,port_no=4',
    'vx,type=vxlan,dst_port=4790,exts=gbp,port_no=5',
    'gre_sys,type=gre,port_no=6',
  ]
  t.same(await hwacc('add-if', 'dp0', ...interfaces), good())
  const { out } = await hwacc('show')
  t.ok(
    out.endsWith(`  port 4: vxlan_sys_4789 (vxlan: key=flow, remote_ip=flow)
  port 5: vx (vxlan: dst_port=4790, exts=gbp, key=flow, remote_ip=flow)
  port 6: gre_sys (gre: key=flow, remote_ip=flow)
`),
    out,
  )
  t.match(JSON.parse((await hwacc('show', '--json')).out)[0].ports[4], {
    type: 'vxlan',
    tunnel: { dstPort: 4790, gbp: true },
  })
  const wrong = [
    'x,type=vxlan,remote_ip=192.0.2.1',
    'x,type=vxlan,exts=gpe',
    'x,type=vxlan,dst_port=0',
    'x,type=gre,exts=gbp',
  ]
  const { code, err } = await hwacc('add-if', 'dp0', ...wrong, 'x,dst_port=4789', 'x,type=vxlan')
  t.equal(code, 1)
  t.same(err.trimEnd().split('\n').slice(0, 5), [
    'hwacc: x: remote_ip=192.0.2.1: flows say that; only remote_ip=flow is supported',
    "hwacc: x: 'gpe' is no extension; there is gbp",
    "hwacc: x: '0' is no UDP port",
    'hwacc: tunnels of type gre have no group policy',
    "hwacc: 'x': a port of type netdev is no tunnel, but has settings of one",
  ])
  t.match(err, /hwacc: cannot make vxlan device 'x': .*has the UDP port already.* \(EEXIST\)\n$/)
  t.same(await hwacc('del-if', 'dp0', 'vxlan_sys_4789', '5', 'gre_sys'), good())
  t.match(await hwacc('add-if', 'dp0', 'vx'), { code: 1, err: /no such device/ })
})

t.test('show -s prints the counters there are, and ? for those a vport has not', async (t) => {
  const { kernel, hwacc } = await setUp()
  kernel.receive('eth0', { etherType: 0x88b5, ethernet: {} }, 3 * 1024 * 1024)
  const { out } = await hwacc('show', '-s')
  t.match(
    out,
    /port 1: eth0\n {4}RX packets:\d+ errors:0 dropped:0 overruns:\? frame:\?\n {4}TX packets:\d+ errors:0 dropped:0 aborted:\? carrier:\?\n {4}collisions:\?\n {4}RX bytes:\d+.*  TX bytes:\d+/,
  )
})

t.test('one datapath that is missing does not keep the others from being shown', async (t) => {
  const { hwacc } = await setUp()
  const { code, out, err } = await hwacc('show', 'nope', 'dp0')
  t.equal(code, 1)
  t.match(err, /^hwacc: cannot open datapath 'nope'[^\n]*\n$/)
  t.match(out, /^system@dp0:\n/)
})

t.test('the datapath may be left out while there is one', async (t) => {
  const { hwacc } = await setUp()
  for (const words of [
    ['add-flow', 'dp0', web, '2'],
    ['mod-flow', web, '2'],
    ['get-flow', 'system@dp0', web],
    ['del-flow', web],
  ]) {
    t.match(await hwacc(...words), { code: 0, err: '' }, words.join(' '))
  }
  t.match(await hwacc('add-flow', 'nope', web, '2'), {
    code: 1,
    err: "hwacc: datapath 'nope' not found; there is dp0\n",
  })
  t.match(await hwacc('dump-flows', 'nope'), {
    code: 1,
    err: "hwacc: datapath 'nope' not found; there is dp0\n",
  })
  t.match(await hwacc('add-flow', 'dp0', web), {
    code: 1,
    err: 'hwacc: usage: hwacc add-flow [DP] FLOW ACTIONS\n',
  })
  await hwacc('add-dp', 'a1')
  t.match(await hwacc('dump-flows'), { code: 1, err: 'hwacc: multiple datapaths, specify one of a1, dp0\n' })
  await hwacc('del-dp', 'a1')
  await hwacc('del-dp', 'dp0')
  t.match(await hwacc('dump-flows'), { code: 1, err: 'hwacc: no datapaths exist\n' })
})

t.test('a flow is added, changed, printed and deleted', async (t) => {
  const { hwacc } = await setUp()
  t.same(await hwacc('add-flow', `ufid:${ufid},${web}`, 'eth1'), good())
  t.match(await hwacc('add-flow', `ufid:${ufid},${web}`, '2'), {
    code: 1,
    err: /^hwacc: cannot create flow .* exists/,
  })
  t.same(await hwacc('dump-flows'), good(`recirc_id(0),${web}, packets:0, bytes:0, used:never, actions:2\n`))
  t.same(
    await hwacc('dump-flows', '--names'),
    good(`recirc_id(0),${web.replace('1', 'eth0')}, packets:0, bytes:0, used:never, actions:eth1\n`),
  )
  t.same(
    await hwacc('mod-flow', '-s', `ufid:${ufid},${web}`, 'drop'),
    good('packets:0, bytes:0, used:never\n'),
  )
  for (const name of [`ufid:${ufid}`, ufid]) {
    t.same(
      await hwacc('get-flow', name),
      good(`recirc_id(0),${web}, packets:0, bytes:0, used:never, actions:drop\n`),
    )
  }
  const more = await hwacc('get-flow', '-m', `ufid:${ufid}`)
  t.match(more.out, new RegExp(`^ufid:${ufid}, recirc_id\\(0\\),in_port\\(eth0\\).* dp:tc, actions:drop\n$`))
  t.match((await hwacc('get-flow', '-m', '--no-names', `ufid:${ufid}`)).out, /in_port\(1\)/)
  t.same(await hwacc('del-flow', '-s', `ufid:${ufid}`), good('packets:0, bytes:0, used:never\n'))
  for (const verb of ['del-flow', 'get-flow']) {
    t.match(await hwacc(verb, `ufid:${ufid}`), {
      code: 1,
      out: '',
      err: /^hwacc: cannot (get|delete) flow .* no backend holds it\n$/,
    })
    t.match(await hwacc(verb, 'zork'), { code: 1, out: '', err: /^hwacc: parsing flow: .* before 'zork'\n$/ })
  }
  t.match(await hwacc('mod-flow', web, '2'), { code: 1, err: /no backend holds it/ })
  t.same(await hwacc('mod-flow', '--may-create', web, '2'), good())
  t.same(await hwacc('del-flow', web), good(), 'the ufid it got comes from its key')
})

t.test('counters are printed as they were before, and --clear sets them back', async (t) => {
  const { kernel, hwacc } = await setUp()
  const ip = 'in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)'
  await hwacc('add-flow', '--policy', 'kernel-only', ip, '1')
  kernel.receive('eth1', { etherType: 0x0800, ethernet: {}, ipv4: { proto: 253 } }, 60)
  const put = (...options: string[]) =>
    hwacc('mod-flow', '-s', '--policy', 'kernel-only', ...options, ip, '1')
  t.match((await hwacc('dump-flows')).out, / packets:1, bytes:60, used:\d+\.\d{3}s, actions:1\n$/)
  t.match((await put('--clear')).out, /^packets:1, bytes:60, used:\d+\.\d{3}s\n$/)
  t.same(await put(), good('packets:0, bytes:0, used:never\n'))
})

t.test('a policy says where a flow goes, -v and --json say where it went', async (t) => {
  const { hwacc } = await setUp()
  t.match((await hwacc('add-flow', '-v', web, '2')).out, /^ufid:[-0-9a-f]{36} is in tc\n$/)
  const recirculated = 'recirc_id(4),in_port(1),eth(),eth_type(0x0806),arp()'
  t.match(
    (await hwacc('add-flow', '-m', recirculated, '2')).out,
    /^ufid:[-0-9a-f]{36} is in ovs\n  tc declined: recircId: .*\n$/,
  )
  const { out } = await hwacc('mod-flow', '--json', recirculated, '1')
  t.match(JSON.parse(out), {
    backend: 'ovs',
    declined: [{ backend: 'tc', code: 'UNSUPPORTED_MATCH', path: 'recircId' }],
  })
  t.match(await hwacc('add-flow', '--policy', 'tc-only', recirculated.replace('4', '5'), '2'), {
    code: 1,
    err: /recircId/,
  })
  t.match((await hwacc('add-flow', '-v', '--policy', 'by-port:2=kernel-only', arp, '1')).out, / is in ovs\n/)
  t.match(await hwacc('add-flow', '--policy', 'zork', arp, '1'), {
    code: 1,
    err: `hwacc: 'zork' is no policy; there are ${Object.keys(policies).join(', ')}\n`,
  })
  const count = async (type: string) => (await hwacc('dump-flows', `type=${type}`)).out.split('\n').length - 1
  t.same(
    await Promise.all(['ovs', 'tc', 'all', 'offloaded', 'non-offloaded', 'tc,ovs'].map(count)),
    [2, 1, 3, 0, 3, 3],
  )
})

t.test('explain says where a flow would go, and why, and puts nothing', async (t) => {
  const { hwacc } = await setUp()
  const { code, out } = await hwacc(
    'explain',
    'recirc_id(4),in_port(eth0),eth(),eth_type(0x0800),ipv4()',
    'eth1',
  )
  t.equal(code, 0)
  const [first, ...lines] = out.trimEnd().split('\n')
  t.match(first, /^ufid:/)
  t.match(lines, [
    'policy prefer-tc: TC first, openvswitch for what TC cannot carry',
    /^ {2}tc: recircId: .* \(UNSUPPORTED_MATCH, NOT_REACHED\)$/,
    '  ovs: nothing is known to stand against it',
    'would go to ovs',
    /^ {2}eth0: other, on no e-switch, hw-tc-offload /,
    /^ {2}eth1: other, on no e-switch, hw-tc-offload /,
    'for it to be in hardware:',
    /^ {4}recircId: .*; put that one first$/,
    /^ {4}'eth0' is no port of an e-switch/,
    /^ {4}'eth1' is no port of an e-switch/,
  ])
  const refused = await hwacc(
    'explain',
    '--policy',
    'tc-only:skip_sw',
    'recirc_id(4),in_port(1),eth(),eth_type(0x0800),ipv4()',
    '2',
  )
  t.match(
    refused.out,
    /\n {2}tc skip_sw: recircId: .*\n {2}ovs, which the policy does not name: nothing is .*\nwould be refused\n/,
  )
  t.match(JSON.parse((await hwacc('explain', '--json', web, '2')).out), {
    policy: 'prefer-tc',
    choices: [
      {
        backend: 'tc',
        objections: [],
        filter: /^tc filter add dev eth0 ingress protocol ip pref 2 flower .*dev eth1 /,
      },
      { backend: 'ovs', objections: [] },
    ],
    others: [],
    backend: 'tc',
  })
  const carried = (await hwacc('explain', web, '2')).out.split('\n')
  t.match(
    carried[3],
    /^ {4}tc filter add dev eth0 ingress .* action mirred egress redirect dev eth1 cookie [0-9a-f]{32} no_percpu$/,
  )
  const inWords = (
    await hwacc('explain', 'in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.3.0/255.0.255.0)', '2')
  ).out
  t.match(
    inWords,
    /\n {4}# tc has no words for src_ip 10.0.3.0\/255.0.255.0: a mask that is no prefix\n {4}# tc filter add/,
  )
  const json = JSON.parse(
    (
      await hwacc(
        'explain',
        '--json',
        '--policy',
        'kernel-only',
        'in_port(1),eth(),eth_type(0x0800),ipv4(proto=16/0xf0)',
        '2',
      )
    ).out,
  )
  t.match(json, {
    others: [{ backend: 'tc', objections: [{ path: 'ipv4.proto', reason: 'PARTIAL_MASK' }] }],
    backend: 'ovs',
  })
  t.same(await hwacc('dump-flows'), good())
})

t.test('the good lines of a file are done, the bad ones are named', async (t) => {
  const { kernel, hwacc, feed } = await setUp()
  const lines = [
    '# a comment',
    `${web} 2`,
    'in_port(1),eth() zork',
    'bogus',
    '',
    `add ${arp} eth0`,
    `${web} 1`,
    `del ${arp}`,
    `mod ${web} 1`,
  ]
  let exchanges = 0
  const exchange = kernel.exchange.bind(kernel)
  kernel.exchange = (protocol, batch, lane) => {
    exchanges++
    return exchange(protocol, batch, lane)
  }
  const { code, out, err } = await feed(lines.join('\n'), 'add-flows', 'dp0', '-')
  t.equal(code, 1)
  t.equal(out, '')
  const said = err.trimEnd().split('\n')
  t.equal(said.length, 3)
  t.match(said, [/^hwacc: stdin:3: .*zork/, /^hwacc: stdin:4: .*bogus/, /^hwacc: stdin:7: .*exists/])
  t.same(await hwacc('dump-flows'), good(`recirc_id(0),${web}, packets:0, bytes:0, used:never, actions:1\n`))

  const file = t.testdir({ flows: lines.join('\n') })
  const inJson = await hwacc('mod-flows', '--may-create', '--json', `${file}/flows`)
  t.equal(inJson.code, 1)
  t.match(inJson.err, new RegExp(`^hwacc: ${file}/flows:3: `))
  t.match(
    JSON.parse(inJson.out).map(({ line, error }: { line: number; error?: { code: string } }) => [
      line,
      error?.code,
    ]),
    [
      [2, undefined],
      [3, 'SYNTAX'],
      [4, 'SYNTAX'],
      [6, undefined],
      [7, undefined],
      [8, undefined],
      [9, undefined],
    ],
  )

  exchanges = 0
  const many = Array.from(
    { length: 500 },
    (_, n) => `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.${n >> 8}.${n & 255}) 2`,
  )
  t.same(await feed(many.join('\n'), 'add-flows', '-'), good())
  t.ok(exchanges < 20, `500 flows took ${exchanges} exchanges`)
  t.match(await hwacc('add-flows', '/no/such/file'), {
    code: 1,
    err: "hwacc: cannot read '/no/such/file': no such file\n",
  })
})

t.test('what dump-flows prints, add-flows and del-flows read', async (t) => {
  const { hwacc, feed } = await setUp()
  await hwacc('add-flow', web, 'push_vlan(vid=3,pcp=1),2')
  await hwacc(
    'add-flow',
    '--policy',
    'kernel-only',
    'in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)',
    'drop',
  )
  for (const option of ['-m', '--names', '--no-names']) {
    const { out } = await hwacc('dump-flows', option)
    // A filter is found by its ufid, which only -m prints.
    const del = option === '-m' ? feed(out, 'del-flows', '-') : hwacc('del-flows')
    t.same(await del, good(), option)
    t.same(await hwacc('dump-flows'), good())
    t.same(await feed(out, 'add-flows', '--policy', 'by-port:2=kernel-only', '-'), good())
    t.equal((await hwacc('dump-flows', option)).out, out)
  }
  t.same(await hwacc('del-flows'), good())
  t.same(await hwacc('dump-flows'), good())
})

t.test('dump-flows --json is one document, big numbers and bytes included', async (t) => {
  const { hwacc } = await setUp()
  t.same(JSON.parse((await hwacc('dump-flows', '--json')).out), [])
  await hwacc('add-flow', web, '2')
  await hwacc(
    'add-flow',
    'skb_mark(1),in_port(2),ct_label(0x1234567890abcdef1234/0xffffffffffffffffffff),eth(),eth_type(0x0800),ipv4(frag=no)',
    '1',
  )
  const flows = JSON.parse((await hwacc('dump-flows', '--json')).out)
  t.match(flows, [
    {
      backend: 'tc',
      offloaded: false,
      key: { inPort: 1 },
      actions: [{ output: 2 }],
      stats: { packets: 0, idleMs: null },
    },
    { backend: 'ovs', key: { ctLabels: String(0x1234567890abcdef1234n) } },
  ])
  t.match(JSON.parse((await hwacc('get-flow', '--json', web)).out), {
    backend: 'tc',
    actions: [{ output: 2 }],
  })
  t.match(JSON.parse((await hwacc('show', '--json')).out), [
    { name: 'dp0', ports: [{ number: 0 }, { name: 'eth0' }, { number: 2 }] },
  ])
  t.match(JSON.parse((await hwacc('dump-dps', '--json')).out), [{ name: 'dp0', stats: { flows: 1 } }])
})

t.test('a dump that was interrupted prints what it saw and says so', async (t) => {
  const { kernel, hwacc } = await setUp()
  await hwacc('add-flow', '--policy', 'kernel-only', web, '2')
  kernel.interruptDumps = true
  const { code, err } = await hwacc('dump-flows', 'dp0', '--json')
  t.equal(code, 1)
  t.match(err, /^hwacc: [^\n]+\n$/)
})

t.test('flows and actions are parsed without a kernel', async (t) => {
  const noKernel = (...words: string[]) => call(words)
  t.same(
    await noKernel('parse-actions', '1, 2', 'drop', 'set(ipv4(src=1.2.3.4)),3'),
    good('1,2\ndrop\nset(ipv4(src=1.2.3.4)),3\n'),
  )
  t.match(await noKernel('parse-actions', '1', 'zork', '2'), {
    code: 1,
    out: '1\n2\n',
    err: /^hwacc: parsing actions: .*'zork'\n$/,
  })
  t.same(
    await noKernel('parse-flow', 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/8)'),
    good('in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.0.0.0)\n'),
  )
  t.same(
    await noKernel(
      'parse-flow',
      `ufid:${ufid}, ${arp}, packets:1, bytes:2, used:0.100s, dp:tc, actions:push_vlan(vid=3,pcp=1),1`,
      `ufid:${ufid}`,
    ),
    good(`ufid:${ufid}, ${arp}, actions:push_vlan(vid=3,pcp=1),1\nufid:${ufid}\n`),
  )
  t.match((await noKernel('parse-flow', '-m', arp)).out, /arp\(sip=0\.0\.0\.0\/0\.0\.0\.0,/)
  t.match(JSON.parse((await noKernel('parse-flow', '--json', arp)).out), [
    { key: { inPort: 2, arp: { op: 1 } }, mask: { etherType: 0xffff } },
  ])
  t.match(await noKernel('parse-flow', 'zork'), { code: 1, out: '', err: /^hwacc: parsing flow: / })
})
