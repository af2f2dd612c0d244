import type { FlowStats, Ufid } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'
import { UfidTable } from '../memory/ufid-table.js'

/** Counters without the clock. */
export interface Counts {
  readonly packets: bigint
  readonly bytes: bigint
}

/** Reads a ufid into four 32-bit words; throws a TypeError when it is none. */
export type ReadUfid = (ufid: Ufid, words: Uint32Array) => void

/**
 * Remembers where flows live, and what they counted in copies that are gone. It speeds the common case and is never the judge: where
 * it and a kernel disagree, the kernel is asked.
 *
 * A flow is 20 bytes in a typed array: its id, and one word with a bit for each backend that holds it and one that says that an op
 * on it is under way.
 */
export class PlacementMap {
  readonly #table = new UfidTable(1)
  readonly #read: ReadUfid
  readonly #words = new Uint32Array(4)
  readonly #carried = new Map<Ufid, Counts>()

  constructor(read: ReadUfid) {
    this.#read = read
  }

  /** The backends that hold the flow: usually one; two when a crash left copies. */
  of(ufid: Ufid): readonly BackendName[] {
    const at = this.#find(ufid)
    return at < 0 ? nowhere : homesOf(this.#table.word(at, 0))
  }

  /**
   * Marks that an op on the flow is under way, and answers what `of` does; undefined when one is already, which has to end first.
   */
  claim(ufid: Ufid): readonly BackendName[] | undefined {
    this.#read(ufid, this.#words)
    const at = this.#table.insert(this.#words, UNCLAIMED)
    const bits = this.#table.word(at, 0)
    if ((bits & CLAIMED) !== 0) return undefined
    this.#table.setWord(at, 0, bits | CLAIMED)
    return homesOf(bits)
  }

  /** The op has ended; the flow also lives in `backend` now, if one is given. */
  release(ufid: Ufid, backend?: BackendName): void {
    const at = this.#find(ufid)
    if (at < 0) return
    const bits = this.#table.word(at, 0) & ~CLAIMED
    this.#store(at, backend === undefined ? bits : bits | bitOf[backend])
  }

  add(ufid: Ufid, backend: BackendName): void {
    this.#read(ufid, this.#words)
    const at = this.#table.insert(this.#words, bitOf[backend])
    this.#table.setWord(at, 0, this.#table.word(at, 0) | bitOf[backend])
  }

  remove(ufid: Ufid, backend: BackendName): void {
    const at = this.#find(ufid)
    if (at < 0) return
    const bits = this.#table.word(at, 0) & ~bitOf[backend]
    // A flow that lives nowhere is gone, and what it counted with it.
    if (homesOf(bits).length === 0) this.#carried.delete(ufid)
    this.#store(at, bits)
  }

  /** Forgets what the flow counted, and where it lived. */
  delete(ufid: Ufid): void {
    this.#carried.delete(ufid)
    const at = this.#find(ufid)
    if (at >= 0) this.#store(at, this.#table.word(at, 0) & CLAIMED)
  }

  clear(): void {
    this.#table.clear()
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
    return this.#carried.size > 0 && this.#carried.has(ufid)
  }

  #find(ufid: Ufid): number {
    this.#read(ufid, this.#words)
    return this.#table.find(this.#words)
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
