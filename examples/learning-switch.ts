import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  createDatapath,
  deleteDatapath,
  DpifError,
  type Dpif,
  type FlowKey,
  type Op,
  openDpif,
  policyNamed,
  type Upcall,
  type Upcalls,
} from 'dpif-hw-acc'

// A learning Ethernet switch. A packet without a flow comes up here; its source says where a host is, its destination where to send it. The
// answer is a flow for the packets to come, and this packet sent on. From then on the kernel, or the NIC, switches by itself.
//
//   npm run --silent example:switch -- --dp br-learn --port eth1 --port eth2 [--policy prefer-tc] [--idle SECONDS]
//
// What was left behind by a switch that was killed is taken over by the next one of the same name.

/** Where a host is, and when it was last heard of. */
interface Host {
  port: number
  seen: number
}

/** What a flow of ours is about, and when it last saw a packet. */
interface Learned {
  readonly src: string
  readonly dst: string
  packets: bigint
  active: number
}

const HOST_IDLE_MS = 300_000
/** As a switch of metal: who is new when the tables are full is not learned, and its packets go everywhere, one by one. */
const MOST_HOSTS = 8192
const MOST_FLOWS = 16384
const SWEEP_MS = 1000
const exact = { mac: 'ff:ff:ff:ff:ff:ff', word: 0xffffffff, half: 0xffff } as const

class LearningSwitch {
  readonly #dpif: Dpif
  readonly #ports: readonly number[]
  readonly #idleMs: number
  /** By MAC address. */
  readonly #hosts = new Map<string, Host>()
  /** By ufid. */
  readonly #flows = new Map<string, Learned>()

  constructor(dpif: Dpif, ports: readonly number[], idleMs: number) {
    this.#dpif = dpif
    this.#ports = ports
    this.#idleMs = idleMs
  }

  get ufids(): readonly string[] {
    return [...this.#flows.keys()]
  }

  /** Learns from the flows that are there: a switch before this one put them. */
  async adopt(): Promise<void> {
    for await (const { ufid, key, mask, stats } of this.#dpif.dump()) {
      const { src, dst } = key.ethernet ?? {}
      const isOurs = mask.ethernet?.src === exact.mac && mask.ethernet.dst === exact.mac
      if (!isOurs || src === undefined || dst === undefined || key.inPort === undefined) continue
      this.#hosts.set(src, { port: key.inPort, seen: Date.now() })
      this.#flows.set(ufid, { src, dst, packets: stats.packets, active: Date.now() })
    }
  }

  /** Answers packets that met no flow. First all are learned from, so that every answer knows what any of them says. */
  async answer(upcalls: readonly Upcall[]): Promise<void> {
    const misses = upcalls.filter(({ kind }) => kind === 'miss')
    const deletions = this.#forget(new Set(misses.flatMap(({ key }) => this.#learn(key))))
    const puts = new Map<Op, Learned>()
    const answers = misses.flatMap((upcall) => this.#forward(upcall, puts))
    const ops = [...deletions, ...answers]
    const results = await this.#dpif.operate(ops)
    for (const [index, { ufid, error }] of results.entries()) {
      const put = puts.get(ops[index] as Op)
      // Two packets of one kind may come up together: the flow is there then.
      if (put !== undefined && error === undefined) this.#flows.set(ufid, put)
      else if (error !== undefined && !harmless.includes(error.code)) console.error(error.message)
    }
  }

  /** Notes where the sender is. Answers who it is when it has moved: then its flows lead astray. */
  #learn({ inPort, ethernet }: FlowKey): string[] {
    const src = ethernet?.src
    if (src === undefined || inPort === undefined || isGroup(src)) return []
    const before = this.#hosts.get(src)
    if (before === undefined && this.#hosts.size >= MOST_HOSTS) return []
    this.#hosts.set(src, { port: inPort, seen: Date.now() })
    if (before === undefined || before.port === inPort) return []
    console.log(`${src} moved from port ${before.port} to port ${inPort}`)
    return [src]
  }

  #forget(macs: ReadonlySet<string>): Op[] {
    if (macs.size === 0) return []
    const flows = [...this.#flows].filter(([, { src, dst }]) => macs.has(src) || macs.has(dst))
    return flows.map(([ufid]) => this.#delete(ufid))
  }

  #delete(ufid: string): Op {
    this.#flows.delete(ufid)
    return { op: 'del', ufid }
  }

  /** Sends a packet on, and puts a flow that does so from now on, unless it goes everywhere only because nobody knows better yet. */
  #forward({ key, rawKey, packet, hash, mru }: Upcall, puts: Map<Op, Learned>): Op[] {
    const { inPort, ethernet: { src, dst } = {} } = key
    if (src === undefined || dst === undefined || inPort === undefined) return []
    const host = this.#hosts.get(dst)
    const everywhere = this.#ports.filter((port) => port !== inPort)
    const to = isLinkLocal(dst) ? [] : host === undefined ? everywhere : [host.port]
    const actions = to.filter((port) => port !== inPort).map((output) => ({ output }))
    const execute: Op = { op: 'execute', packet, key: rawKey, hash, mru, actions }
    const isFull = this.#flows.size + puts.size >= MOST_FLOWS
    if (isFull || (host === undefined && !isGroup(dst))) return [execute]
    // The kernel has to be told of the whole packet, and which bits of it count.
    const put: Op = { op: 'put', key, mask: maskOf(key), actions }
    puts.set(put, { src, dst, packets: 0n, active: Date.now() })
    return [put, execute]
  }

  /** Deletes flows that no packet has met for a while, and those of hosts that have not been heard of for long. */
  async sweep(): Promise<void> {
    const now = Date.now()
    for await (const page of this.#dpif.sweep()) {
      for (let index = 0; index < page.count; index++) {
        const flow = this.#flows.get(page.ufid(index))
        const packets = page.packets[index] ?? 0n
        if (flow !== undefined && flow.packets !== packets) this.#touch(flow, packets, now)
      }
    }
    const idle = [...this.#flows].filter(([, { active }]) => now - active >= this.#idleMs)
    const ops = idle.map(([ufid]) => this.#delete(ufid))
    const silent = [...this.#hosts].filter(([, { seen }]) => now - seen >= HOST_IDLE_MS).map(([mac]) => mac)
    for (const mac of silent) this.#hosts.delete(mac)
    await this.#dpif.operate([...ops, ...this.#forget(new Set(silent))])
  }

  #touch(flow: Learned, packets: bigint, now: number): void {
    flow.packets = packets
    flow.active = now
    const host = this.#hosts.get(flow.src)
    if (host !== undefined) host.seen = now
  }
}

/** What counts of a packet: where it is from, and who it is for. The type counts because TC has its filters by type, and a tag has its. */
function maskOf({ vlan }: FlowKey): FlowKey {
  const tag = { vlan: { vid: 0xfff, pcp: 7, cfi: 1 }, encap: { etherType: exact.half } }
  return {
    recircId: exact.word,
    inPort: exact.word,
    ethernet: { src: exact.mac, dst: exact.mac },
    etherType: exact.half,
    ...(vlan === undefined ? {} : tag),
  }
}

const isGroup = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1
/** Not for switches to send on (IEEE 802.1D, table 7-10). */
const isLinkLocal = (mac: string): boolean => /^01:80:c2:00:00:0[0-9a-f]$/.test(mac)

/** Somebody else was faster: it is there, or it is gone. */
const harmless: readonly string[] = ['EXISTS', 'NOT_FOUND']

/** Makes the datapath; false when it was there. */
async function make(name: string): Promise<boolean> {
  try {
    await createDatapath(name)
    return true
  } catch (error) {
    if (error instanceof DpifError && error.code === 'EXISTS') return false
    throw error
  }
}

/** Attaches those of the devices that are no ports yet. */
async function attach(dpif: Dpif, devices: readonly string[]) {
  const there = await dpif.ports()
  const attached: string[] = []
  const numbers: number[] = []
  for (const device of devices) {
    const port = there.find(({ name }) => name === device) ?? (await dpif.addPort(device, { up: true }))
    if (!there.includes(port)) attached.push(device)
    numbers.push(port.number)
  }
  return { attached, numbers }
}

/** Answers what comes until the loop is ended, and sweeps meanwhile. What goes wrong in either ends both. */
async function run(learning: LearningSwitch, upcalls: Upcalls): Promise<void> {
  const ending = new AbortController()
  const { signal } = ending
  const answer = async () => {
    for await (const { upcalls: batch, lost } of upcalls) {
      if (lost > 0n) console.log(`${lost} packets were lost: they came faster than they could be answered`)
      await learning.answer(batch)
    }
  }
  const sweep = async () => {
    while (!signal.aborted) {
      await delay(SWEEP_MS, undefined, { signal }).catch(() => {})
      if (!signal.aborted) await learning.sweep().catch(unlessInterrupted)
    }
  }
  await Promise.all([answer().finally(() => ending.abort()), sweep().finally(() => upcalls.return())])
}

/** A table that changes while it is swept is swept again in a second. */
function unlessInterrupted(error: unknown): void {
  if (!(error instanceof DpifError) || error.code !== 'DUMP_INTERRUPTED') throw error
}

const { values } = parseArgs({
  options: {
    dp: { type: 'string', default: 'br-learn' },
    port: { type: 'string', multiple: true, default: [] },
    policy: { type: 'string', default: 'prefer-tc' },
    idle: { type: 'string', default: '10' },
  },
})
const made = await make(values.dp)
const dpif = await openDpif({ datapath: values.dp, policy: policyNamed(values.policy) })
const upcalls = dpif.upcalls()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void upcalls.return())
let attached: readonly string[] = []
try {
  // Before there are ports, so that no packet is missed.
  await upcalls.start()
  const ports = await attach(dpif, values.port)
  attached = ports.attached
  const learning = new LearningSwitch(dpif, ports.numbers, Number(values.idle) * 1000)
  await learning.adopt()
  console.log(`${values.dp}: switching between ${values.port.join(', ')}`)
  await run(learning, upcalls)
  await dpif.operate(learning.ufids.map((ufid): Op => ({ op: 'del', ufid })))
} finally {
  for (const name of attached) await dpif.delPort(name)
  await dpif.close()
  if (made) await deleteDatapath(values.dp)
}
