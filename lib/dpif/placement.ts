import type { FlowStats, Ufid } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'

/** Counters without the clock. */
export interface Counts {
  readonly packets: bigint
  readonly bytes: bigint
}

/**
 * Remembers where flows live, and what they counted in copies that are gone. It speeds the common case and is never the judge: where
 * it and a kernel disagree, the kernel is asked.
 */
export class PlacementMap {
  readonly #homes = new Map<Ufid, readonly BackendName[]>()
  readonly #carried = new Map<Ufid, Counts>()

  /** The backends that hold the flow: usually one; two when a crash left copies. */
  of(ufid: Ufid): readonly BackendName[] {
    return this.#homes.get(ufid) ?? nowhere
  }

  add(ufid: Ufid, backend: BackendName): void {
    const homes = this.of(ufid)
    if (!homes.includes(backend))
      this.#homes.set(ufid, homes.length === 0 ? alone[backend] : [...homes, backend])
  }

  remove(ufid: Ufid, backend: BackendName): void {
    const homes = this.of(ufid).filter((home) => home !== backend)
    if (homes.length > 0) this.#homes.set(ufid, homes)
    else this.#homes.delete(ufid)
  }

  /** Forgets the flow and what it counted. */
  delete(ufid: Ufid): void {
    this.#homes.delete(ufid)
    this.#carried.delete(ufid)
  }

  clear(): void {
    this.#homes.clear()
    this.#carried.clear()
  }

  /** A copy that counted this much was replaced or moved. */
  carry(ufid: Ufid, { packets, bytes }: Counts): void {
    const sum = this.#carried.get(ufid) ?? zero
    if (packets > 0n || bytes > 0n)
      this.#carried.set(ufid, { packets: sum.packets + packets, bytes: sum.bytes + bytes })
  }

  /** The flow counts from 0 again. */
  uncarry(ufid: Ufid): void {
    this.#carried.delete(ufid)
  }

  /** A backend's counters as the user's: with what earlier copies counted. */
  total(ufid: Ufid, stats: FlowStats): FlowStats {
    const carried = this.#carried.get(ufid)
    if (carried === undefined) return stats
    return { ...stats, packets: stats.packets + carried.packets, bytes: stats.bytes + carried.bytes }
  }

  isCarried(ufid: Ufid): boolean {
    return this.#carried.has(ufid)
  }
}

const nowhere: readonly BackendName[] = []
const alone: Readonly<Record<BackendName, readonly BackendName[]>> = { ovs: ['ovs'], tc: ['tc'] }
const zero: Counts = { packets: 0n, bytes: 0n }
