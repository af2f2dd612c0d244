import type { FlowId, FlowStats, Ufid } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'
import { UfidTable } from '../memory/ufid-table.js'

/** Counters without the clock. */
export interface Counts {
  readonly packets: bigint
  readonly bytes: bigint
}

/**
 * Remembers where flows live, and what they counted in copies that are gone. It speeds the common case and is never the judge: where
 * it and a kernel disagree, the kernel is asked.
 *
 * A flow is 20 bytes in a typed array: its id, and one word with a bit for each backend that holds it and one that says that an op
 * on it is under way.
 */
export class PlacementMap {
  readonly #table = new UfidTable(1)
  readonly #carried = new Map<Ufid, Counts>()

  /** The backends that hold the flow: usually one; two when a crash left copies. */
  of(id: FlowId): readonly BackendName[] {
    const at = this.#table.find(id)
    return at < 0 ? nowhere : homesOf(this.#table.word(at, 0))
  }

  /**
   * Marks that an op on the flow is under way, and answers what `of` does; undefined when one is already, which has to end first.
   */
  claim(id: FlowId): readonly BackendName[] | undefined {
    const at = this.#table.insert(id, UNCLAIMED)
    const bits = this.#table.word(at, 0)
    if ((bits & CLAIMED) !== 0) return undefined
    this.#table.setWord(at, 0, bits | CLAIMED)
    return homesOf(bits)
  }

  /** The op has ended; the flow also lives in `backend` now, if one is given. */
  release(id: FlowId, backend?: BackendName): void {
    const at = this.#table.find(id)
    if (at < 0) return
    const bits = this.#table.word(at, 0) & ~CLAIMED
    this.#store(at, backend === undefined ? bits : bits | bitOf[backend])
  }

  add(id: FlowId, backend: BackendName): void {
    const at = this.#table.insert(id, bitOf[backend])
    this.#table.setWord(at, 0, this.#table.word(at, 0) | bitOf[backend])
  }

  remove(id: FlowId, backend: BackendName): void {
    const at = this.#table.find(id)
    if (at < 0) return
    const bits = this.#table.word(at, 0) & ~bitOf[backend]
    // A flow that lives nowhere is gone, and what it counted with it.
    if (homesOf(bits).length === 0) this.#carried.delete(id.ufid)
    this.#store(at, bits)
  }

  /** Forgets what the flow counted, and where it lived. */
  delete(id: FlowId): void {
    this.#carried.delete(id.ufid)
    const at = this.#table.find(id)
    if (at >= 0) this.#store(at, this.#table.word(at, 0) & CLAIMED)
  }

  clear(): void {
    this.#table.clear()
    this.#carried.clear()
  }

  /** A copy that counted this much was replaced or moved. */
  carry({ ufid }: FlowId, { packets, bytes }: Counts): void {
    const sum = this.#carried.get(ufid) ?? zero
    if (packets > 0n || bytes > 0n)
      this.#carried.set(ufid, { packets: sum.packets + packets, bytes: sum.bytes + bytes })
  }

  /** The flow counts from 0 again. */
  uncarry({ ufid }: FlowId): void {
    this.#carried.delete(ufid)
  }

  /** A backend's counters as the user's: with what earlier copies counted. */
  total(id: FlowId, stats: FlowStats): FlowStats {
    const carried = this.#carried.size === 0 ? undefined : this.#carried.get(id.ufid)
    if (carried === undefined) return stats
    return { ...stats, packets: stats.packets + carried.packets, bytes: stats.bytes + carried.bytes }
  }

  /** Whether any flow has counted in copies that are gone. */
  get carries(): boolean {
    return this.#carried.size > 0
  }

  /** What a flow counted in copies that are gone. */
  carried(ufid: Ufid): Counts {
    return this.#carried.get(ufid) ?? zero
  }

  isCarried(id: FlowId): boolean {
    return this.#carried.size > 0 && this.#carried.has(id.ufid)
  }

  #store(at: number, bits: number): void {
    if ((bits & ~UNCLAIMED) === 0) this.#table.remove(at)
    else this.#table.setWord(at, 0, bits)
  }
}

const bitOf: Readonly<Record<BackendName, number>> = { ovs: 1, tc: 2 }
/** An op is under way. */
const CLAIMED = 4
/** Keeps a new entry from being 0, which the table takes for none. */
const UNCLAIMED = 8
const homes: readonly (readonly BackendName[])[] = [[], ['ovs'], ['tc'], ['tc', 'ovs']]
const nowhere: readonly BackendName[] = []
const homesOf = (bits: number): readonly BackendName[] => homes[bits & 3] ?? nowhere
const zero: Counts = { packets: 0n, bytes: 0n }
