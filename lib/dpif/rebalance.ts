import type { ErrorCode } from '../../types/errors.js'
import type { RebalanceOptions, RebalancePass } from '../../types/dpif.js'
import type { FlowId } from '../../types/flow.js'
import type { Choice } from '../../types/policy.js'
import type { Turn } from './loop.js'
import { isPossible, look, type Seen, type Surroundings, worthOf } from './look.js'
import { isAt, Move } from './move.js'
import { Top } from './top.js'

/** A flow that may be moved. */
interface Candidate {
  readonly id: FlowId
  readonly worth: number
  /** Where it is to go; left out for "where the policy says when it is asked then". */
  readonly to: readonly Choice[] | undefined
  /** Where it is, for one that may have to come back. */
  readonly here: Choice
}

/** The flows that share a table: those of one e-switch, or of one port that is on none. */
interface Contest {
  /** Those that wait, the most worthy of them. */
  readonly waiting: Top<Candidate>
  /** Those that are in and have somewhere else to go, the least worthy of them. */
  readonly inside: Top<Candidate>
  readonly device: number
  /** One of its ports. */
  readonly inPort: number
}

type Limits = Required<Omit<RebalanceOptions, 'signal'>>

/** Moves are asked for in batches of so many, so that what the first ones are told is known to the next. */
const BATCH = 64

/**
 * One pass: a look at all flows, then the moves. First go those the policy does not want where they are, since they make room; then
 * those that wait, the most worthy first, into what room there is; then changes of places, the most worthy that wait against the least
 * worthy that are in, as long as the one is `ratio` times as worthy as the other.
 *
 * In a change of places the slow flow goes first, into its next place before it leaves the old one; then the fast one comes; and when
 * that is refused, the slow one is put back. So no flow is nowhere, at any time.
 */
export class Rebalancer {
  readonly #parts: Surroundings
  readonly #limits: Limits
  readonly #contests = new Map<number, Contest>()
  #unwanted = new Top<Candidate>(0)
  #tally = { promoted: 0, demoted: 0, failed: 0 }
  #waiting = 0

  constructor(parts: Surroundings, limits: Limits) {
    this.#parts = parts
    this.#limits = limits
  }

  async pass(turn: Turn): Promise<RebalancePass> {
    const { maxMoves, everyMs } = this.#limits
    this.#contests.clear()
    this.#unwanted = new Top(maxMoves)
    this.#tally = { promoted: 0, demoted: 0, failed: 0 }
    this.#waiting = 0
    const flows = await look(this.#parts, everyMs / 2, turn, (seen) => this.#judge(seen))
    let budget = maxMoves
    budget -= await this.#leave(turn)
    const contests = [...this.#contests.values()].filter(({ waiting }) => waiting.size > 0)
    for (const [at, contest] of contests.entries()) {
      const share = Math.ceil(budget / (contests.length - at))
      budget -= await this.#settle(contest, share, turn)
    }
    return { flows, ...this.#tally, waiting: Math.max(0, this.#waiting - this.#tally.promoted) }
  }

  #judge(seen: Seen): void {
    const { put, placement, device } = seen
    const { choices, waitsFor } = placement
    const { backend } = put.flow
    const [first = { backend }] = choices
    const isHeldBack = waitsFor !== undefined && waitsFor !== first.backend
    const wish: Choice = isHeldBack
      ? (choices.find((choice) => choice.backend === waitsFor) ?? { backend: waitsFor })
      : first
    if (isAt(put.flow, wish, device !== 0)) this.#mayLeave(seen, wish)
    else if (!choices.some((choice) => choice.backend === backend)) this.#mustLeave(seen)
    else this.#mayCome(seen, wish, isHeldBack)
  }

  #mayLeave(seen: Seen, wish: Choice): void {
    const { put, id, placement, device } = seen
    const worth = this.#worthOf(seen)
    if (worth === undefined) return
    const next = nextBest(placement.choices, wish, device !== 0)
    const { inside } = this.#contest(seen)
    if (next === undefined || !inside.takes(-worth) || leads(seen)) return
    if (!isPossible(this.#parts, put, next)) return
    inside.add(-worth, { id, worth, to: [next], here: wish })
  }

  #mustLeave(seen: Seen): void {
    const worth = this.#worthOf(seen) ?? 0
    const { backend } = seen.put.flow
    if (this.#rests(seen) || !this.#unwanted.takes(worth)) return
    if (!seen.placement.choices.some((choice) => isPossible(this.#parts, seen.put, choice))) return
    this.#unwanted.add(worth, { id: seen.id, worth, to: undefined, here: { backend } })
  }

  #mayCome(seen: Seen, wish: Choice, isHeldBack: boolean): void {
    const { put, id } = seen
    const worth = this.#worthOf(seen)
    const { waiting } = this.#contest(seen)
    if (worth === undefined || !waiting.takes(worth)) {
      this.#waiting++
      return
    }
    if (!isPossible(this.#parts, put, wish)) return
    this.#waiting++
    // A policy that holds it back itself is asked again when room was made.
    waiting.add(worth, {
      id,
      worth,
      to: isHeldBack ? undefined : [wish],
      here: { backend: put.flow.backend },
    })
  }

  /** Undefined for those that are not to move: measured too little, or moved not long ago. */
  #worthOf(seen: Seen): number | undefined {
    const { context, history, clock } = this.#parts
    if (this.#rests(seen)) return undefined
    return worthOf(context, seen.put, history.of(seen.id, clock.now()))
  }

  #rests({ id }: Seen): boolean {
    const { history, clock } = this.#parts
    const restedMs = history.restedMs(id, clock.now())
    return restedMs !== undefined && restedMs < this.#limits.restMs
  }

  #contest({ device, inPort = 0 }: Seen): Contest {
    const name = device === 0 ? -1 - inPort : device
    let contest = this.#contests.get(name)
    if (contest === undefined) {
      const { maxMoves } = this.#limits
      contest = { waiting: new Top(maxMoves), inside: new Top(maxMoves), device, inPort }
      this.#contests.set(name, contest)
    }
    return contest
  }

  /** Answers how many moves were made. */
  async #settle(contest: Contest, budget: number, turn: Turn): Promise<number> {
    const before = this.#moves
    const waiting = await this.#fill(contest, budget, turn)
    await this.#exchange(waiting, contest.inside.sorted(), budget - (this.#moves - before), turn)
    return this.#moves - before
  }

  /** Uses what room there is. Answers those that wait still and may come. */
  async #fill(
    { waiting, device, inPort }: Contest,
    budget: number,
    turn: Turn,
  ): Promise<readonly Candidate[]> {
    const { backOff, devices } = this.#parts.context
    const left = new Set(waiting.sorted())
    // Those that a policy holds back itself have no room.
    const some = [...left].filter(({ to }) => to !== undefined).slice(0, budget)
    const room = devices.room(device)
    // Where there is none as far as is known, one tries from time to time; where nobody knows, as many as come until one is refused.
    const most = room === 0 ? 1 : (room ?? some.length)
    for (let at = 0; at < Math.min(most, some.length) && !turn.isOver; at += BATCH) {
      const batch = some.slice(at, Math.min(at + BATCH, most))
      const [choice] = batch[0]?.to ?? []
      if (choice === undefined || backOff.isFull({ inPort }, choice)) break
      const codes = await this.#promote(batch, false)
      for (const [index, candidate] of batch.entries())
        if (codes[index] !== 'NO_SPACE') left.delete(candidate)
      if (codes.includes('NO_SPACE')) break
    }
    return [...left]
  }

  get #moves(): number {
    return this.#tally.promoted + this.#tally.demoted
  }

  async #exchange(
    waiting: readonly Candidate[],
    inside: readonly Candidate[],
    budget: number,
    turn: Turn,
  ): Promise<void> {
    const { ratio } = this.#limits
    const most = Math.min(waiting.length, inside.length, Math.floor(budget / 2))
    let count = 0
    while (count < most) {
      const fast = (waiting[count] as Candidate).worth
      if (fast <= 0 || fast <= (inside[count] as Candidate).worth * ratio) break
      count++
    }
    for (let at = 0; at < count && !turn.isOver; at += BATCH) {
      const to = Math.min(at + BATCH, count)
      await this.#changePlaces(waiting.slice(at, to), inside.slice(at, to))
    }
  }

  async #changePlaces(fast: readonly Candidate[], slow: readonly Candidate[]): Promise<void> {
    const gone = await this.#carryOut(slow.map(({ id, to }) => new Move(id, to)))
    const left = slow.filter((_, at) => gone[at] === undefined)
    this.#tally.failed += slow.length - left.length
    const came = (await this.#promote(fast.slice(0, left.length), true)).filter((fate) => fate === undefined)
    // Where nobody came, the fastest of those that left come back.
    const back = left.slice(came.length)
    const returned = await this.#carryOut(back.map(({ id, here }) => new Move(id, [here], true)))
    const stayedAway = left.length - returned.filter((fate) => fate === undefined).length
    this.#tally.demoted += stayedAway
    // Those that have made room wait themselves now.
    this.#waiting += stayedAway
  }

  /** Why each was not moved, or nothing. */
  async #promote(candidates: readonly Candidate[], isExchange: boolean): Promise<readonly Fate[]> {
    const moves = candidates.map(({ id, to }) => new Move(id, to, true))
    const fates = await this.#carryOut(moves, isExchange)
    for (const fate of fates) this.#tally[fate === undefined ? 'promoted' : 'failed']++
    return fates
  }

  /** Moves flows out of where the policy does not want them. */
  async #leave(turn: Turn): Promise<number> {
    const candidates = this.#unwanted.sorted()
    let count = 0
    for (let at = 0; at < candidates.length && !turn.isOver; at += BATCH) {
      const batch = candidates.slice(at, at + BATCH)
      const fates = await this.#carryOut(batch.map(({ id, to }) => new Move(id, to)))
      for (const [index, { here }] of batch.entries()) {
        if (fates[index] !== undefined) this.#tally.failed++
        else if (here.backend === 'tc') this.#tally.demoted++
        else this.#tally.promoted++
      }
      count += fates.filter((fate) => fate === undefined).length
    }
    return count
  }

  /**
   * Why each was not moved, or nothing. Those that were not have their rest as well, lest they are tried each time; with `isFinal` false
   * only when it was for another reason than want of room.
   */
  async #carryOut(moves: readonly Move[], isFinal = true): Promise<readonly Fate[]> {
    if (moves.length === 0) return []
    const { history, clock } = this.#parts
    const results = await this.#parts.move(moves)
    const now = clock.now()
    return moves.map(({ id, outcome, moved }, at) => {
      const fate = moved ? undefined : (results[at]?.error?.code ?? 'NOT_FOUND')
      const rests = isFinal || fate !== 'NO_SPACE'
      if (rests && outcome?.backend !== undefined) history.moved(id, outcome.backend, now)
      return fate
    })
  }
}

/** Undefined for a flow that was moved. */
type Fate = ErrorCode | undefined

/** Where a flow goes that has to leave: software of TC where hardware was not demanded, else what the policy says comes next. */
function nextBest(
  choices: readonly Choice[],
  { backend, skip }: Choice,
  isOnDevice: boolean,
): Choice | undefined {
  if (backend === 'tc' && isOnDevice && skip === undefined) return { backend, skip: 'hw' }
  return choices.find((choice) => choice.backend !== backend || (choice.skip === 'hw' && skip !== 'hw'))
}

/** Whether other flows get their packets from it, which they would not where TC has them and openvswitch has it. */
function leads({ put }: Seen): boolean {
  return put.actions.some(({ recirc }) => recirc !== undefined)
}
