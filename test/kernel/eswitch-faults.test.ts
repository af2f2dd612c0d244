import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { eventually, ip, type Owner, run, tc } from '../fixtures/lab.js'
import { complaint } from '../lab/complaints.js'
import {
  type Eswitch,
  eswitchMissing,
  filters,
  type Guest,
  guests,
  loadEswitch,
  ping,
  received,
  tcBatch,
  unloadEswitch,
} from '../lab/eswitch/device.js'

// Everything the lab's e-switch can be made to do wrong, and that the kernel lives through it.

t.setTimeout(0)

/** How often the module comes and goes under load. */
const RELOADS = 4

/** Rules between two guests, in hardware only. */
function bench(t: Owner) {
  const [esw] = loadEswitch(t, { switchdev: true }) as [Eswitch]
  const [a, b] = guests(t, [esw.vf(0), esw.vf(1)]) as [Guest, Guest]
  const reps = [esw.rep(0), esw.rep(1)] as const
  connect(reps)
  return { esw, reps, a, b }
}

function connect(reps: readonly [string, string]): void {
  for (const rep of reps) ip(`link set ${rep} addrgenmode none up`)
  tcBatch(
    reps.flatMap((rep, at) => [
      `qdisc add dev ${rep} ingress`,
      `filter add dev ${rep} ingress prio 1 protocol ip flower skip_sw action mirred egress redirect dev ${reps[1 - at]}`,
    ]),
  )
}

const rule = (device: string, number: number) =>
  `filter add dev ${device} ingress prio 9 protocol ip flower skip_sw dst_ip 10.9.${number >> 8}.${number & 255} action drop`

function refusal(line: string): string {
  try {
    tcBatch([line])
    return 'it was taken'
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr)
  }
}

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  t.test('limits: capacity, keys, actions', async (t) => {
    const { esw, reps } = bench(t)
    esw.set('capacity', 4)
    tcBatch([rule(reps[0], 1), rule(reps[0], 2)])
    t.match(refusal(rule(reps[0], 3)), /eswitch: the table is full/)
    // Where software will do, nothing is said, and software does it.
    tcBatch([rule(reps[0], 3).replace('skip_sw ', '').replace('prio 9', 'prio 10')])
    t.match(filters(reps[0]).get(10), { inHardware: false })
    tc(`filter del dev ${reps[0]} ingress prio 9`)
    t.equal(esw.used, 2)
    tcBatch([rule(reps[0], 3)])
    esw.set('refuse_keys', 'ipv4 tcp')
    t.match(refusal(rule(reps[0], 4)), /eswitch: cannot match on ipv4/)
    esw.set('refuse_keys', '')
    esw.set('refuse_actions', 'drop')
    t.match(refusal(rule(reps[0], 4)), /eswitch: cannot carry out drop/)
    esw.set('refuse_actions', '')
    t.throws(() => esw.set('refuse_actions', 'nonsense'))
    tcBatch([rule(reps[0], 4)])
    t.equal(esw.used, 4)
  })

  t.test('insertions take their time, and can be made to queue', async (t) => {
    const { esw, reps } = bench(t)
    const insert = async () => {
      const since = performance.now()
      const done = reps.map((rep, at) => {
        const child = spawn('tc', rule(rep, at).split(' '), { stdio: 'ignore' })
        return once(child, 'exit')
      })
      await Promise.all(done)
      tcBatch(reps.map((rep) => `filter del dev ${rep} ingress prio 9`))
      return performance.now() - since
    }
    esw.set('latency_us', 300_000)
    // The lower bounds are promises of the device; nothing is said about how much longer it takes.
    t.ok((await insert()) >= 300)
    esw.set('serial', true)
    t.ok((await insert()) >= 600)
  })

  t.test('counters come late, or without the time of the last packet', async (t) => {
    const { esw, reps, a, b } = bench(t)
    esw.set('stats_delay_ms', 3_600_000)
    t.equal(ping(a, b.ip4), 3)
    t.equal(filters(reps[0]).get(1)?.packets, 0, 'the device has not looked yet')
    esw.set('stats_delay_ms', 0)
    t.equal(filters(reps[0]).get(1)?.packets, 3)
    esw.set('no_last_used', true)
    await eventually(
      () => filters(reps[0]).get(1),
      (filter) => (filter?.installed ?? 0) >= 2,
    )
    const lag = () => {
      const { installed = 0, used = 0 } = filters(reps[0]).get(1) ?? {}
      return installed - used
    }
    const before = lag()
    t.equal(ping(a, b.ip4), 3)
    t.equal(filters(reps[0]).get(1)?.packets, 6)
    t.ok(lag() <= before + 1, 'as if no packet had come')
    esw.set('no_last_used', false)
    await eventually(
      () => filters(reps[0]).get(1),
      (filter) => (filter?.installed ?? 0) >= before + 4,
    )
    ping(a, b.ip4)
    t.ok(lag() > before + 1)
  })

  t.test('a rule that is evicted is in_hw and does nothing', async (t) => {
    const { esw, reps, a, b } = bench(t)
    t.equal(ping(a, b.ip4), 3)
    esw.set('evict', 1)
    t.equal(esw.used, 1)
    const seen = received(reps[0])
    t.equal(ping(a, b.ip4), 0)
    t.equal(received(reps[0]) - seen, 3, 'software gets what hardware had')
    t.match(filters(reps[0]).get(1), { inHardware: true, packets: 3 })
    tc(`filter del dev ${reps[0]} ingress`)
    t.equal(esw.used, 1)
  })

  t.test('a port, and then the device, goes away with packets under way', async (t) => {
    const { esw, reps, a, b } = bench(t)
    const stop = flood(t, a, b)
    await moving(a)
    esw.set('remove_port', 'pf0vf1')
    t.throws(() => readFileSync(`/sys/class/net/${reps[1]}/ifindex`))
    t.equal(esw.used, 1, 'its own rules went with it')
    await moving(a)
    t.match(filters(reps[0]).get(1), { inHardware: true }, 'a rule that led to it leads nowhere')
    esw.unbind()
    t.throws(() => readFileSync(`/sys/class/net/${reps[0]}/ifindex`))
    await stop()
    esw.bind()
    t.equal(run('cat', `/sys/class/net/${reps[1]}/phys_port_name`).trim(), 'pf0vf1')
  })

  t.test('modes change, the device resets and the module is reloaded under load', async (t) => {
    for (let turn = 0; turn < 3; turn++) {
      const { esw, reps, a, b } = bench(t)
      const stop = flood(t, a, b)
      await moving(a)
      esw.mode('legacy')
      t.equal(esw.used, 0)
      esw.mode('switchdev')
      connect(reps)
      await moving(a)
      const inserting = ['0', '1'].map((_, at) => {
        const child = spawn('tc', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] })
        child.stdin.on('error', () => undefined)
        child.stdin.end(
          Array.from({ length: 500 }, (_, number) => `${rule(reps[at] as string, number)}\n`).join(''),
        )
        return once(child, 'exit')
      })
      await eventually(
        () => esw.used,
        (used) => used > 20,
      )
      if (turn === 1) run('devlink', 'dev', 'reload', esw.handle)
      unloadEswitch()
      await Promise.all(inserting)
      await stop()
    }
  })

  t.test('the module is unloaded and loaded again while it is filled, read and crossed', async (t) => {
    const reps = ['es0_pf0vf0', 'es0_pf0vf1']
    const rules = Array.from({ length: 100 }, (_, number) => rule(reps[number % 2] as string, number))
    again(t, `tc -force -batch - <<END\n${rules.join('\n')}\nEND`)
    const filters = reps.map((rep) => `tc -s filter show dev ${rep} ingress`)
    again(t, [...filters, 'devlink port', 'cat /sys/kernel/debug/eswitch/es0/used'].join('; '))
    for (let turn = 0; turn < RELOADS; turn++) {
      // Takes out what is in, with all that goes on.
      const { esw, a, b } = bench(t)
      flood(t, a, b)
      await moving(a)
      await eventually(
        () => esw.used,
        (used) => used > 20,
      )
    }
    unloadEswitch()
    t.notMatch(run('cat', '/proc/modules'), /^eswitch /m)
  })

  t.test('the kernel has no complaint', async (t) => {
    t.equal(complaint(run('dmesg')), undefined)
    // lockdep, where there is one, ends with the first thing it finds.
    const locks = run('sh', '-c', 'cat /proc/lockdep_stats 2>/dev/null; true')
    t.match(locks, process.env.LAB_KERNEL === 'built' ? /debug_locks: +1\n/ : /^$|debug_locks: +1\n/)
  })
}

/** Echo requests as fast as they go, until the returned function is called. */
function flood(t: Owner, from: Guest, to: Guest): () => Promise<unknown> {
  const words = ['netns', 'exec', from.namespace, 'ping', '-q', '-f', to.ip4]
  const child = spawn('ip', words, { stdio: 'ignore' })
  const ended = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  return () => {
    child.kill('SIGKILL')
    return ended
  }
}

/** Runs shell text over and over until the test is over, whatever comes of it. */
function again(t: Owner, text: string): void {
  const child = spawn('sh', ['-c', `while :; do ${text}\ndone`], { stdio: 'ignore', detached: true })
  t.teardown(() => process.kill(-(child.pid as number), 'SIGKILL'))
}

/** Until the guest has sent a few packets more. */
async function moving(guest: Guest): Promise<void> {
  const sent = () => {
    const text = execFileSync('ip', ['-n', guest.namespace, '-j', '-s', 'link', 'show', guest.device], {
      encoding: 'utf8',
    })
    return JSON.parse(text)[0].stats64.tx.packets as number
  }
  const before = sent()
  await eventually(sent, (now) => now > before + 10)
}
