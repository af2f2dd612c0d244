import type { ReplaceProgress } from '../../types/dpif.js'
import type { FlowId } from '../../types/flow.js'
import { UfidTable } from '../memory/ufid-table.js'
import type { Turn } from './loop.js'
import { isPossible, look, type Seen, type Surroundings, worthOf } from './look.js'
import { isAt, Move } from './move.js'
import { Top } from './top.js'

/** So many moves are planned at a time. */
const ROOM = 65_536
/** Between the two looks it takes to know who is fast, when nobody has measured before. */
const MEASURE_MS = 500

/** Moves flows to where the policy wants them by now, the fastest first, each once. */
export class Replacement {
  readonly #parts: Surroundings
  readonly #tried = new UfidTable()
  #queue: readonly FlowId[] = []
  #next = 0
  #looked = 0
  #moved = 0
  #failed = 0
  #hasBegun = false

  constructor(parts: Surroundings) {
    this.#parts = parts
  }

  /** Makes at most so many moves; undefined when there is nothing left to move. */
  async batch(most: number, turn: Turn): Promise<ReplaceProgress | undefined> {
    if (this.#next === this.#queue.length) await this.#plan(turn)
    const batch = this.#queue.slice(this.#next, this.#next + most)
    if (batch.length === 0) return undefined
    this.#next += batch.length
    const moves = batch.map((id) => new Move(id))
    const { history, clock, move } = this.#parts
    const results = await move(moves)
    const now = clock.now()
    for (const [at, { moved, outcome, id }] of moves.entries()) {
      if (moved && outcome?.backend !== undefined) history.moved(id, outcome.backend, now)
      if (moved) this.#moved++
      // One that others have deleted meanwhile, or moved, is none that was refused.
      else if (outcome !== undefined && results[at]?.error !== undefined) this.#failed++
    }
    return {
      looked: this.#looked,
      moved: this.#moved,
      failed: this.#failed,
      left: this.#queue.length - this.#next,
    }
  }

  async #plan(turn: Turn): Promise<void> {
    const { context, clock, history } = this.#parts
    if (!this.#hasBegun) {
      this.#hasBegun = true
      // Who asks for this knows that something has changed.
      context.backOff.clear()
      if (!history.isMeasured) {
        await look(this.#parts, 0, turn, () => {})
        await turn.sleep(MEASURE_MS)
      }
    }
    const fastest = new Top<FlowId>(ROOM)
    this.#looked = await look(this.#parts, MEASURE_MS / 2, turn, (seen) => {
      const worth = worthOf(context, seen.put, history.of(seen.id, clock.now())) ?? 0
      if (fastest.takes(worth) && this.#wantsAway(seen)) fastest.add(worth, seen.id)
    })
    this.#queue = turn.isOver ? [] : fastest.sorted()
    this.#next = 0
    for (const id of this.#queue) this.#tried.add(id)
  }

  /** Whether the policy's first choice that could carry the flow is another than where it is. */
  #wantsAway({ put, id, placement, device }: Seen): boolean {
    if (this.#tried.has(id)) return false
    for (const choice of placement.choices) {
      if (isAt(put.flow, choice, device !== 0)) return false
      if (isPossible(this.#parts, put, choice)) return true
    }
    return false
  }
}
