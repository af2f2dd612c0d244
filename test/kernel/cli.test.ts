import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { call, type Outcome } from '../cli/call.js'
import { has, missing, tc, unique, veth } from '../fixtures/lab.js'

// The command line beside the tools it wants to replace or to meet: ovs-dpctl and tc. Calls run in this process, which is many times
// quicker; one test starts the real program.

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

/**
 * What stays different from ovs-dpctl, and why.
 *
 * - stderr: the words are the library's, which say more, and no log lines come with them.
 * - show -s: overruns, frame, aborted, carrier and collisions are `?`: a vport does not count them, and OVS reads the device.
 *   OVS also adds the vport's errors and drops to those of the device, which are the same ones, so it prints them twice.
 * - dump-dps and show: datapaths are sorted by name; OVS prints them as they fall out of a hash table.
 * - dump-flows: flows in TC come first; ovs-dpctl does not look there. `type=` works.
 * - get-flow exits 1 on a bad ufid, add-flows on a bad line or a missing file; ovs-dpctl exits 0.
 * - del-flow does not say `Perhaps you need to specify a UFID?`: without one it is computed from the key.
 * - add-flow without ufid stores one: the flow's line has it with -m.
 * - add-flow with `drop` works; ovs-dpctl 3.1 sends an action of its own for it, which Linux 6.1 refuses.
 * - add-if calls the device of a tunnel NAME; ovs-dpctl ignores NAME and takes vxlan_sys_4789 and the like. Options it does not know are
 *   refused; remote_ip may be left out.
 * - show prints tunnels by what their devices are, and with their options; ovs-dpctl goes by names like vxlan_sys_4789 and prints
 *   `packet_type=ptap` with them.
 */
const blankUnknown = (text: string) =>
  text.replace(/(overruns|frame|aborted|carrier|collisions|dropped|errors):(\d+|\?)/g, '$1:_')

const reason = (await missing()) || (has('ovs-dpctl') ? false : 'there is no ovs-dpctl')
if (reason !== false) {
  t.plan(0, `no kernel to try: ${reason}`)
} else {
  // Every call of ovs-dpctl is a process, and a kernel in user mode is slow at those.
  t.setTimeout(300_000)
  const hwacc = (...words: string[]) => call(words)

  const dpctl = (...words: string[]): Outcome => {
    const { status, stdout, stderr } = spawnSync('ovs-dpctl', ['-vOFF', ...words], {
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    })
    return { code: status ?? -1, out: stdout, err: stderr }
  }

  /** Both tools say the same on stdout and end the same. */
  const same = async (t: Test, ...words: string[]): Promise<string> => {
    const [ours, theirs] = [await hwacc(...words), dpctl(...words)]
    t.equal(settle(ours.out), settle(theirs.out), `${words.join(' ')}: the same lines`)
    t.equal(ours.code, theirs.code, `${words.join(' ')}: the same exit code`)
    t.equal(ours.err === '', theirs.err === '', `${words.join(' ')}: both complain, or none`)
    return ours.out
  }

  /** A datapath with two ports and a third device. */
  const setUp = async (t: Test) => {
    const dp = unique('dp')
    const [[one], [two], [three]] = [veth(t), veth(t), veth(t)]
    t.same(await hwacc('add-dp', dp, one, `${two},port_no=5`), { code: 0, out: '', err: '' })
    t.teardown(() => hwacc('del-dp', dp))
    return { dp, one, two, three }
  }

  const ufid = (n: number) => `ufid:00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
  // Keys, and what the kernel makes of them is the same whoever asked.
  const flows: readonly (readonly [flow: string, actions: string])[] = [
    [
      'in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.0.0/8,proto=6,frag=no),tcp(dst=80),tcp_flags(+syn-ack)',
      '5',
    ],
    ['in_port(5),eth(dst=00:00:00:00:00:05),eth_type(0x0800),ipv4(tos=0/0x3,ttl=64,frag=no)', '1'],
    [
      'recirc_id(3),in_port(5),ct_state(+trk-new),ct_mark(0x7/0xf),ct_label(0x1),eth(),eth_type(0x0806),arp(op=1)',
      'drop',
    ],
    [
      'in_port(1),eth(),eth_type(0x8100),vlan(vid=7,pcp=1),encap(eth_type(0x86dd),ipv6(dst=fe80::/ffc0::,proto=17,frag=no),udp(src=53))',
      'pop_vlan,5',
    ],
    [
      'skb_priority(0x1),skb_mark(0x2/0xf),in_port(1),eth(src=02:00:00:00:00:01/01:00:00:00:00:00),eth_type(0x0800),ipv4(proto=17,frag=no),udp()',
      'set(eth(src=02:00:00:00:00:09)),set(ipv4(src=1.2.3.4,ttl=63)),push_vlan(vid=9,pcp=3),5',
    ],
  ]

  t.test('datapaths and ports look the same', async (t) => {
    const { dp, one, three } = await setUp(t)
    t.ok((await hwacc('dump-dps')).out.split('\n').includes(`system@${dp}`))
    t.same((await hwacc('dump-dps')).out.split('\n').sort(), dpctl('dump-dps').out.split('\n').sort())
    t.same(await hwacc('add-if', `system@${dp}`, `${unique('i')},type=internal`, `${three},port_no=9`), {
      code: 0,
      out: '',
      err: '',
    })
    t.match(await same(t, 'show', dp), /port 9: .*\n/)
    t.match(await same(t, 'show', `system@${dp}`, 'nope'), new RegExp(`^system@${dp}:\n  lookups: `))
    const [ours, theirs] = [await hwacc('show', '-s', dp), dpctl('show', '-s', dp)]
    t.equal(
      settle(blankUnknown(ours.out)),
      settle(blankUnknown(theirs.out)),
      'show -s: the same but for what is listed',
    )

    for (const words of [
      ['add-dp', dp],
      ['add-if', dp, one],
      ['add-if', dp, 'no-such-dev'],
      ['add-if', 'no-such-dp', three],
      ['del-if', dp, 'no-such-dev'],
      ['del-if', dp, '77'],
      ['del-dp', 'no-such-dp'],
      ['show', 'no-such-dp'],
      ['dump-flows', 'no-such-dp'],
    ]) {
      await same(t, ...words)
    }
    t.same(await hwacc('del-if', dp, three), { code: 0, out: '', err: '' })
    t.same(dpctl('del-if', dp, '1').code, 0)
    await same(t, 'show', dp)
  })

  t.test('flows in openvswitch are printed alike, whoever put them', async (t) => {
    const { dp, one } = await setUp(t)
    for (const [index, [flow, actions]] of flows.entries()) {
      const words = ['add-flow', dp, `${ufid(index)},${flow}`, actions]
      const put = index % 2 === 0 ? await hwacc(...words, '--policy', 'kernel-only') : dpctl(...words)
      t.match(put, { code: 0, out: '', err: '' }, flow)
    }
    for (const options of [[], ['-m'], ['--names'], ['-m', '--no-names'], ['--names', '--no-names']]) {
      const lines = (await same(t, 'dump-flows', ...options, dp)).trimEnd().split('\n')
      t.equal(lines.length, flows.length)
    }
    t.match((await hwacc('dump-flows', '--names', dp)).out, `in_port(${one})`)
    for (const index of flows.keys()) {
      await same(t, 'get-flow', dp, ufid(index))
      await same(t, 'get-flow', '-m', dp, ufid(index))
    }
    await same(t, 'get-flow', dp, ufid(77))
  })

  t.test('flows put by one tool are changed and deleted by the other', async (t) => {
    const { dp, one, two } = await setUp(t)
    const key = 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)'
    const list = () => dpctl('dump-flows', dp).out
    t.match(await hwacc('add-flow', '--policy', 'kernel-only', dp, key.replace('1', one), two), {
      code: 0,
      err: '',
    })
    t.equal(list(), `${key}, packets:0, bytes:0, used:never, actions:5\n`)
    t.match(dpctl('add-flow', dp, 'in_port(5),eth(),eth_type(0x0800),ipv4(frag=no)', '1'), { code: 0 })
    const other = 'in_port(5),eth(),eth_type(0x0800),ipv4(frag=no)'
    t.match(await hwacc('mod-flow', '-s', '--policy', 'kernel-only', dp, other, 'drop'), {
      code: 0,
      out: 'packets:0, bytes:0, used:never\n',
      err: '',
    })
    t.match(list(), `${other}, packets:0, bytes:0, used:never, actions:drop\n`)
    t.match(await hwacc('del-flow', '-s', dp, other), {
      code: 0,
      out: 'packets:0, bytes:0, used:never\n',
      err: '',
    })
    t.equal(list(), `${key}, packets:0, bytes:0, used:never, actions:5\n`)
    const [, name] = /ufid:([-0-9a-f]+)/.exec((await hwacc('dump-flows', '-m', dp)).out) ?? []
    t.match(dpctl('del-flow', dp, `ufid:${name}`), { code: 0 })
    t.equal(list(), '')

    for (const words of [
      ['mod-flow', dp, key, '5'],
      ['add-flow', dp, 'zork', '5'],
      ['add-flow', dp, key, 'zork'],
      ['add-flow', 'no-such-dp', key, '5'],
      ['add-flow', dp],
      ['parse-actions', '1,2', 'drop', 'set(ipv4(src=1.2.3.4)),3', 'zork'],
      ['parse-actions'],
      ['--read-only', 'del-flows', dp],
      ['zork'],
      ['--zork'],
      [],
    ]) {
      await same(t, ...words)
    }
    for (const words of [
      ['get-flow', dp, 'zork'],
      ['add-flows', dp, '/no/such/file'],
    ]) {
      t.match(dpctl(...words), { code: 0, err: /./ }, 'ovs-dpctl is content with saying it')
      t.match(await hwacc(...words), { code: 1, err: /^hwacc: .*\n$/ })
    }
  })

  t.test('flows in TC are what tc shows, and filters of tc are flows', async (t) => {
    const { dp, one, two } = await setUp(t)
    const put = await hwacc(
      'add-flow',
      '-v',
      dp,
      `${ufid(1)},in_port(${one}),eth(dst=00:00:00:00:00:05),eth_type(0x0800),ipv4(dst=10.0.0.0/8,proto=6,frag=no),tcp(dst=80)`,
      `push_vlan(vid=3,pcp=1),${two}`,
    )
    t.match(put, { code: 0, out: `${ufid(1)} is in tc\n` })
    t.equal(dpctl('dump-flows', dp).out, '', 'openvswitch has none of it')
    const [filter] = filters(one)
    t.match(filter, {
      protocol: 'ip',
      kind: 'flower',
      options: {
        keys: {
          dst_mac: '00:00:00:00:00:05',
          eth_type: 'ipv4',
          ip_proto: 'tcp',
          dst_ip: '10.0.0.0/8',
          dst_port: 80,
          ip_flags: { frag: false },
        },
        actions: [
          { kind: 'vlan', vlan_action: 'push', id: 3, priority: 1 },
          { kind: 'mirred', mirred_action: 'redirect', direction: 'egress', to_dev: two },
        ],
      },
    })
    // Words of a ufid are in host order, the bytes of a cookie are not.
    t.equal(filter?.options.actions.at(-1)?.cookie, '00000000004000000000008001000000')

    const match = ['protocol', 'arp', 'prio', '77', 'flower', 'arp_op', 'request']
    const cookie = '00112233445566778899aabbccddeeff'
    tc(
      `filter add dev ${two} ${hook(two)} ${match.join(' ')} action mirred egress redirect dev ${one} cookie ${cookie}`,
    )
    const { out } = await hwacc('dump-flows', '-m', dp)
    const theirs = out
      .split('\n')
      .find((line) => line.startsWith('ufid:33221100-7766-5544-bbaa-9988ffeeddcc, '))
    t.match(theirs, new RegExp(`in_port\\(${two}\\),.*eth_type\\(0x0806\\),arp\\(.*op=1.*dp:tc, actions:`))
    t.match(await hwacc('get-flow', dp, 'ufid:33221100-7766-5544-bbaa-9988ffeeddcc'), { code: 0, err: '' })

    dpctl('add-flow', dp, `${ufid(2)},in_port(5),eth(),eth_type(0x0800),ipv4(frag=no)`, '1')
    const inJson = JSON.parse((await hwacc('dump-flows', '--json', dp)).out) as { backend: string }[]
    t.same(
      inJson.map(({ backend }) => backend),
      ['tc', 'tc', 'ovs'],
    )
    t.match(
      await hwacc(
        'mod-flow',
        '-v',
        '--policy',
        'kernel-only',
        dp,
        `${ufid(1)},in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)`,
        '5',
      ),
      { code: 0, out: `${ufid(1)} is in ovs\n` },
    )
    t.same(filters(one), [], 'it has moved')
    t.match(await hwacc('del-flows', dp), { code: 0, out: '', err: '' })
    t.equal(dpctl('dump-flows', dp).out, '')
    t.equal(filters(two).length, 1, 'the filter of others is theirs')
  })

  t.test('a file is put in batches, and read back from a dump', async (t) => {
    const { dp } = await setUp(t)
    const count = 3000
    const lines = Array.from(
      { length: count },
      (_, n) => `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.${n >> 8}.${n & 255},frag=no) 5`,
    )
    lines.splice(10, 0, 'bogus')
    const input = lines.join('\n')
    const put = await call(['add-flows', '--policy', 'kernel-only', dp, '-'], { input })
    t.match(put, { code: 1, out: '', err: /^hwacc: stdin:11: .*bogus.*\n$/ })
    const dump = dpctl('dump-flows', '-m', dp).out
    t.equal(dump.trimEnd().split('\n').length, count)
    t.match(await call(['del-flows', dp, '-'], { input: dump }), { code: 0, out: '', err: '' })
    t.equal(dpctl('dump-flows', dp).out, '')
    t.match(await call(['add-flows', '--policy', 'kernel-only', dp, '-'], { input: dump }), {
      code: 0,
      out: '',
      err: '',
    })
    t.equal(sorted(dpctl('dump-flows', '-m', dp).out), sorted(dump))
  })

  t.test('the program itself prints, fails and ends like any other', async (t) => {
    const { dp } = await setUp(t)
    const program = (script: string) => {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
        encoding: 'utf8',
        env: { ...process.env, HWACC: `${process.execPath} ${main}`, DP: dp },
      })
      return { code: status, out: stdout, err: stderr }
    }
    const shown = program('$HWACC show $DP')
    t.same({ ...shown, out: settle(shown.out) }, { code: 0, out: settle(dpctl('show', dp).out), err: '' })
    t.match(program('$HWACC get-flow $DP zork'), { code: 1, out: '', err: /^hwacc: [^\n]+\n$/ })
    t.same(
      program(
        'yes "in_port(1),eth(),eth_type(0x0806),arp() 5" | head -1 | $HWACC add-flows -v $DP - | head -c 9',
      ),
      { code: 0, out: 'stdin:1: ', err: '' },
    )
    t.same(program('$HWACC help | true'), { code: 0, out: '', err: '' })
    t.match(program('$HWACC help > /dev/full'), {
      code: 1,
      out: '',
      err: /^hwacc: cannot write: ENOSPC[^\n]*\n$/,
    })
  })

  interface Filter {
    readonly options: { readonly handle: number; readonly actions: readonly { readonly cookie?: string }[] }
  }

  /** The filters on a device's ingress, without the heads that have none. */
  function filters(device: string): Filter[] {
    const text = tc(`-j filter show dev ${device} ingress`).trim()
    const all = (text === '' ? [] : JSON.parse(text)) as Partial<Filter>[]
    return all.filter((entry): entry is Filter => entry.options !== undefined)
  }

  /** Makes an ingress hook where there is none yet. */
  function hook(device: string): string {
    if (!/ingress|clsact/.test(tc(`qdisc show dev ${device}`))) tc(`qdisc add dev ${device} ingress`)
    return 'ingress'
  }
}

const sorted = (text: string): string => text.split('\n').sort().join('\n')

/** Without what moves between two calls: the host's own packets are counted as soon as a device is up. */
function settle(text: string): string {
  return text
    .replace(/used:-?[0-9.]+s/g, 'used:_')
    .replace(
      /(lookups: hit|missed|lost|masks: hit|hit\/pkt|packets|bytes):[0-9.]+( \([0-9.]+ [KMGT]iB\))?/g,
      '$1:_',
    )
}
