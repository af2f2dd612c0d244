import type { Action } from '../../types/action.js'
import type { Backend } from '../../types/backend.js'
import type { FlowKey, FlowStats, Ufid } from '../../types/flow.js'
import type { BackendName, DumpOptions, DumpType, Flow } from '../../types/op.js'
import type { PlacementMap } from './placement.js'

/** The kinds of dump, and which backend can have any of them. */
const kinds: Readonly<Record<DumpType, { backends: readonly BackendName[]; fits: (flow: Flow) => boolean }>> =
  {
    ovs: { backends: ['ovs'], fits: ({ backend }) => backend === 'ovs' },
    tc: { backends: ['tc'], fits: ({ backend }) => backend === 'tc' },
    offloaded: { backends: ['tc'], fits: ({ offloaded }) => offloaded },
    'non-offloaded': { backends: ['tc', 'ovs'], fits: ({ offloaded }) => !offloaded },
  }

/**
 * Both tables as one: the backends in the order given, every ufid once. A flow that is on its way from one backend to the other
 * shows up in both; the first one seen counts. Errors of a dump come after all that could be read.
 */
export async function* merge(
  backends: readonly Backend[],
  placement: PlacementMap,
  { terse = false, types = [] }: DumpOptions,
): AsyncIterableIterator<Flow> {
  const wanted = types.map((type) => {
    const kind = kinds[type]
    if (kind === undefined)
      throw new TypeError(`'${type}' is no kind of flow; there are ${Object.keys(kinds).join(', ')}`)
    return kind
  })
  const seen = new Set<Ufid>()
  const problems: unknown[] = []
  for (const [turn, backend] of backends.entries()) {
    if (wanted.length > 0 && !wanted.some(({ backends }) => backends.includes(backend.name))) continue
    const last = turn === backends.length - 1
    try {
      for await (const flow of backend.dump({ terse })) {
        if (seen.has(flow.ufid)) continue
        // The last table needs no remembering: the kernel names each flow of one table once.
        if (!last) seen.add(flow.ufid)
        if (wanted.length > 0 && !wanted.some(({ fits }) => fits(flow))) continue
        yield placement.isCarried(flow) ? new CarriedFlow(flow, placement.total(flow, flow.stats)) : flow
      }
    } catch (error) {
      problems.push(error)
    }
  }
  if (problems.length > 0) throw problems[0]
}

/** A flow whose earlier copies have counted too. */
export class CarriedFlow implements Flow {
  readonly #flow: Flow
  readonly stats: FlowStats

  constructor(flow: Flow, stats: FlowStats) {
    this.#flow = flow
    this.stats = stats
  }

  get ufid(): Ufid {
    return this.#flow.ufid
  }

  get ufidPresent(): boolean {
    return this.#flow.ufidPresent
  }

  get key(): FlowKey {
    return this.#flow.key
  }

  get mask(): FlowKey {
    return this.#flow.mask
  }

  get actions(): readonly Action[] {
    return this.#flow.actions
  }

  get backend(): BackendName {
    return this.#flow.backend
  }

  get offloaded(): boolean {
    return this.#flow.offloaded
  }
}
