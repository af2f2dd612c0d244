import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { call, type Outcome } from '../cli/call.js'
import { has, missing, type Owner, unique, veth } from '../fixtures/lab.js'

// hwacc side by side with ovs-dpctl: calls with the same words, each on a datapath of its own that began alike, have to print the same and end
// the same, and leave the same flows, ports and caches behind. cli.test.ts looks at each verb more closely, and lists what is different in
// print; here are the differences of single calls.

/** Calls that may end or print otherwise, and why. */
const differences: Readonly<Record<string, string>> = {
  'add-flow DP in_port(1),eth(),eth_type(0x0806),arp() drop':
    'ovs-dpctl sends an action of its own for drop, which Linux refuses before 6.6; hwacc no action, which drops everywhere',
  'parse-actions 1 zork 2': 'hwacc goes on with the others',
  'dump-flows DP type=ovs': 'ovs-dpctl takes type= as ovs-appctl only',
  'cache-set-size DP masks-cache 12x': 'ovs-dpctl takes the digits at the beginning of a word',
  'dump-flows filter=tcp DP': 'ovs-dpctl looks for the datapath first, hwacc takes filter= anywhere',
  [`del-flow DP in_port(2),eth(),eth_type(0x0806),arp(op=1)`]:
    'ovs-dpctl prints a question about the ufid, which hwacc computes from the key',
}

type Words = readonly string[]

const ip = 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
const web =
  'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.0.0.0,proto=6,frag=no),tcp(dst=80),tcp_flags(0/0)'
const arp = 'in_port(2),eth(),eth_type(0x0806),arp(op=1)'
const tagged = 'in_port(2),eth(),eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x0800),ipv4(frag=no))'
const filters = [
  'ip',
  'tcp',
  'tcp,tp_dst=80',
  'tcp,tp_dst=81',
  'ip,nw_dst=10.1.2.3',
  'ip,nw_dst=11.1.2.3',
  'in_port=2',
  'arp,arp_op=1',
  'arp,arp_op=2',
  'udp6',
  'dl_vlan=7',
  'dl_vlan=8',
  'dl_vlan=0xffff',
  'dl_vlan_pcp=3',
  'recirc_id=1',
  'tun_id=5',
  'zork',
  'tp_dst=80',
  'tcp,udp',
  'in_port=1,in_port=2',
]

/** DP, A, B and C stand for a datapath and three devices, of which the first two are its ports 1 and 2. */
const scripts: Readonly<Record<string, readonly Words[]>> = {
  'flows are added, changed, looked at and deleted': [
    ['add-flow', 'DP', ip, '2'],
    ['add-flow', 'DP', ip, '2'],
    ['add-flow', 'system@DP', web, 'set(eth(src=02:00:00:00:00:09)),2'],
    ['add-flow', 'DP', 'in_port(2),eth(),eth_type(0x0800),ipv4(frag=no)', '1,,2'],
    ['add-flow', 'DP', 'in_port(x),eth()', '1'],
    ['add-flow', 'nope', ip, '2'],
    ['add-flow', 'DP', ip],
    ['dump-flows', 'DP'],
    ['dump-flows', '--names', 'DP'],
    ['mod-flow', 'DP', ip, '1,2'],
    ['mod-flow', '-s', 'DP', ip, '2'],
    ['mod-flow', '--clear', '-s', 'DP', ip, '2'],
    ['mod-flow', 'DP', arp, '1'],
    ['mod-flow', '--may-create', 'DP', arp, '1'],
    ['mod-flow', '--may-create', '-s', 'DP', arp, '1'],
    ['--read-only', 'mod-flow', 'DP', arp, '2'],
    ['dump-flows', 'DP', 'filter='],
    ['dump-flows', 'DP', 'pmd=0'],
    ['dump-flows', 'DP', 'pmd=-1'],
    ['dump-flows', 'DP', 'type=ovs'],
    ['dump-flows'],
    ['get-flow', 'DP', 'ufid:00000000-0000-4000-8000-000000000001'],
    ['del-flow', '-s', 'DP', arp],
    ['del-flow', 'DP', arp],
    ['del-flow', 'DP', 'zork'],
    ['--read-only', 'del-flows', 'DP'],
    ['dump-flows', 'DP'],
    ['del-flows', 'DP'],
    ['dump-flows', 'DP'],
  ],
  'dropping takes no action': [
    ['add-flow', 'DP', 'in_port(1),eth(),eth_type(0x0806),arp()', 'drop'],
    ['del-flows', 'DP'],
  ],
  'filters let the same flows pass': [
    ['add-flow', 'DP', web, '2'],
    ['add-flow', 'DP', arp, '1'],
    ['add-flow', 'DP', tagged, '1'],
    ['add-flow', 'DP', 'in_port(1),eth(),eth_type(0x86dd),ipv6(proto=17,frag=no),udp()', '2'],
    ...filters.map((filter) => ['dump-flows', 'DP', `filter=${filter}`]),
    ['dump-flows', 'filter=tcp', 'DP'],
    ['dump-flows', 'DP', 'filter=tcp', 'pmd=1'],
    ['dump-flows', 'nope', 'filter=tcp'],
  ],
  'caches are shown and set': [
    ['cache-get-size', 'DP'],
    ['cache-get-size', 'nope'],
    ['cache-set-size', 'DP', 'masks-cache', '512'],
    ['cache-set-size', 'DP', 'masks-cache', '300'],
    ['cache-set-size', 'DP', 'masks-cache', '8192'],
    ['cache-set-size', 'DP', 'masks-cache', 'x'],
    ['cache-set-size', 'DP', 'zork', '512'],
    ['cache-set-size', 'nope', 'masks-cache', '512'],
    ['cache-set-size', 'DP', 'masks-cache'],
    ['--read-only', 'cache-set-size', 'DP', 'masks-cache', '256'],
    ['show', 'DP'],
    ['cache-set-size', 'DP', 'masks-cache', '12x'],
    ['cache-set-size', 'DP', 'masks-cache', '0'],
    ['cache-get-size', 'DP'],
    ['cache-set-size', 'DP', 'masks-cache', '256'],
  ],
  'ports come and go': [
    ['add-if', 'DP', 'C'],
    ['add-if', 'DP', 'C'],
    ['show', 'DP'],
    ['del-if', 'DP', 'C', 'C'],
    ['add-if', 'DP', 'C,port_no=7'],
    ['add-if', 'DP', 'C,port_no=8'],
    ['add-if', 'DP', 'nope', 'A'],
    ['add-if', 'nope', 'C'],
    ['add-if', 'DP', 'C,type=zork'],
    ['add-if', 'DP'],
    ['del-if', 'DP', '7'],
    ['del-if', 'DP', '7'],
    ['--read-only', 'add-if', 'DP', 'C'],
    ['show', 'DP'],
    ['show', 'nope'],
    ['show', 'system@DP'],
    ['add-dp', 'DP'],
    ['del-dp', 'nope'],
  ],
  'text is read and printed': [
    ['parse-actions', '1,2', 'drop', 'set(ipv4(src=1.2.3.4)),3', 'ct(commit,zone=5),recirc(1)'],
    ['parse-actions', '1', 'zork', '2'],
    ['normalize-actions', 'in_port(1),eth(),eth_type(0x0800),ipv4()', '3,1,2'],
    [
      'normalize-actions',
      'in_port(1),eth(),eth_type(0x0800),ipv4()',
      '3,push_vlan(vid=9,pcp=1),2,1,pop_vlan,5,4',
    ],
    ['normalize-actions', '-m', 'in_port(1),eth(),eth_type(0x0800),ipv4()', '2,1'],
    [
      'normalize-actions',
      'in_port(1),eth(),eth_type(0x0800),ipv4()',
      'push_vlan(vid=9,pcp=0),push_vlan(vid=4,pcp=2),1,pop_vlan,2',
    ],
    ['normalize-actions', 'in_port(1),eth(),eth_type(0x8847),mpls(label=16,tc=1,ttl=64,bos=1)', '2,1'],
    ['normalize-actions', 'in_port(eth0),eth(),eth_type(0x0800),ipv4()', 'eth1,eth0', 'eth0=1', 'eth1=2'],
    ['normalize-actions', 'in_port(1),eth()', '1', 'zork'],
    ['normalize-actions', 'zork', '1'],
    ['normalize-actions', 'in_port(1)'],
  ],
  'what is for datapaths in userspace is refused': [
    ['offload-stats-show', 'DP'],
    ['ipf-set-enabled', 'DP', 'v4'],
    ['ipf-set-disabled', 'DP', 'v6'],
    ['ipf-set-min-frag', 'DP', 'v4', '1000'],
    ['ipf-set-max-nfrags', 'DP', '10'],
    ['ipf-get-status', 'DP'],
    ['ipf-get-status', 'nope'],
    ['--read-only', 'ipf-set-enabled', 'DP', 'v4'],
    ['ipf-set-min-frag'],
  ],
  'calls that are none': [
    ['zork'],
    ['--zork'],
    ['-t', '5', 'dump-dps', 'x'],
    ['-vOFF', 'zork'],
    ['--log-file=/dev/null', 'zork'],
  ],
}

const reason = (await missing()) || (has('ovs-dpctl') ? false : 'there is no ovs-dpctl')
if (reason !== false) {
  t.plan(0, `no kernel to try: ${reason}`)
} else {
  // Every call of ovs-dpctl is a process, and a kernel in user mode is slow at those.
  t.setTimeout(0)
  for (const [name, script] of Object.entries(scripts)) t.test(name, (t) => sideBySide(t, script))

  t.test('ovs-dpctl has no verb that hwacc has not', async (t) => {
    const verbsIn = (text: string) => [...text.matchAll(/^ {2}([a-z-]+) /gm)].map(([, verb = '']) => verb)
    const theirs = verbsIn(dpctl(['list-commands']).out)
    const ours = verbsIn((await call(['list-commands'])).out)
    t.ok(theirs.length > 30)
    for (const verb of theirs) t.ok(ours.includes(verb), verb)
  })
}

interface Side {
  readonly names: Readonly<Record<string, string>>
  readonly run: (words: Words) => Promise<Outcome> | Outcome
}

async function sideBySide(t: Test, script: readonly Words[]): Promise<void> {
  // ovs-dpctl knows no other place for a flow.
  const puts = /^(add|mod)-flows?$/
  const hwacc = (words: Words) =>
    call(words.some((word) => puts.test(word)) ? [...words, '--policy', 'kernel-only'] : words)
  const ours: Side = { names: await place(t), run: hwacc }
  const theirs: Side = { names: await place(t), run: dpctl }
  for (const words of script) {
    const title = words.join(' ')
    const [mine, other] = [await turn(ours, words), await turn(theirs, words)]
    const why = differences[title]
    if (why !== undefined) {
      t.notSame(mine, other, `${title}: is different still`)
      t.comment(`${title}: ${why}`)
      continue
    }
    t.equal(mine.out, other.out, `${title}: the same lines`)
    t.equal(mine.code, other.code, `${title}: the same exit code`)
    t.equal(mine.complains, other.complains, `${title}: both complain, or none`)
  }
  // What ovs-dpctl sees of both.
  for (const words of [
    ['dump-flows', 'DP'],
    ['show', 'DP'],
  ]) {
    const left = async (side: Side) => (await turn({ ...side, run: dpctl }, words)).out
    const [mine, other] = [await left(ours), await left(theirs)]
    t.equal(mine, other, `${words.join(' ')}: alike in the end`)
  }
}

/** A datapath with ports 1 and 2, and a third device. */
async function place(t: Owner): Promise<Side['names']> {
  const dp = unique('dp')
  const [[a], [b], [c]] = [veth(t), veth(t), veth(t)]
  await call(['add-dp', dp, `${a},port_no=1`, `${b},port_no=2`])
  t.teardown(() => call(['del-dp', dp]))
  return { DP: dp, A: a, B: b, C: c }
}

async function turn({ names, run }: Side, words: Words) {
  const own = words.map((word) => word.replace(/\b(DP|[ABC])\b/, (name) => names[name] ?? name))
  const { code, out, err } = await run(own)
  // Tables are printed as they fall out of the kernel's hash, which has a seed of its own in each.
  let text = settle(out).split('\n').sort().join('\n')
  for (const [name, real] of Object.entries(names)) text = text.replaceAll(real, name)
  return { code, out: text, complains: err !== '' }
}

function dpctl(words: Words): Outcome {
  const { status, stdout, stderr } = spawnSync('ovs-dpctl', ['-vOFF', ...words], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  return { code: status ?? -1, out: stdout, err: stderr }
}

/** Without what moves between two calls. */
function settle(text: string): string {
  return (
    text
      .replace(/used:-?[0-9.]+s|used:never/g, 'used:_')
      .replace(
        /(lookups: hit|missed|lost|masks: hit|total|hit\/pkt|packets|bytes|cache: hit|hit-rate):[0-9.]+%?/g,
        '$1:_',
      )
      // Told of once there is a hit: the host's own packets come when they like.
      .replace(/^ *cache: hit.*\n/gm, '')
      .replace(/, flags:[SFRPUECN.]+/g, '')
  )
}
