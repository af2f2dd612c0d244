import type { BackendOp, BackendResult, FlowView, NewFlows, Unmade } from '../../../types/backend.js'
import type { Choice } from '../../../types/policy.js'
import type { Transport } from '../../../types/transport.js'
import type { Writers } from '../writers.js'
import { Answers, Batch } from './batch.js'
import type { Attempt, Create, Creation } from './create.js'
import type { Identities } from './identity.js'
import { allOf, laneOf } from './lanes.js'
import type { Polices } from './meters.js'
import type { Ports } from './ports.js'
import type { Qdiscs } from './qdisc.js'

/** What filters are put with. */
export interface Filing {
  readonly transport: Transport
  readonly identities: Identities
  readonly qdiscs: Qdiscs
  readonly ports: Ports
  readonly creation: Creation
  readonly polices: Polices | undefined
  readonly writers: Writers
  /** How many batches are under way at the same time. */
  readonly lanes: number
  /** Remembers what is under way until it is over. */
  track<T>(work: Promise<T>): Promise<T>
  /** Whether what became of an op is its result. */
  orLater(op: BackendOp, outcome: Attempt): Attempt
  /** Puts those that take a closer look. */
  putAgain(ops: readonly Create[]): Promise<BackendResult[]>
}

/** What one lane gets of a list. */
interface Share {
  readonly lane: number
  readonly batch: Batch
  /** Positions in the list, by the numbers of their messages; -1 for a qdisc's. */
  readonly sent: number[]
}

/** New flows for TC: a filter each, and an exchange for each lane. */
export class NewFilters implements NewFlows {
  readonly flows: FlowView[]
  readonly #filing: Filing
  readonly #choice: Choice
  readonly #shares: Share[] = []
  #count = 0
  readonly #unmade: Unmade[] = []
  /** Those that take a closer look: what is known already, or met another process. */
  readonly #again: number[] = []

  constructor(filing: Filing, choice: Choice, room: number) {
    this.#filing = filing
    this.#choice = choice
    this.flows = new Array(room)
  }

  fetch(flows: readonly FlowView[], from: number, to: number): void {
    this.#filing.identities.fetch(flows, from, to)
  }

  add(flow: FlowView): void {
    const { identities, creation, polices } = this.#filing
    const index = this.#count
    if (identities.has(flow)) this.#again.push(index)
    else {
      const { batch, sent } = this.#shareFor(index)
      const at = creation.writeOrRefuse(batch, flow, this.#choice)
      if (typeof at === 'string' || (typeof at === 'object' && polices?.isWanted)) this.#again.push(index)
      else if (typeof at === 'object') this.#unmade.push({ index, error: at })
      else {
        while (sent.length < at) sent.push(-1)
        sent.push(index)
      }
    }
    this.flows[this.#count++] = flow
  }

  #shareFor(index: number): Share {
    const lane = laneOf(index, this.flows.length, this.#filing.lanes)
    let share = this.#shares[lane]
    if (share === undefined) {
      share = { lane, batch: new Batch(this.#filing.writers.take()), sent: [] }
      this.#shares[lane] = share
    }
    return share
  }

  async send(): Promise<readonly Unmade[]> {
    const { track } = this.#filing
    this.flows.length = this.#count
    await allOf(this.#shares.flatMap((share) => track(this.#sendShare(share))))
    await this.#putAgain()
    return this.#unmade.sort((a, b) => a.index - b.index)
  }

  async #sendShare({ lane, batch, sent }: Share): Promise<void> {
    const { transport, identities, qdiscs, ports, creation, writers, orLater } = this.#filing
    try {
      const exchange = batch.send(transport, lane)
      writers.give(batch.writer)
      const answers = new Answers(await exchange, ports)
      qdiscs.settle(batch, answers)
      for (const failure of answers.failures()) {
        const index = sent[failure.index] ?? -1
        if (index < 0) continue
        const op = this.#opOf(index)
        const outcome = creation.refused(batch, op, answers, failure)
        if (orLater(op, outcome) === 'again') this.#again.push(index)
        else if (outcome !== 'again') this.#unmade.push({ index, error: outcome.error })
      }
      identities.settle(batch.jumps)
      await qdiscs.mark(transport)
    } catch (error) {
      identities.forget(batch)
      throw error
    }
  }

  async #putAgain(): Promise<void> {
    const again = this.#again
    if (again.length === 0) return
    const results = await this.#filing.putAgain(again.map((index) => this.#opOf(index)))
    for (const [turn, { error }] of results.entries()) {
      if (error !== undefined) this.#unmade.push({ index: again[turn] as number, error })
    }
  }

  #opOf(index: number): Create {
    return { verb: 'create', flow: this.flows[index] as FlowView, choice: this.#choice }
  }
}
