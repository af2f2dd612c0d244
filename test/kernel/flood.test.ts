import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type Dpif, type FlowKey, kernelOnly, type Op, type Upcall } from '../../lib/index.js'
import { bench, eventually, ip, missing, netns, type Owner, run, unique, veth } from '../fixtures/lab.js'

// A flood of new connections from a packet generator in a namespace, answered as a learning switch answers. Ten seconds of it, or as many
// as DPIF_FLOOD_SECONDS says: `DPIF_FLOOD_SECONDS=60 node dist/test/lab/cli.js uml --files dist/test/kernel/flood.test.js`.

t.setTimeout(0)

const seconds = Number(process.env.DPIF_FLOOD_SECONDS ?? 10)
const generator = fileURLToPath(new URL('../../bench/generator.js', import.meta.url))
const program = fileURLToPath(new URL('../../examples/learning-switch.js', import.meta.url))

/** A generator behind a device, waiting in a namespace of its own; `flood` lets it go and answers how many frames it sent. */
async function generatorBehind(t: Owner, device: string, ...more: readonly string[]) {
  const ns = netns(t)
  ip(`link set ${device} netns ${ns}`)
  const args = ['netns', 'exec', ns, process.execPath, generator, device, String(seconds), ...more]
  const child = spawn('ip', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill())
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  await lines.next()
  return {
    flood: async () => {
      child.stdin.end('\n')
      const { value } = await lines.next()
      if (child.exitCode === null) await once(child, 'exit')
      return (JSON.parse(String(value)) as { readonly sent: number }).sent
    },
  }
}

/** A table of flows that forgets those no packet meets, so that it stays as large as what is new in a few seconds. */
class Table {
  readonly #dpif: Dpif
  #flows = new Map<string, { packets: bigint; idle: number }>()
  most = 0

  constructor(dpif: Dpif) {
    this.#dpif = dpif
  }

  async answer(upcalls: readonly Upcall[]): Promise<void> {
    const ops = upcalls.flatMap(({ key, rawKey, packet, hash }): Op[] => [
      { op: 'put', key, mask: maskOf(key), actions: [{ output: 2 }] },
      { op: 'execute', packet, key: rawKey, hash, actions: [{ output: 2 }] },
    ])
    for (const [index, { ufid, error }] of (await this.#dpif.operate(ops)).entries()) {
      if (error !== undefined && error.code !== 'EXISTS') throw new Error(error.message)
      if (ops[index]?.op === 'put') this.#flows.set(ufid, { packets: 0n, idle: 0 })
    }
    this.most = Math.max(this.most, this.#flows.size)
  }

  async age(): Promise<void> {
    const seen = new Map<string, bigint>()
    for await (const page of this.#dpif.sweep())
      for (let index = 0; index < page.count; index++) seen.set(page.ufid(index), page.packets[index] ?? 0n)
    const idle: Op[] = []
    for (const [ufid, flow] of this.#flows) {
      const packets = seen.get(ufid) ?? flow.packets
      flow.idle = packets === flow.packets ? flow.idle + 1 : 0
      flow.packets = packets
      if (flow.idle < 2) continue
      idle.push({ op: 'del', ufid })
      this.#flows.delete(ufid)
    }
    for (let from = 0; from < idle.length; from += 512) await this.#dpif.operate(idle.slice(from, from + 512))
  }

  get size(): number {
    return this.#flows.size
  }
}

const maskOf = ({ ipv4, udp }: FlowKey): FlowKey => ({
  recircId: 0xffffffff,
  inPort: 0xffffffff,
  ethernet: { src: 'ff:ff:ff:ff:ff:ff', dst: 'ff:ff:ff:ff:ff:ff' },
  etherType: 0xffff,
  ...(ipv4 === undefined
    ? {}
    : { ipv4: { src: '255.255.255.255', dst: '255.255.255.255', proto: 0xff, frag: 0xff } }),
  ...(udp === undefined ? {} : { udp: { src: 0xffff, dst: 0xffff } }),
})

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test(`${seconds} s of new connections are heard or lost, and counted as the kernel counts`, async (t) => {
    const { dpif, peers } = await bench(t, kernelOnly(), 2)
    const { flood } = await generatorBehind(t, peers[0])
    const upcalls = dpif.upcalls()
    await upcalls.start()
    const table = new Table(dpif)
    const before = await dpif.stats()
    let heard = 0n
    let told = 0n
    let largest = 0
    const answering = (async () => {
      for await (const { upcalls: batch, lost } of upcalls) {
        heard += BigInt(batch.length)
        told += lost
        largest = Math.max(largest, batch.length)
        await table.answer(batch)
      }
    })()
    const delay = monitorEventLoopDelay({ resolution: 10 })
    const memory: number[] = []
    let ageing: Promise<void> | undefined
    const clock = setInterval(() => {
      memory.push(process.memoryUsage().rss)
      ageing ??= table.age().finally(() => {
        ageing = undefined
      })
    }, 1000)
    // What the main thread computed between two turns of its loop; the rest of a delay is others' share of the processor.
    let computed = 0
    let last = mainThreadMs()
    const turns = setInterval(() => {
      const now = mainThreadMs()
      computed = Math.max(computed, now - last)
      last = now
    }, 10)
    delay.enable()
    const sent = await flood()
    delay.disable()
    clearInterval(turns)
    // Those that met a flow of the same connection were not missed; none is there twice.
    const missed = async () => (await dpif.stats()).missed - before.missed
    await eventually(missed, (count) => heard + told >= count, 60_000)
    clearInterval(clock)
    await ageing
    t.comment(
      `${sent} sent, ${heard} heard, ${told} lost; at most ${table.most} flows; event loop late by ${ms(delay.max)} at most, ${ms(delay.percentile(50))} p50, of which ${computed} ms at most were ours; ` +
        `memory ${memory.map((bytes) => bytes >> 20).join(' ')} MiB`,
    )
    t.ok(heard > 0n)
    t.ok(largest <= 256)
    t.equal(told, (await dpif.stats()).lost - before.lost, 'as the kernel counts')
    // What it needs in the first seconds is what it needs.
    const [early, late] = [memory.slice(0, memory.length >> 1), memory.slice(memory.length >> 1)]
    t.ok(Math.max(...late) < Math.max(...early) + (64 << 20), 'memory does not go on growing')
    t.ok(computed < 1000, 'no batch holds the event loop')

    await eventually(
      async () => {
        await table.age()
        return table.size
      },
      (size) => size === 0,
      60_000,
    )
    await eventually(dpif.stats.bind(dpif), ({ flows }) => flows < 100n, 60_000)
    await upcalls.return()
    await answering
  })

  t.test('the example switch recovers from a flood', async (t) => {
    const hosts = [host(t, 1), host(t, 2)]
    const [near, far] = veth(t)
    const child = await startSwitch(t, [...hosts.map(({ port }) => port), near])
    t.ok(answers(hosts[0] as Host), 'before')
    const { flood } = await generatorBehind(t, far)
    const memory: number[] = []
    const clock = setInterval(() => memory.push(residentOf(child)), 1000)
    const sent = await flood()
    clearInterval(clock)
    await eventually(() => answers(hosts[0] as Host), Boolean, 60_000)
    t.comment(`${sent} sent; memory ${memory.map((bytes) => bytes >> 20).join(' ')} MiB`)
    const [early, late] = [memory.slice(0, memory.length >> 1), memory.slice(memory.length >> 1)]
    t.ok(Math.max(...late) < Math.max(...early) + (64 << 20), 'its memory does not go on growing')
    const exit = once(child, 'exit')
    child.kill('SIGINT')
    t.equal((await exit)[0], 0)
  })
}

/** Processor time of the main thread so far, in steps of 10 ms. */
function mainThreadMs(): number {
  const [, fields = ''] = readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8').split(') ')
  const [user, system] = fields.split(' ').slice(11, 13).map(Number)
  return ((user ?? 0) + (system ?? 0)) * 10
}

const ms = (ns: number) => `${Math.round(ns / 1e6)} ms`

interface Host {
  readonly ns: string
  readonly port: string
}

function host(t: Owner, number: number): Host {
  const ns = netns(t)
  const [port, device] = veth(t)
  ip(`link set ${device} netns ${ns}`)
  ip(`-n ${ns} link set ${device} address 02:00:00:00:00:0${number} up`)
  ip(`-n ${ns} address add 10.0.0.${number}/24 dev ${device}`)
  return { ns, port }
}

/** Whether the second host answers the first. */
function answers({ ns }: Host): boolean {
  try {
    run('ip', 'netns', 'exec', ns, 'ping', '-n', '-c', '1', '-W', '2', '10.0.0.2')
    return true
  } catch {
    return false
  }
}

async function startSwitch(t: Owner, ports: readonly string[]): Promise<ChildProcess> {
  const args = [program, '--dp', unique('sw'), '--idle', '3', ...ports.flatMap((port) => ['--port', port])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const output = createInterface(child.stdout)
  await once(output, 'line')
  return child
}

function residentOf({ pid }: ChildProcess): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}
