import type { Action } from '../../types/action.js'
import type { Backend, DumpedFlow, SweptPage } from '../../types/backend.js'
import type { FlowId, FlowKey, FlowStats, FlowWords, Ufid } from '../../types/flow.js'
import type { BackendName, DumpOptions, DumpType, Flow, OpResult } from '../../types/op.js'
import { DpifError } from '../errors.js'
import { UfidTable } from '../memory/ufid-table.js'
import type { Arrivals, Watch } from './arrivals.js'
import type { PlacementMap } from './placement.js'

/** The kinds of dump, and which backend can have any of them. */
const kinds: Readonly<Record<DumpType, { backends: readonly BackendName[]; fits: (flow: Flow) => boolean }>> =
  {
    ovs: { backends: ['ovs'], fits: ({ backend }) => backend === 'ovs' },
    tc: { backends: ['tc'], fits: ({ backend }) => backend === 'tc' },
    offloaded: { backends: ['tc'], fits: ({ offloaded }) => offloaded },
    'non-offloaded': { backends: ['tc', 'ovs'], fits: ({ offloaded }) => !offloaded },
  }

export interface MergeParts {
  readonly backends: readonly Backend[]
  readonly placement: PlacementMap
  readonly arrivals: Arrivals
  /** Called when the first flow is asked for; may throw. */
  prepare(): Promise<void>
  /** Reads flows by themselves. */
  get(ids: readonly FlowId[]): Promise<readonly OpResult[]>
}

/** Two tables looked at as one. */
export class Merge {
  readonly #parts: MergeParts
  readonly #placement: PlacementMap
  /** Where ids that were seen are noted, for the next look. */
  #spare: UfidTable | undefined

  constructor(parts: MergeParts) {
    this.#parts = parts
    this.#placement = parts.placement
  }

  /**
   * The backends in the order given, every ufid once. A flow that is on its way from one backend to the other shows up in both; the
   * first one seen counts. One that went where the dump had been already is read by itself at the end. Errors of a dump come after all
   * that could be read.
   */
  dump(options: DumpOptions): AsyncIterableIterator<Flow> {
    return new OneByOne(this.#lists(options))
  }

  async *#lists({ terse = false, types = [] }: DumpOptions): AsyncGenerator<readonly Flow[]> {
    const wanted = types.map((type) => {
      const kind = kinds[type]
      if (kind === undefined)
        throw new TypeError(`'${type}' is no kind of flow; there are ${Object.keys(kinds).join(', ')}`)
      return kind
    })
    const isWanted = (flow: Flow) => wanted.length === 0 || wanted.some(({ fits }) => fits(flow))
    const backends = this.#parts.backends.filter(({ name }) => {
      return wanted.length === 0 || wanted.some(({ backends }) => backends.includes(name))
    })
    let handed: readonly DumpedFlow[] = []
    const watch = this.#parts.arrivals.watch()
    const lists = this.#each(
      backends,
      (backend) => backend.dump({ terse }),
      (flows, isFirst) => {
        handed = flows.filter((flow) => isFirst(flow.id) && isWanted(flow))
        return this.#told(handed)
      },
      {
        watch,
        missed: async (ids) => {
          handed = []
          return (await this.#missed(ids)).filter(isWanted)
        },
      },
    )
    try {
      for await (const list of lists) {
        try {
          yield list
        } finally {
          // The user may keep them, and only now their page is used again.
          for (const flow of handed) flow.detach()
        }
      }
    } finally {
      watch.end()
    }
  }

  /** Those that came where the dump had been already, as far as they live still. */
  async #missed(ids: readonly FlowId[]): Promise<readonly Flow[]> {
    const results = await this.#parts.get(ids)
    return results.flatMap(({ flow, error }) => {
      if (error !== undefined && error.code !== 'NOT_FOUND') throw DpifError.from(error)
      return flow ?? []
    })
  }

  /** What the user gets to see. */
  #told(flows: readonly DumpedFlow[]): readonly Flow[] {
    const placement = this.#placement
    if (!placement.carries) return flows
    return flows.map((flow) =>
      placement.isCarried(flow.id)
        ? new CarriedFlow(flow, placement.total(flow.id, flow.stats, flow.backend))
        : flow,
    )
  }

  /** The flows of both tables as they lie on their pages, under the same rules; with what each copy has counted itself. */
  flows(): AsyncIterableIterator<readonly DumpedFlow[]> {
    return this.#each(
      this.#parts.backends,
      (backend) => backend.dump({ terse: false }),
      (flows, isFirst) => flows.filter((flow) => isFirst(flow.id)),
    )
  }

  /** The counters of both tables, under the same rules. */
  sweep(): AsyncIterableIterator<SweptPage> {
    return this.#each(
      this.#parts.backends,
      (backend) => backend.sweep(),
      (page, isFirst) => {
        for (let index = page.count - 1; index >= 0; index--)
          if (!isFirst(page.words(index))) page.drop(index)
        if (this.#placement.carries) this.#addCarried(page)
        return page
      },
    )
  }

  #addCarried(page: SweptPage): void {
    const { backend } = page
    for (let index = 0; index < page.count; index++) {
      const ufid = page.ufid(index)
      if (!this.#placement.isCarried({ ufid })) continue
      const own = {
        packets: page.packets[index] as bigint,
        bytes: page.bytes[index] as bigint,
        used: page.used[index] as number,
        tcpFlags: 0,
      }
      const { packets, bytes, used } = this.#placement.total({ ufid, ...page.words(index) }, own, backend)
      page.packets[index] = packets
      page.bytes[index] = bytes
      page.used[index] = used
    }
  }

  async *#each<Page, Told>(
    backends: readonly Backend[],
    pages: (backend: Backend) => AsyncIterable<Page>,
    tell: (page: Page, isFirst: IsFirst) => Told,
    late?: Late<Told>,
  ): AsyncGenerator<Told> {
    await this.#parts.prepare()
    const seen = this.#spare ?? new UfidTable()
    this.#spare = undefined
    const problems: unknown[] = []
    try {
      for (const [turn, backend] of backends.entries()) {
        const isFirst = firstOf(seen, turn === backends.length - 1 && late === undefined)
        late?.watch.begin(backend.name)
        try {
          for await (const page of pages(backend)) yield tell(page, isFirst)
        } catch (error) {
          problems.push(error)
        }
      }
      if (late !== undefined && late.watch.ids.length > 0) {
        try {
          yield await late.missed(late.watch.ids.filter((id) => seen.add(id)))
        } catch (error) {
          problems.push(error)
        }
      }
      if (late?.watch.overflowed === true) problems.push(tooManyMoves())
    } finally {
      seen.clear()
      this.#spare = seen
    }
    if (problems.length > 0) throw problems[0]
  }
}

type IsFirst = (id: FlowWords) => boolean

/** What a look does about flows it may have missed. */
interface Late<Told> {
  readonly watch: Watch
  missed(ids: readonly FlowId[]): Promise<Told>
}

const tooManyMoves = () =>
  new DpifError(
    'DUMP_INTERRUPTED',
    'more flows were moved during a dump than it can follow: some may be missing; dump again',
  )

/** Whether an id was not seen before. The last table needs no remembering: the kernel names each flow of one table once. */
function firstOf(seen: UfidTable, isLast: boolean): IsFirst {
  if (!isLast) return (id) => seen.add(id)
  return seen.size === 0 ? () => true : (id) => !seen.has(id)
}

/** Hands lists out one by one. An async generator would cost more for each flow than decoding it does. */
class OneByOne implements AsyncIterableIterator<Flow> {
  readonly #lists: AsyncGenerator<readonly Flow[]>
  #list: readonly Flow[] = []
  #next = 0
  #fetching: Promise<boolean> | undefined

  constructor(lists: AsyncGenerator<readonly Flow[]>) {
    this.#lists = lists
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Flow>> {
    // Calls that overlap wait for one list.
    while (this.#next === this.#list.length) {
      this.#fetching ??= this.#fetch()
      if (!(await this.#fetching)) return { value: undefined, done: true }
    }
    return { value: this.#list[this.#next++] as Flow, done: false }
  }

  /** False when there is no list any more. */
  async #fetch(): Promise<boolean> {
    try {
      const { value, done } = await this.#lists.next()
      this.#list = done ? [] : value
      this.#next = 0
      return !done
    } finally {
      this.#fetching = undefined
    }
  }

  async return(): Promise<IteratorResult<Flow>> {
    this.#next = this.#list.length
    await this.#lists.return(undefined)
    return { value: undefined, done: true }
  }
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

  get suspect(): boolean {
    return this.#flow.suspect
  }
}
