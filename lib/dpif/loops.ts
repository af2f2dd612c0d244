import type {
  ExpiredFlow,
  ExpireOptions,
  RebalanceOptions,
  RebalancePass,
  ReplaceOptions,
  ReplaceProgress,
} from '../../types/dpif.js'
import { DpifError } from '../errors.js'
import { Ageing, type AgeingParts } from './ageing.js'
import type { Surroundings } from './look.js'
import { Loop, type LoopOptions, type Turn } from './loop.js'
import { Rebalancer } from './rebalance.js'
import { Replacement } from './replace.js'

/** What goes on as long as somebody asks for it: one loop of a kind at a time. */
export class Loops {
  readonly #parts: Surroundings & AgeingParts
  readonly #open = new Map<string, Loop<unknown>>()

  constructor(parts: Surroundings & AgeingParts) {
    this.#parts = parts
  }

  replace({ movesPerSecond = 1000, signal }: ReplaceOptions): Loop<ReplaceProgress> {
    atLeast('movesPerSecond', movesPerSecond, 1)
    const most = Math.min(MOST_AT_ONCE, Math.ceil(movesPerSecond / BATCHES_PER_SECOND))
    const replacement = new Replacement(this.#parts)
    const everyMs = (most * 1000) / movesPerSecond
    return this.#begin('replace', { everyMs, signal }, (turn) => replacement.batch(most, turn))
  }

  rebalance(options: RebalanceOptions): Loop<RebalancePass> {
    const { everyMs = 3000, maxMoves = 1024, ratio = 1.25, restMs = 10_000, signal } = options
    atLeast('everyMs', everyMs, 1)
    atLeast('maxMoves', maxMoves, 1)
    atLeast('restMs', restMs, 0)
    if (!(ratio > 1)) throw new RangeError(`ratio ${ratio}: a number above 1 is needed`)
    const rebalancer = new Rebalancer(this.#parts, { everyMs, maxMoves, ratio, restMs })
    return this.#begin('rebalance', { everyMs, signal }, (turn) => rebalancer.pass(turn))
  }

  expire({ idleMs, everyMs, signal }: ExpireOptions): Loop<readonly ExpiredFlow[]> {
    atLeast('idleMs', idleMs, 1)
    const period = everyMs ?? Math.min(1000, Math.max(100, idleMs / 4))
    atLeast('everyMs', period, 1)
    const ageing = new Ageing(this.#parts, idleMs)
    return this.#begin('expire', { everyMs: period, signal }, (turn) => ageing.look(turn))
  }

  #begin<T>(kind: string, options: LoopOptions, turn: (turn: Turn) => Promise<T | undefined>): Loop<T> {
    if (this.#open.has(kind))
      throw new DpifError('BUSY', `cannot ${kind}: this dpif does already; end the other loop first`)
    const loop = new Loop(options, this.#parts.clock, turn, () => this.#open.delete(kind))
    if (!loop.isOver) this.#open.set(kind, loop)
    return loop
  }

  /** Ends all of them, and waits for what they are at. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((loop) => loop.return()))
  }
}

/** Throws a RangeError. */
export function atLeast(name: string, value: number, least: number): void {
  if (!(Number.isFinite(value) && value >= least))
    throw new RangeError(`${name} ${value}: a number from ${least} on is needed`)
}

const BATCHES_PER_SECOND = 10
const MOST_AT_ONCE = 1024
