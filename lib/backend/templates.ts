import type { FlowView } from '../../types/backend.js'
import type { Choice } from '../../types/policy.js'

/** The message of one new flow, to be sent again for flows of its kind. */
export interface Template {
  /** Whether the flow is of that kind. */
  fits(flow: FlowView, choice?: Choice): boolean
}

/**
 * What the last new flows of a batch looked like, the latest kind first. Within a batch nobody can change the objects they compare
 * with, so they live no longer.
 */
export class Templates<T extends Template> {
  readonly #kinds: T[] = []

  find(flow: FlowView, choice?: Choice): T | undefined {
    for (let index = 0; index < this.#kinds.length; index++) {
      const kind = this.#kinds[index] as T
      if (kind.fits(flow, choice)) return kind
    }
    return undefined
  }

  keep(kind: T | undefined): void {
    if (kind === undefined) return
    this.#kinds.unshift(kind)
    if (this.#kinds.length > MOST_KINDS) this.#kinds.pop()
  }
}

/** Looking through more would cost what a template saves. */
const MOST_KINDS = 8
