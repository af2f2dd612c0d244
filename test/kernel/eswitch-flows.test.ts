import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import {
  type Dpif,
  type Flow,
  type OpResult,
  openDpif,
  type Policy,
  preferTc,
  tcOnly,
} from '../../lib/index.js'
import { datapath, eventually, ip, open, type Owner, tc } from '../fixtures/lab.js'
import {
  type Eswitch,
  eswitchMissing,
  type Guest,
  guests,
  loadEswitch,
  received,
} from '../lab/eswitch/device.js'

// What somebody with a virtual switch sees of hardware: a connection from its first packet to its last, and every way in which a device
// fails. Flows are put by the library, and packets come from guests.

t.setTimeout(0)

/** Hardware or openvswitch, and nothing between. */
const hardwareFirst: Policy = {
  name: 'hardware-first',
  place: () => ({
    choices: [{ backend: 'tc', skip: 'sw' }, { backend: 'ovs' }],
    reason: 'what hardware does not take is for openvswitch',
  }),
}

/** Two guests, and a datapath with their representors as ports 1 and 2. */
async function bench(t: Owner, policy: Policy = preferTc()) {
  const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
  const [a, b] = guests(t, [esw.vf(0), esw.vf(1)]) as [Guest, Guest]
  const reps = [esw.rep(0), esw.rep(1)] as const
  const { name } = await datapath(t)
  const dpif = await open(t, name, policy)
  t.teardown(() => dpif.flush().catch(() => undefined))
  await attach(dpif, reps)
  return { esw, name, dpif, reps, a, b }
}

async function attach(dpif: Dpif, reps: readonly string[]): Promise<void> {
  for (const [index, rep] of reps.entries()) {
    ip(`link set ${rep} addrgenmode none up`)
    await dpif.addPort(rep, { number: index + 1 })
  }
}

const keyOf = (inPort: number) => `recirc_id(0),in_port(${inPort}),eth(),eth_type(0x0800),ipv4(frag=no)`

/** Flows both ways; what became of them. */
function connect(dpif: Dpif): Promise<OpResult[]> {
  return dpif.operate(
    [1, 2].map((inPort) => ({ op: 'put', key: keyOf(inPort), actions: `${3 - inPort}`, confirm: true })),
  )
}

/** Sends echo requests while this process goes on; how many were answered. */
async function ping(from: Guest, to: Guest, count = 3, patienceS = 30): Promise<number> {
  const words = [
    'netns',
    'exec',
    from.namespace,
    'ping',
    '-q',
    '-c',
    `${count}`,
    '-i',
    '0.05',
    '-W',
    `${patienceS}`,
    to.ip4,
  ]
  const child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes
  })
  await once(child, 'close')
  return Number(/(\d+) received/.exec(text)?.[1] ?? Number.NaN)
}

async function dumped(dpif: Dpif): Promise<Flow[]> {
  const flows: Flow[] = []
  for await (const flow of dpif.dump()) flows.push(flow)
  return flows.sort((a, b) => (a.key.inPort ?? 0) - (b.key.inPort ?? 0))
}

interface Swept {
  readonly packets: bigint
  readonly used: number
  readonly offloaded: number
}

async function swept(dpif: Dpif): Promise<Map<string, Swept>> {
  const found = new Map<string, Swept>()
  for await (const page of dpif.sweep()) {
    for (let index = 0; index < page.count; index++) {
      const [packets = 0n, used = 0, offloaded = 0] = [
        page.packets[index],
        page.used[index],
        page.offloaded[index],
      ]
      found.set(page.ufid(index), { packets, used, offloaded })
    }
  }
  return found
}

const clock = () => Number(process.hrtime.bigint() / 1_000_000n)
/** Until CLOCK_MONOTONIC is some ticks past a time. */
const past = (time: number) => eventually(clock, (now) => now > time + 30)

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  t.test('a connection: a miss, a flow in hardware, packets nobody sees, and its end', async (t) => {
    const { esw, dpif, reps, a, b } = await bench(t)
    const misses: string[] = []
    const puts: OpResult[] = []
    const upcalls = dpif.upcalls()
    await upcalls.start()
    const answering = (async () => {
      for await (const { upcalls: batch } of upcalls) {
        for (const { kind, key, rawKey, packet, hash } of batch) {
          const { inPort = 0, ipv4 } = key
          misses.push(`${kind} ${inPort} ${ipv4?.src} ${ipv4?.dst}`)
          const actions = `${3 - inPort}`
          const match = `ipv4(src=${ipv4?.src},dst=${ipv4?.dst},frag=no)`
          const put = `recirc_id(0),in_port(${inPort}),eth(),eth_type(0x0800),${match}`
          const [result] = await dpif.operate([
            { op: 'put', key: put, actions, confirm: true },
            { op: 'execute', packet, key: rawKey, hash, actions },
          ])
          if (result !== undefined) puts.push(result)
        }
      }
    })()
    const before = reps.map(received)
    t.equal(await ping(a, b, 1), 1, 'the packets of the misses arrive, too')
    t.same(misses, [`miss 1 ${a.ip4} ${b.ip4}`, `miss 2 ${b.ip4} ${a.ip4}`])
    // The reply arrives before its executor hears that it was sent.
    await eventually(
      () => puts.length,
      (count) => count === 2,
    )
    t.match(puts, [
      { backend: 'tc', offloaded: true },
      { backend: 'tc', offloaded: true },
    ])
    t.same(
      reps.map((rep, at) => received(rep) - (before[at] ?? 0)),
      [1, 1],
      'each came in on its representor',
    )
    t.equal(esw.used, 2)

    const seen = reps.map(received)
    const kernel = await dpif.stats()
    const flows = await dumped(dpif)
    const counters = await swept(dpif)
    await past(clock())
    t.equal(await ping(a, b, 20), 20)
    t.same(reps.map(received), seen, 'the representors saw none of them')
    const { hit, missed, lost } = await dpif.stats()
    t.same([hit, missed, lost], [kernel.hit, kernel.missed, kernel.lost], 'nor did the datapath')
    t.equal(misses.length, 2)
    for (const [index, flow] of (await dumped(dpif)).entries()) {
      const was = flows[index]?.stats
      t.match(flow, { backend: 'tc', offloaded: true, suspect: false })
      t.equal(flow.stats.packets - (was?.packets ?? 0n), 20n)
      t.equal(flow.stats.hardware?.packets, flow.stats.packets)
      t.ok(flow.stats.used > (was?.used ?? 0), `used: ${was?.used}, then ${flow.stats.used}`)
    }
    for (const [ufid, { packets, used, offloaded }] of await swept(dpif)) {
      const was = counters.get(ufid)
      t.equal(packets - (was?.packets ?? 0n), 20n)
      t.ok(used > (was?.used ?? used), `in a sweep: ${was?.used}, then ${used}`)
      t.equal(offloaded, 1)
    }

    // What was not seen to move for that long goes.
    const IDLE_MS = 4000
    let aged = 0
    const age = async () => {
      const idle: string[] = []
      for (const [ufid, { used }] of await swept(dpif)) if (clock() - used > IDLE_MS) idle.push(ufid)
      aged += idle.length
      await dpif.operate(idle.map((ufid) => ({ op: 'del', ufid })))
      return aged
    }
    const total = async () =>
      [...(await swept(dpif)).values()].reduce((sum, { packets }) => sum + packets, 0n)
    const resting = await total()
    const pinging = ping(a, b, 100)
    await eventually(total, (packets) => packets > resting)
    let isOver = false
    void pinging.finally(() => {
      isOver = true
    })
    await eventually(age, () => isOver)
    t.equal(await pinging, 100)
    t.equal(aged, 0, 'not while packets come')
    t.equal(misses.length, 2)
    await eventually(age, (count) => count === 2)
    t.equal(esw.used, 0, 'it is out of hardware')
    t.same(await dumped(dpif), [])
    t.equal(await ping(a, b, 1), 1)
    t.equal(misses.length, 4, 'and begins anew')
    await upcalls.return()
    await answering
  })

  t.test('a full table: software has the flow, or openvswitch, and nothing is lost', async (t) => {
    const { esw, name, dpif, a, b } = await bench(t)
    esw.set('capacity', 1)
    t.match(await connect(dpif), [
      { backend: 'tc', offloaded: true },
      { backend: 'tc', offloaded: false, error: undefined },
    ])
    t.equal(await ping(a, b), 3)
    t.match(await dumped(dpif), [
      { offloaded: true, suspect: false, stats: { packets: 3n, hardware: { packets: 3n } } },
      { offloaded: false, suspect: false, stats: { packets: 3n, hardware: undefined } },
    ])
    // A change takes a second place for a moment, finds none, and then software has it.
    const [changed] = await dpif.operate([
      { op: 'put', key: keyOf(1), actions: '2', mode: 'modify', confirm: true },
    ])
    t.match(changed, { backend: 'tc', offloaded: false })
    t.equal(await ping(a, b), 3)
    t.match(await dumped(dpif), [{ stats: { packets: 6n } }, { stats: { packets: 6n } }])
    esw.set('capacity', 8)
    const back = await dpif.put({ key: keyOf(1), actions: '2' }, { mode: 'modify', confirm: true })
    t.match(back, { backend: 'tc', offloaded: true })
    t.equal(await ping(a, b), 3)
    t.match(await dumped(dpif), [{ offloaded: true, suspect: false, stats: { packets: 9n } }, {}])
    await dpif.flush()

    esw.set('capacity', 1)
    const demanding = await open(t, name, hardwareFirst)
    const full = { code: 'NO_SPACE', errno: 28, backend: 'tc', kernel: 'eswitch: the table is full' }
    t.match(await connect(demanding), [
      { backend: 'tc', offloaded: true },
      { backend: 'ovs', offloaded: false, declined: [full] },
    ])
    t.equal(await ping(a, b), 3)
    t.match(await dumped(demanding), [
      { backend: 'tc', stats: { packets: 3n } },
      { backend: 'ovs', stats: { packets: 3n } },
    ])
    await demanding.flush()
    esw.set('capacity', 0)
    const only = await open(t, name, tcOnly({ skip: 'sw' }))
    t.match(await only.put({ key: keyOf(1), actions: '2' }), { error: full, backend: undefined })
    t.same(await dumped(only), [], 'it is nowhere')
  })

  t.test('keys and actions a device refuses: who has the flow then', async (t) => {
    const { esw, name, dpif, a, b } = await bench(t)
    for (const [fault, value, kernel] of [
      ['refuse_keys', 'ipv4', 'eswitch: cannot match on ipv4'],
      ['refuse_actions', 'redirect', 'eswitch: cannot carry out redirect'],
    ] as const) {
      // One that was refused a flow does not ask again for one like it soon.
      const demanding = await open(t, name, hardwareFirst)
      esw.set(fault, value)
      const key = (inPort: number) => keyOf(inPort).replace('frag=no', 'src=10.0.0.0/255.255.255.0,frag=no')
      const ops = [1, 2].map((inPort) => {
        return { op: 'put', key: key(inPort), actions: `${3 - inPort}`, confirm: true } as const
      })
      const refused = {
        backend: 'ovs',
        offloaded: false,
        declined: [{ code: 'UNSUPPORTED', errno: 95, kernel }],
      }
      t.match(await demanding.operate(ops), [refused, refused])
      t.equal(await ping(a, b), 3)
      const inOvs = { backend: 'ovs', stats: { packets: 3n } }
      t.match(await dumped(demanding), [inOvs, inOvs])
      await demanding.flush()
      // Where software will do, nobody hears of it but whoever asks.
      t.match(await dpif.operate(ops), [
        { backend: 'tc', offloaded: false, error: undefined, declined: undefined },
        { backend: 'tc', offloaded: false },
      ])
      t.equal(await ping(a, b), 3)
      const inSoftware = { backend: 'tc', offloaded: false, suspect: false, stats: { packets: 3n } }
      t.match(await dumped(dpif), [inSoftware, inSoftware])
      esw.set(fault, '')
      const again = await dpif.operate(ops.map((op) => ({ ...op, mode: 'modify' as const })))
      t.match(again, [{ offloaded: true }, { offloaded: true }], 'it takes them by now')
      t.equal(await ping(a, b), 3)
      t.match(await dumped(dpif), [{ stats: { packets: 6n } }, { stats: { packets: 6n } }])
      await dpif.flush()
    }
  })

  t.test('a device that takes its time holds nothing up but its own flows', async (t) => {
    const { esw, name, a, b } = await bench(t)
    const dpif = await openDpif({ datapath: name, lanes: 4, policy: preferTc() })
    t.teardown(() => dpif.close())
    for (const serial of [false, true]) {
      esw.set('latency_us', 2000)
      esw.set('serial', serial)
      const flows = Array.from({ length: 130 }, (_, index) => ({
        op: 'put' as const,
        key: keyOf(1 + (index % 2)).replace('frag=no', `dst=10.3.0.${index},frag=no`),
        actions: `${2 - (index % 2)}`,
      }))
      let turns = 0
      const since = performance.now()
      const putting = dpif.operate(flows)
      let isOver = false
      void putting.finally(() => {
        isOver = true
      })
      while (!isOver) {
        turns++
        await turn()
      }
      t.equal((await putting).filter(({ error }) => error !== undefined).length, 0)
      t.ok(turns > 10, `the event loop went round ${turns} times meanwhile`)
      // A promise of the device; nothing is said about how much longer it takes.
      if (serial) t.ok(performance.now() - since >= 260)
      const seen = await swept(dpif)
      t.equal([...seen.values()].filter(({ offloaded }) => offloaded === 1).length, 130)
      t.equal(esw.used, 130)
      await dpif.flush()
      t.equal(esw.used, 0)
    }
    esw.set('latency_us', 0)
    await connect(dpif)
    t.equal(await ping(a, b), 3)
    await dpif.flush()
  })

  t.test('counters that come late stand still, and then catch up', async (t) => {
    const { esw, dpif, a, b } = await bench(t)
    await connect(dpif)
    t.equal(await ping(a, b), 3)
    const first = await swept(dpif)
    esw.set('stats_delay_ms', 3_600_000)
    t.equal(await ping(a, b), 3)
    await past(clock())
    for (const [ufid, { packets, used }] of await swept(dpif))
      t.match(first.get(ufid), { packets, used }, 'as before')
    t.match(await dumped(dpif), [
      { offloaded: true, suspect: false, stats: { packets: 3n, hardware: { packets: 3n } } },
      { offloaded: true, suspect: false },
    ])
    esw.set('stats_delay_ms', 0)
    for (const [ufid, { packets, used }] of await swept(dpif)) {
      t.equal(packets, 6n)
      t.ok(used > (first.get(ufid)?.used ?? used))
    }
  })

  t.test('where a device has no last use, the time moves when packets do', async (t) => {
    const { esw, dpif, a, b } = await bench(t)
    esw.set('no_last_used', true)
    await connect(dpif)
    const usedNow = async () => (await dumped(dpif)).map(({ stats }) => stats.used)
    t.same(await usedNow(), [0, 0], 'no packet came')
    t.equal(await ping(a, b), 3)
    const before = clock()
    for (const used of await usedNow()) t.ok(used >= before, 'it may have come just now: nobody has looked')
    const seen = [...(await swept(dpif)).values()].map(({ used }) => used)
    await past(Math.max(...seen))
    t.same(
      [...(await swept(dpif)).values()].map(({ used }) => used),
      seen,
    )
    t.same(new Set(await usedNow()), new Set(seen), 'a dump says what sweeps saw')
    t.equal(await ping(a, b), 3)
    for (const used of await usedNow()) t.ok(used > Math.max(...seen), 'it has moved since')
    for (const { packets, used } of (await swept(dpif)).values()) {
      t.equal(packets, 6n)
      t.ok(used > Math.max(...seen))
    }
  })

  t.test('a flow the device has lost is suspect, goes on in software, and is mended by a put', async (t) => {
    const { esw, dpif, reps, a, b } = await bench(t)
    await connect(dpif)
    t.equal(await ping(a, b), 3)
    esw.set('evict', 2)
    t.equal(esw.used, 0)
    const seen = received(reps[0])
    t.equal(await ping(a, b), 3, 'no packet is lost')
    t.equal(received(reps[0]) - seen, 3, 'software gets what hardware had')
    const lost = {
      backend: 'tc',
      offloaded: true,
      suspect: true,
      stats: { packets: 6n, hardware: { packets: 3n } },
    }
    t.match(await dumped(dpif), [lost, lost])
    const mended = await dpif.operate(
      [1, 2].map((inPort) => {
        return { op: 'put', key: keyOf(inPort), actions: `${3 - inPort}`, mode: 'upsert', confirm: true }
      }),
    )
    t.match(mended, [{ offloaded: true }, { offloaded: true }])
    t.equal(esw.used, 2)
    t.equal(await ping(a, b), 3)
    const sound = { offloaded: true, suspect: false, stats: { packets: 9n } }
    t.match(await dumped(dpif), [sound, sound])
  })

  t.test('a flow in hardware alone that the device has lost: its packets miss', async (t) => {
    const { esw, dpif, a, b } = await bench(t, hardwareFirst)
    await connect(dpif)
    t.equal(await ping(a, b), 3)
    const upcalls = dpif.upcalls()
    await upcalls.start()
    esw.set('evict', 2)
    const pinging = ping(a, b, 1, 1)
    const { value } = await upcalls.next()
    t.match(value.upcalls[0], { kind: 'miss', key: { inPort: 1 } })
    t.match(await dumped(dpif), [
      { offloaded: true, suspect: false, stats: { packets: 3n } },
      { offloaded: true },
    ])
    t.match(await dpif.put({ key: keyOf(1), actions: '2' }), { error: { code: 'EXISTS' } }, 'it is there')
    for (const inPort of [1, 2]) {
      const put = { key: keyOf(inPort), actions: `${3 - inPort}` }
      t.match(await dpif.put(put, { mode: 'upsert', confirm: true }), { backend: 'tc', offloaded: true })
    }
    await pinging
    t.equal(await ping(a, b), 3)
    t.match(await dumped(dpif), [{ stats: { packets: 6n } }, { stats: { packets: 6n } }])
    await upcalls.return()
  })

  t.test('a port, and then the device, goes away in use: what is left can be read and deleted', async (t) => {
    const { esw, dpif, reps, a, b } = await bench(t)
    const [there] = await connect(dpif)
    t.equal(await ping(a, b), 3)
    const flood = spawn('ip', ['netns', 'exec', a.namespace, 'ping', '-q', '-f', b.ip4], { stdio: 'ignore' })
    t.teardown(() => flood.kill('SIGKILL'))
    const ended = once(flood, 'exit')
    const more = async () => (await dumped(dpif))[0]?.stats.packets ?? 0n
    await eventually(more, (packets) => packets > 20n)
    esw.set('remove_port', 'pf0vf1')
    const [left, ...others] = await dumped(dpif)
    t.same(others, [], "the port's own flow went with it")
    t.match(left, { ufid: there?.ufid, backend: 'tc', key: { inPort: 1 } })
    const packets = left?.stats.packets ?? 0n
    t.ok(packets > 20n)
    t.ok((await more()) >= packets, 'it counts on')
    t.same(
      (await dpif.ports()).map(({ name }) => name).filter((name) => reps.includes(name)),
      [reps[0]],
    )
    const lead = { key: keyOf(1).replace('frag=no', 'dst=10.9.0.1,frag=no'), actions: '2' }
    t.match(await dpif.put(lead), { backend: 'ovs', declined: [{ code: 'NO_PORT', reason: 'NO_PORT' }] })
    const gone = await dpif.del({ ufid: there?.ufid ?? '', stats: true })
    t.match(gone, { backend: 'tc', error: undefined })
    t.ok((gone.stats?.packets ?? 0n) >= packets)
    esw.unbind()
    const rest = await dumped(dpif)
    t.same([...new Set(rest.map(({ backend }) => backend))], ['ovs'], 'flows of openvswitch stay')
    t.match(await dpif.put({ key: keyOf(1), actions: 'drop' }), {
      backend: 'ovs',
      declined: [{ code: 'NO_PORT' }],
    })
    flood.kill('SIGKILL')
    await ended
    await dpif.flush()
    esw.bind()
    await attach(dpif, reps)
    t.match(await connect(dpif), [{ offloaded: true }, { offloaded: true }], 'and it can be used again')
  })

  t.test('a flow to a port of another e-switch is not offered to either', async (t) => {
    const [esw, other] = loadEswitch(t, { devices: 2, switchdev: true }) as [Eswitch, Eswitch]
    const [a, b] = guests(t, [esw.vf(0), other.vf(0)]) as [Guest, Guest]
    const { name } = await datapath(t)
    const dpif = await open(t, name, preferTc())
    t.teardown(() => dpif.flush())
    await attach(dpif, [esw.rep(0), other.rep(0)])
    t.match(await dpif.ports(), [
      {},
      { switchId: 'e500000000000000', kind: 'vf' },
      { switchId: 'e500000000000001', portName: 'pf0vf0', kind: 'vf' },
    ])
    t.match(await connect(dpif), [
      { backend: 'tc', offloaded: false, declined: undefined },
      { backend: 'tc', offloaded: false },
    ])
    t.match(tc(`filter show dev ${esw.rep(0)} ingress`), /skip_hw/)
    t.match((await dpif.explain({ key: keyOf(1), actions: '2' })).verdicts, [
      {
        backend: 'tc',
        softwareOnly: { reason: 'OTHER_SWITCH', path: 'actions[0].output' },
        filter: /skip_hw/,
      },
      {},
    ])
    t.equal(await ping(a, b), 3)
    const inSoftware = { offloaded: false, suspect: false, stats: { packets: 3n } }
    t.match(await dumped(dpif), [inSoftware, inSoftware])
    await dpif.flush()
    const demanding = await open(t, name, hardwareFirst)
    const declined = [{ backend: 'tc', code: 'UNSUPPORTED_ACTION', reason: 'OTHER_SWITCH', errno: undefined }]
    t.match(await connect(demanding), [
      { backend: 'ovs', declined },
      { backend: 'ovs', declined },
    ])
    t.equal(await ping(a, b), 3)
    await demanding.flush()
  })
}
