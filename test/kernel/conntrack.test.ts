import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { kernelOnly, type PortEvent, timeoutPolicyName } from '../../lib/index.js'
import { call, type Outcome } from '../cli/call.js'
import { datapath, eventually, has, ip, missing, netns, open, run, veth } from '../fixtures/lab.js'

// Connections the real kernel tracks for flows of openvswitch, as both command lines show and forget them; limits; and the verbs of ports
// and meters that take a kernel.
//
//   host a 10.0.0.1, fd00::1 ── port 1 ┤ datapath, ct(commit,zone=5) ├ port 2 ── host b 10.0.0.2, fd00::2

const reason = (await missing()) || (has('ovs-dpctl') ? false : 'there is no ovs-dpctl')
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  // Every call of ovs-dpctl is a process, and a kernel in user mode is slow at those; the lab has a limit of its own.
  t.setTimeout(0)

  const macs = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'] as const
  const inside = (ns: string, ...command: string[]): string => run('ip', 'netns', 'exec', ns, ...command)
  const hwacc = (...words: string[]) => call(words)
  const dpctl = (...words: string[]): Outcome => {
    const { status, stdout, stderr } = spawnSync('ovs-dpctl', ['-vOFF', ...words], { encoding: 'utf8' })
    return { code: status ?? -1, out: stdout, err: stderr }
  }
  /** Time goes on between two calls. */
  const settle = (text: string) =>
    text
      .replace(/timeout=\d+/g, 'timeout=_')
      .split('\n')
      .sort()
      .join('\n')

  /** Both tools say the same on stdout and end the same. */
  const same = async (t: Test, ...words: string[]): Promise<string> => {
    const [ours, theirs] = [await hwacc(...words), dpctl(...words)]
    t.equal(settle(ours.out), settle(theirs.out), `${words.join(' ')}: the same lines`)
    t.equal(ours.code, theirs.code, `${words.join(' ')}: the same exit code`)
    t.equal(ours.err === '', theirs.err === '', `${words.join(' ')}: both complain, or none`)
    return ours.out
  }

  /** Two hosts that know each other as neighbours, so that nothing is sent that the test does not send. */
  const site = async (t: Test) => {
    const { name } = await datapath(t)
    const dpif = await open(t, name, kernelOnly())
    // Debian's kernel in user mode has no zones (CONFIG_NF_CONNTRACK_ZONES).
    const probe = await dpif.put({ key: 'in_port(9),eth(),eth_type(0x0800),ipv4()', actions: 'ct(zone=5)' })
    const zone = probe.error === undefined ? 5 : 0
    const commit = zone === 0 ? 'commit' : `commit,zone=${zone}`
    const hosts = [netns(t), netns(t)] as const
    for (const [index, ns] of hosts.entries()) {
      const [port, device] = veth(t)
      inside(ns, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad')
      ip(`link set ${device} netns ${ns} address ${macs[index]}`)
      ip(`-n ${ns} address add 10.0.0.${index + 1}/24 dev ${device}`)
      ip(`-n ${ns} address add fd00::${index + 1}/64 dev ${device} nodad`)
      ip(`-n ${ns} link set ${device} up`)
      for (const other of [`10.0.0.${2 - index}`, `fd00::${2 - index}`])
        ip(`-n ${ns} neigh add ${other} lladdr ${macs[1 - index]} dev ${device}`)
      await dpif.addPort(port, { number: index + 1 })
    }
    for (const [from, to] of [
      [1, 2],
      [2, 1],
    ])
      for (const match of [
        'eth_type(0x0800),ipv4(frag=no)',
        'eth_type(0x86dd),ipv6(dst=fd00::/64,frag=no)',
      ]) {
        const key = `recirc_id(0),in_port(${from}),eth(),${match}`
        t.equal((await dpif.put({ key, actions: `ct(${commit}),${to}` })).error, undefined)
      }
    t.teardown(() => dpif.conntrack.flush({ zone }))
    return { name, dpif, zone, commit, a: hosts[0], b: hosts[1] }
  }

  /** Starts a program of Node's in a host, and waits for its first word. It goes with the test. */
  const node = async (t: Test, ns: string, text: string) => {
    const program = spawn('ip', ['netns', 'exec', ns, process.execPath, '-e', text], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(async () => {
      program.kill()
      if (program.exitCode === null && program.signalCode === null) await once(program, 'exit')
    })
    await once(program.stdout, 'data')
  }

  const SERVER = `require('node:net').createServer(() => {}).listen(9000, '10.0.0.2', () => console.log('ready'))`
  const CLIENT = `const socket = require('node:net').connect({ port: 9000, host: '10.0.0.2', localPort: 40000 }, () => console.log('open'))`

  t.test('connections are shown and forgotten as by ovs-dpctl', async (t) => {
    const { name, dpif, zone: number, a, b } = await site(t)
    const inZone = number === 0 ? '' : `,zone=${number}`
    // Not every kernel notes times (CONFIG_NF_CONNTRACK_TIMESTAMP).
    const sysctls = '/proc/sys/net/netfilter/nf_conntrack_'
    const timed = existsSync(`${sysctls}timestamp`)
    for (const what of timed ? ['acct', 'timestamp'] : ['acct']) writeFileSync(`${sysctls}${what}`, '1')
    // Nothing is forgotten while a slow machine looks at it.
    for (const what of ['udp', 'icmp', 'icmpv6']) writeFileSync(`${sysctls}${what}_timeout`, '3600')
    await node(t, b, SERVER)
    await node(t, a, CLIENT)
    inside(a, 'ping', '-q', '-c', '2', '-i', '0.1', '10.0.0.2')
    inside(a, 'ping', '-6', '-q', '-c', '2', '-i', '0.1', 'fd00::2')
    for (const port of [1, 2, 3]) inside(a, 'bash', '-c', `echo > /dev/udp/10.0.0.2/${port}`)
    const zone = async () => (await same(t, 'dump-conntrack', name, `zone=${number}`)).trimEnd().split('\n')

    const lines = await zone()
    t.equal(lines.length, 6, lines.join('\n'))
    const tcp = new RegExp(
      `^tcp,orig=\\(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=9000\\).*${inZone},protoinfo=\\(state=ESTABLISHED\\)$`,
    )
    t.ok(lines.some((line) => tcp.test(line)))
    t.ok(lines.some((line) => /^icmp,.*,id=\d+,type=8,code=0\)/.test(line)))
    t.ok(lines.some((line) => /^icmpv6,orig=\(src=fd00::1,dst=fd00::2,id=\d+,type=128,code=0\)/.test(line)))
    t.match(await same(t, 'dump-conntrack', name, '-m'), /,status=SEEN_REPLY\|ASSURED\|CONFIRMED/)
    t.match(
      await same(t, 'dump-conntrack', name, '-s'),
      timed ? /,packets=\d+,bytes=\d+\).*,start=20/ : /,packets=\d+,bytes=\d+\)/,
    )
    await same(t, 'dump-conntrack', '-m', '-s')
    await same(t, 'dump-conntrack', name, 'zone=6')
    t.match(
      await same(t, 'ct-stats-show', name, `zone=${number}`),
      /Total: 6\n {2}TCP: 1\n {2}UDP: 3\n {2}ICMP: 1\n$/,
    )
    await same(t, 'ct-stats-show', '-m', name)
    await same(t, 'ct-stats-show', name, 'verbose')

    const tuple = (port: number) => {
      const line = lines.find((line) => line.includes(`dport=${port}),`)) ?? ''
      const source = /sport=(\d+)/.exec(line)?.[1]
      return `ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=17,ct_tp_src=${source},ct_tp_dst=${port}`
    }
    const good = { code: 0, out: '', err: '' }
    t.same(await hwacc('flush-conntrack', name, `zone=${number}`, tuple(1)), good)
    t.match(await hwacc('flush-conntrack', name, `zone=${number}`, tuple(1)), {
      code: 1,
      err: /no such connection/,
    })
    // ovs-dpctl names a zone in any case, which a kernel without zones refuses; and 3.1.0 takes a datapath for a tuple here.
    if (number === 0) t.same(await hwacc('flush-conntrack', tuple(2)), good)
    else {
      t.equal(dpctl('flush-conntrack', `zone=${number}`, tuple(2)).code, 0)
      for (const words of [[tuple(3)], [`zone=${number}`, tuple(1)], ['zone=6', tuple(3)]])
        await same(t, 'flush-conntrack', ...words)
    }
    t.equal((await zone()).length, 4, 'each tool sees what the other did, and none of the others was there')
    const part = 'ct_nw_dst=10.0.0.2,ct_nw_proto=17,ct_tp_dst=3'
    t.same(await hwacc('flush-conntrack', `zone=${number}`, part), good)
    t.equal(dpctl('flush-conntrack', `zone=${number}`, part).code, 0)
    t.equal((await zone()).length, 3)
    t.same(await hwacc('flush-conntrack', name, `zone=${number}`, 'ct_nw_proto=1'), good)
    t.same(await hwacc('flush-conntrack', name, `zone=${number}`, '', 'ct_ipv6_src=fd00::2'), good)
    t.match(await zone(), [tcp])
    await dpif.conntrack.flush({ zone: 6 })
    t.match(await zone(), [tcp], 'another zone is left alone, whatever the kernel does with it')
    t.same(await hwacc('flush-conntrack', name, `zone=${number}`), good)
    t.same(await zone(), [''])
  })

  t.test('limits and what only user space has are as with ovs-dpctl', async (t) => {
    const { name, dpif, zone, a } = await site(t)
    const { conntrack } = dpif
    await same(t, 'ct-bkts', name)
    await same(t, 'ct-bkts', name, 'gt=3')
    for (const verb of ['ct-get-maxconns', 'ct-get-nconns', 'ct-get-tcp-seq-chk']) await same(t, verb, name)
    await same(t, 'ct-set-maxconns', name, '5')
    try {
      await conntrack.getLimits()
    } catch (error) {
      t.match(error, { code: 'NO_MODULE', message: /CONFIG_NETFILTER_CONNCOUNT/ })
      return
    }
    t.teardown(() => conntrack.setLimits({ default: 0 }))
    t.teardown(() => conntrack.delLimits([zone, 6, 7]))
    t.equal(await same(t, 'ct-get-limits', name), 'default limit=0\n')
    t.equal((await hwacc('ct-set-limits', name, 'default=100', `zone=${zone},limit=2`)).code, 0)
    t.equal(dpctl('ct-set-limits', name, 'zone=6,limit=3', 'zone=7,limit=4').code, 0)
    for (const port of [1, 2, 3]) inside(a, 'bash', '-c', `echo > /dev/udp/10.0.0.2/${port}`)
    // One that was refused is counted until the kernel looks again.
    await eventually(
      () => conntrack.getLimits([zone]),
      ({ zones }) => zones[0]?.count === 2,
    )
    t.match(await same(t, 'ct-get-limits', name), /^default limit=100\n/)
    const both = `\nzone=${zone},limit=2,count=2\nzone=8,limit=100,count=0\n`
    t.ok((await same(t, 'ct-get-limits', name, `zone=${zone},8`)).endsWith(both))
    await same(t, 'ct-get-limits', 'zone=6')
    t.equal((await hwacc('ct-del-limits', name, 'zone=6')).code, 0)
    t.equal(dpctl('ct-del-limits', name, `zone=${zone}`).code, 0)
    t.equal(await same(t, 'ct-get-limits', name), 'default limit=100\nzone=7,limit=4,count=0\n')
    await same(t, 'ct-set-limits', name, 'zone=70000,limit=1')
    await same(t, 'ct-get-limits', name, 'zone=x')
  })

  t.test('a timeout policy is what a flow names, and goes when it is told to', async (t) => {
    const { dpif, zone, commit, a } = await site(t)
    const { conntrack } = dpif
    const id = 4242
    await conntrack.setTimeoutPolicy({ id, udp: { single: 7 } })
    const key = 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=no),udp()'
    const flow = { key, actions: `ct(${commit},timeout=${timeoutPolicyName(id, 'udp', 4)}),2` }
    t.equal(
      (await dpif.del({ key: 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)' })).error,
      undefined,
    )
    const put = await dpif.put(flow)
    t.equal(put.error, undefined)
    inside(a, 'bash', '-c', 'echo > /dev/udp/10.0.0.2/1')
    for await (const { timeout = 99 } of conntrack.dump({ zone }))
      t.ok(timeout <= 7, `${timeout} seconds are left`)
    // Whether what is named can go differs from one 6.1 to the next.
    const gone = () =>
      conntrack.delTimeoutPolicy(id).then(
        () => '',
        ({ code }: { code: string }) => code,
      )
    const first = await gone()
    t.ok(['', 'BUSY'].includes(first), first)
    await dpif.del({ ufid: put.ufid })
    await conntrack.flush({ zone })
    // A flow lets go of it when no packet can be in it any more.
    if (first !== '') t.equal(await eventually(gone, (code) => code !== 'BUSY'), '')
    await t.rejects(conntrack.getTimeoutPolicy(id), { code: 'NOT_FOUND' })
  })

  t.test('ports that others add, and devices that vanish, are told of', async (t) => {
    const { name } = await datapath(t)
    const dpif = await open(t, name, kernelOnly())
    const changes = dpif.portChanges()
    await changes.start()
    const [device] = veth(t)
    t.equal(dpctl('add-if', name, `${device},port_no=9`).code, 0)
    const told = async () => {
      const { change, port } = (await changes.next()).value as PortEvent
      return [change, port.number, port.name]
    }
    t.same(await told(), ['added', 9, device])
    ip(`link del ${device}`)
    t.same(await told(), ['removed', 9, device])
    await changes.return()
    for (const words of [
      ['set-if', name, name],
      ['set-if', name, `${name},type=internal,port_no=0`],
      ['set-if', name, `${name},port_no=3`],
      ['set-if', name, 'nobody'],
    ])
      await same(t, ...words)
  })

  t.test('meters have verbs', async (t) => {
    const { name } = await datapath(t)
    const good = (out: string) => ({ code: 0, out, err: '' })
    t.same(await hwacc('dump-meters', name), good(''))
    t.match((await hwacc('meter-features', name)).out, /^max_meter:\d+ max_bands:1\nband_types: drop\n/)
    t.same(
      await hwacc('add-meter', name, 'meter=1,kbps,burst,bands=type=drop,rate=1000,burst_size=100'),
      good(''),
    )
    t.match(await hwacc('add-meter', name, 'meter=1,bands=type=drop,rate=1'), {
      code: 1,
      err: /is there already/,
    })
    t.match(await hwacc('mod-meter', name, 'meter=2,bands=type=drop,rate=1'), {
      code: 1,
      err: /no such meter/,
    })
    t.same(await hwacc('mod-meter', name, 'meter=1,pktps,bands=type=drop,rate=7'), good(''))
    const { code, out } = await hwacc('dump-meters', name, 'meter=1')
    t.equal(code, 0)
    t.match(out, /^meter=1/)
    t.match(JSON.parse((await hwacc('dump-meters', '--json', name)).out), [{ id: 1, stats: { packets: 0 } }])
    t.match(await hwacc('del-meter', '-s', name, 'meter=1'), { code: 0, out: /packet_in_count:0/ })
    t.match(await hwacc('del-meter', name, 'meter=1'), { code: 1, err: /no such meter/ })
  })
}
