import type { SweptPage } from '../../types/backend.js'
import type { ExpiredFlow } from '../../types/dpif.js'
import type { FlowWords, Ufid } from '../../types/flow.js'
import type { BackendName, OpResult } from '../../types/op.js'
import { Idleness } from './idleness.js'
import { isInterruption } from './look.js'
import type { Clock, Turn } from './loop.js'
import type { Merge } from './merge.js'
import { Expiry } from './expiry.js'

/** How often a flow is to be found idle before it is taken for idle: a device may be late with its counters. */
const LOOKS = 2
/** So many are deleted in one look, and the others in the next. */
const MOST = 65_536

export interface AgeingParts {
  readonly merge: Merge
  readonly clock: Clock
  delete(ops: readonly Expiry[]): Promise<OpResult[]>
}

/** Deletes flows that nobody uses. */
export class Ageing {
  readonly #parts: AgeingParts
  readonly #idleMs: number
  readonly #idleness = new Idleness()

  constructor(parts: AgeingParts, idleMs: number) {
    this.#parts = parts
    this.#idleMs = idleMs
  }

  /** Looks at all flows, and deletes those it has found idle often enough. */
  async look(turn: Turn): Promise<readonly ExpiredFlow[]> {
    const idle: { readonly ufid: Ufid; readonly words: FlowWords; readonly backend: BackendName }[] = []
    this.#idleness.begin()
    try {
      for await (const page of this.#parts.merge.sweep()) {
        if (turn.isOver) return []
        const now = this.#parts.clock.now()
        for (let index = 0; index < page.count; index++) {
          const looks = this.#idleness.note(page, index, now, this.#idleMs)
          if (looks < LOOKS || idle.length === MOST) continue
          idle.push({ ufid: page.ufid(index), words: { ...page.words(index) }, backend: page.backend })
        }
      }
    } catch (error) {
      // What was not seen is not idle.
      if (!isInterruption(error)) throw error
    }
    this.#idleness.end()
    if (idle.length === 0) return []
    const results = await this.#parts.delete(idle.map(({ ufid }) => new Expiry(ufid)))
    const expired: ExpiredFlow[] = []
    for (const [at, { ufid, words, backend }] of idle.entries()) {
      const { error, stats, backend: from = backend } = results[at] as OpResult
      if (error === undefined && stats !== undefined) expired.push({ ufid, backend: from, stats })
      // Somebody else was faster, or the kernel has it under no ufid.
      else if (error?.code === 'NOT_FOUND') this.#idleness.unnamed(words)
    }
    return expired
  }
}

/** The pages of a sweep, with those flows alone that no packet has hit for `idleMs`, as far as `idleness` knows by now. */
export async function* idlePages(
  { merge, clock }: Omit<AgeingParts, 'delete'>,
  idleness: Idleness,
  idleMs: number,
): AsyncGenerator<SweptPage> {
  idleness.begin()
  for await (const page of merge.sweep()) {
    const now = clock.now()
    for (let index = page.count - 1; index >= 0; index--)
      if (idleness.note(page, index, now, idleMs) === 0) page.drop(index)
    yield page
  }
  idleness.end()
}
