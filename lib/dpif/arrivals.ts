import type { FlowId } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'

/** Flows that come to a table by a move, while dumps go on that may have been past their place in it. */
export class Arrivals {
  readonly #dumps = new Set<Watch>()

  /** The new copy of a flow is there, and the old one is about to go. */
  note(id: FlowId, to: BackendName): void {
    for (const dump of this.#dumps) dump.note(id, to)
  }

  /** For a dump that begins; to be ended with it. */
  watch(): Watch {
    const watch = new Watch(() => this.#dumps.delete(watch))
    this.#dumps.add(watch)
    return watch
  }
}

/** What a dump may have missed. */
export class Watch {
  readonly #begun = new Set<BackendName>()
  readonly #end: () => void
  readonly ids: FlowId[] = []
  /** There were more than are remembered. */
  overflowed = false

  constructor(end: () => void) {
    this.#end = end
  }

  /** The dump begins to read this table. */
  begin(backend: BackendName): void {
    this.#begun.add(backend)
  }

  note({ ufid, w0, w1, w2, w3 }: FlowId, to: BackendName): void {
    if (!this.#begun.has(to)) return
    if (this.ids.length === MOST) this.overflowed = true
    else this.ids.push({ ufid, w0, w1, w2, w3 })
  }

  end(): void {
    this.#end()
  }
}

const MOST = 65_536
