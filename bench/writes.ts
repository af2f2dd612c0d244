import path from 'node:path'
import type { Dpif, Op } from '../lib/index.js'
import { Baseline, compiled } from './baseline.js'
import { besides } from './beside.js'
import { drive, type Errors, type MakeOps, segmentsOf, type Turn, type Watchers } from './drive.js'
import { environment } from './environment.js'
import { Latencies } from './histogram.js'
import { LoopDelay } from './loop-delay.js'
import { calm, ratios, summarize, warmUps } from './measure.js'
import type { Options, Question } from './options.js'
import type { Progress } from './progress.js'
import { type CurvePoint, type Observed, type Result, SCHEMA, type Stage } from './result.js'
import { checkLanes, nativeSetup, nullSetup, type Setup } from './setup.js'
import { keep, renew } from './renew.js'
import { type Spec, specs } from './spelling.js'
import { opStages, prime, putStages } from './stages.js'

// Insertion, deletion and modification are measured alike: turns of ours and turns of a C program that sends the very
// same bytes, one after the other, each on the same table, with one turn of both before that does not count.

/** What is done to flows. */
export interface Write {
  readonly question: Extract<Question, 'insertion' | 'deletion' | 'modify'>
  /** Whether the flows are there before. */
  readonly full: boolean
  op(flow: Spec): Op
}

/** Parts of a turn for the plot of cost against table size. */
const SEGMENTS = 20
/** Ops that are asked one at a time. */
const SINGLES = 500
/** Flows that are made at once. */
const PIECE = 1024
const ONE_AT_A_TIME = { batch: 1, depth: 1 }

export async function measureWrites(write: Write, options: Options, progress: Progress): Promise<Result> {
  checkLanes(options)
  const native = options.kernel === 'native'
  if (native && options.limit) compiled('limit')
  const setup = native ? await nativeSetup(options) : await nullSetup(options)
  const stop = () => void setup.close().then(() => process.exit(130))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const writes = new Writes(write, options, setup, progress)
  try {
    return await writes.measure()
  } finally {
    writes.end()
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    await setup.close()
    progress.end()
  }
}

class Writes {
  readonly #write: Write
  readonly #options: Options
  readonly #setup: Setup
  readonly #progress: Progress
  readonly #errors: Errors = new Map()
  readonly #notes: string[] = []
  readonly #programs = new Map<'put' | 'own', Baseline>()
  readonly #protocol: 'generic' | 'route'
  #cache: { readonly op: Write['op']; readonly from: number; readonly ops: Op[] } | undefined

  constructor(write: Write, options: Options, setup: Setup, progress: Progress) {
    this.#write = write
    this.#options = options
    this.#setup = setup
    this.#progress = progress
    this.#protocol = options.backend === 'tc' ? 'route' : 'generic'
  }

  async measure(): Promise<Result> {
    const { flows, repeat } = this.#options
    const compares = this.#options.limit && this.#options.kernel === 'native'
    const batch = new Latencies()
    const turns: Turn[] = []
    const limits: { readonly ns: number; readonly segments: readonly number[] }[] = []
    this.#progress.step('warming up')
    const messages = await this.#warmUp(compares)
    for (let turn = 1; turn <= repeat; turn++) {
      this.#progress.step(`turn ${turn} of ${repeat}`)
      turns.push(await this.#turn(await this.#prepare(), { latencies: batch }))
      if (compares && messages > 0) limits.push(await this.#limitTurn())
    }
    const ours = summarize(turns.map(({ ns }) => ns / flows))
    this.#progress.step('a turn watched closely')
    const { observed, inHw, op } = await this.#watchedTurn()
    const peakBytes = process.resourceUsage().maxRSS * 1024
    this.#progress.step('others beside us')
    const beside =
      this.#write.question === 'insertion'
        ? await besides(this.#setup, this.#options, this.#file('own'), ours.median, this.#notes)
        : []
    this.#progress.step('where the time goes')
    const stages = await this.#stages(ours.median)
    const cpu = (pick: (turn: Turn) => number) => summarize(turns.map(pick)).median / 1e6
    return {
      schema: SCHEMA,
      question: this.#write.question,
      when: new Date().toISOString(),
      command: ['bench', ...process.argv.slice(2)].join(' '),
      options: this.#options,
      environment: await environment(this.#options.port, this.#setup.transport),
      ours,
      rate: summarize(ours.turns.map((ns) => 1e9 / ns)),
      ...(limits.length === 0
        ? {}
        : {
            limit: {
              what: 'the same bytes from C: 256 messages a send, ACK on the last',
              ns: summarize(limits.map(({ ns }) => ns / flows)),
              ratio: ratios(
                limits.map(({ ns }) => ns / flows),
                ours.turns,
              ),
            },
          }),
      beside,
      stages,
      observed,
      latency: { batch: batch.percentiles(), op: op.percentiles() },
      cpu: {
        userSeconds: cpu(({ userUs }) => userUs),
        kernelSeconds: cpu(({ kernelUs }) => kernelUs),
        pageFaults: summarize(turns.map(({ faults }) => faults)).median,
      },
      memory: { peakBytes },
      ...(inHw === undefined ? {} : { inHw }),
      errors: [...this.#errors].map(([reason, count]) => ({ reason, count })),
      curve: curveOf(turns, limits, flows),
      notes: [
        `flows were made before the clock started${flows > 100_000 ? ', 100,000 at a time while it stood still' : ''}`,
        ...this.#notes,
      ],
    }
  }

  /** A first turn that does not count; what it sends is kept for the C program. Answers how many ops were taken. */
  async #warmUp(compares: boolean): Promise<number> {
    const { transport } = this.#setup
    if (this.#write.full) {
      await this.#setup.empty()
      const dpif = await this.#open()
      await transport.recording(this.#file('put'), async () => {
        await this.#drive(dpif, toPut)
      })
    }
    const dpif = await this.#prepare()
    await transport.recording(this.#file('own'), async () => {
      await this.#turn(dpif)
    })
    const failed = [...this.#errors.values()].reduce((sum, count) => sum + count, 0)
    const messages = this.#options.flows - failed
    // It is started here, since whoever starts a program finds its own memory write-protected in the next turn.
    if (compares && messages > 0) await this.#limitTurn()
    for (let turn = 1; turn < warmUps(this.#options.flows); turn++) await this.#turn(await this.#prepare())
    // Errors of the turns that count are told, once for each turn.
    this.#errors.clear()
    return messages
  }

  /** The table as the turn wants to find it, and a dpif that knows it. */
  async #prepare(): Promise<Dpif> {
    if (this.#options.kernel === 'null') return this.#prepareNull()
    await this.#fill()
    return this.#open()
  }

  async #prepareNull(): Promise<Dpif> {
    const dpif = await this.#open()
    if (this.#write.full) await this.#drive(dpif, toPut)
    return dpif
  }

  async #fill(): Promise<void> {
    await this.#setup.empty()
    if (this.#write.full) {
      if (this.#options.limit) await this.#program('put').turn()
      else await this.#drive(await this.#open(), toPut)
    }
    await calm()
  }

  async #open(): Promise<Dpif> {
    const dpif = await this.#setup.open()
    await prime(dpif)
    return dpif
  }

  #turn(dpif: Dpif, watchers?: Watchers): Promise<Turn> {
    return this.#drive(dpif, this.#write.op, watchers)
  }

  #drive(dpif: Dpif, op: Write['op'], watchers?: Watchers): Promise<Turn> {
    const make: MakeOps = (from, to) => this.#ops(op, from, to)
    return drive(dpif, this.#options.flows, make, this.#options, this.#errors, watchers)
  }

  /**
   * The ops of one segment are kept, so that those for a table of one segment are made once, and those of a larger one are made of the
   * objects of the segment before.
   */
  async #ops(op: Write['op'], from: number, to: number): Promise<readonly Op[]> {
    if (this.#cache?.op === op && this.#cache.from === from && this.#cache.ops.length === to - from)
      return this.#cache.ops
    const ops = this.#takeOps(op, to - from)
    const { shared } = this.#options
    // Piece by piece, since what only serves to renew is to die young; but masks are shared within a piece.
    const piece = shared ? to - from : PIECE
    for (let at = from; at < to; at += piece) {
      const flows = await specs(this.#options, { from: at, to: Math.min(to, at + piece) }, this.#setup.ends)
      for (const [index, flow] of flows.entries()) {
        const old = ops[at - from + index]
        if (old !== undefined) renew(old, op(flow))
        else ops.push(shared ? op(flow) : keep(op(flow)))
      }
    }
    this.#cache = { op, from, ops }
    return ops
  }

  /** The ops that were kept, to be renewed, or an empty list. Those that cannot serve are dropped before the new ones are made. */
  #takeOps(op: Write['op'], count: number): Op[] {
    const kept = this.#cache
    this.#cache = undefined
    return kept?.op === op && kept.ops.length === count && !this.#options.shared ? kept.ops : []
  }

  async #limitTurn() {
    await this.#fill()
    const result = await this.#program('own').turn()
    if (result.failures > 0 && this.#errors.size === 0) {
      this.#notes.push(
        `the kernel refused ${result.failures} of the C program's messages (errno ${result.errno})`,
      )
    }
    return { ns: result.ns, segments: result.segments ?? [] }
  }

  /** Clocks on everything: too many for a turn that counts. */
  async #watchedTurn(): Promise<{ observed: Observed; inHw: number | undefined; op: Latencies }> {
    const dpif = await this.#prepare()
    const delay = new LoopDelay()
    let ns = 0
    const { busyNs, exchanges } = await this.#setup.transport.timing(async () => {
      ns = (await this.#turn(dpif, { watch: delay })).ns
    })
    const { flows } = this.#options
    const observed = {
      ns: ns / flows,
      exchangeNs: busyNs / flows,
      aloneNs: Math.max(0, ns - busyNs) / flows,
      exchanges,
      loopDelayMs: delay.ms,
    }
    const inHw = this.#write.question === 'deletion' ? undefined : await this.#inHw(dpif)
    return { observed, inHw, op: await this.#singles() }
  }

  async #inHw(dpif: Dpif): Promise<number> {
    if (this.#options.backend === 'ovs' || this.#options.kernel === 'null') return 0
    let offloaded = 0
    for await (const _ of dpif.dump({ terse: true, types: ['offloaded'] })) offloaded++
    return offloaded / this.#options.flows
  }

  /** What one op takes when it is asked alone, on the full table. */
  async #singles(): Promise<Latencies> {
    const { flows } = this.#options
    const first = this.#write.full ? 0 : flows
    const count = Math.min(SINGLES, flows)
    // After an insertion the table is full already; a new dpif learns that from the kernel.
    const dpif = this.#write.full ? await this.#prepare() : await this.#open()
    const latencies = new Latencies()
    const make: MakeOps = async (from, to) =>
      (await specs(this.#options, { from: first + from, to: first + to }, this.#setup.ends)).map(
        this.#write.op,
      )
    await drive(dpif, count, make, ONE_AT_A_TIME, new Map(), { latencies })
    return latencies
  }

  /** The C program that sends what was recorded. */
  #program(name: 'put' | 'own'): Baseline {
    let program = this.#programs.get(name)
    if (program === undefined) {
      program = new Baseline('limit', [this.#protocol, this.#file(name), String(SEGMENTS)])
      this.#programs.set(name, program)
    }
    return program
  }

  end(): void {
    for (const program of this.#programs.values()) program.end()
  }

  #stages(ours: number): Promise<Stage[]> {
    if (this.#write.question === 'insertion') return putStages(this.#options, ours)
    return opStages(this.#options, ours, this.#write.op)
  }

  #file(name: 'put' | 'own'): string {
    return path.join(this.#setup.folder, `${name}.bin`)
  }
}

const toPut: Write['op'] = (flow) => ({ op: 'put', ...flow })

/** The cost of a flow in each part of a turn, the medians of all turns. */
function curveOf(
  turns: readonly Turn[],
  limits: readonly { readonly segments: readonly number[] }[],
  flows: number,
): CurvePoint[] {
  const parts = Math.min(SEGMENTS, ...turns.map(({ marks }) => marks.length))
  if (parts < 2) return []
  const ours = turns.map((turn) => segmentsOf(turn, parts))
  return Array.from({ length: parts }, (_, part) => {
    const theirs =
      parts === SEGMENTS ? limits.map(({ segments }) => costIn(segments, part, flows, parts)) : []
    return {
      size: Math.round(((part + 1) * flows) / parts),
      ours: summarize(ours.map((times) => costIn(times, part, flows, parts))).median,
      ...(theirs.length === 0 ? {} : { limit: summarize(theirs).median }),
    }
  })
}

function costIn(times: readonly number[], part: number, flows: number, parts: number): number {
  return (((times[part] ?? 0) - (part === 0 ? 0 : (times[part - 1] ?? 0))) * parts) / flows
}
