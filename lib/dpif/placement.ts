import type { FlowId, FlowStats, FlowWords, Ufid } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'
import { UfidTable } from '../memory/ufid-table.js'

/** What a copy of a flow has counted. */
export interface Counts {
  readonly packets: bigint
  readonly bytes: bigint
  readonly used?: number
  readonly tcpFlags?: number
}

/** What a flow counted in copies that are gone. */
interface Carried {
  counts: Required<Counts>
  change: Change | undefined
}

/**
 * A flow whose copies are being changed: for a while there may be two, or one that counts from 0, and a dump shows whichever it meets.
 * What was told meanwhile is the floor of what is told next, so that nobody sees counters run backwards.
 */
interface Change {
  /** The backend that gets a copy beside the one there is; none where the copy is changed in place. */
  to: BackendName | undefined
  /** What the other copy had counted before there were two. */
  seen: Required<Counts>
  told: { packets: bigint; bytes: bigint }
}

/**
 * Remembers where flows live, and what they counted in copies that are gone. It speeds the common case and is never the judge: where
 * it and a kernel disagree, the kernel is asked.
 *
 * A flow is 20 bytes in a table: its id, and one word with a bit for each backend that holds it, one that says that an op on it
 * is under way, and the number of the device it is on, if it is in TC and on one.
 */
export class PlacementMap {
  readonly #table = new UfidTable(1)
  readonly #carried = new Map<Ufid, Carried>()
  /** Flows in TC, by the number of their device. */
  readonly #onDevice: number[] = []
  /** Told when a flow has left TC, with the number of the device it was on. */
  onLeft: ((device: number) => void) | undefined

  /** The backends that hold the flow: usually one; two when a crash left copies. */
  of(id: FlowWords): readonly BackendName[] {
    const at = this.#table.find(id)
    return at < 0 ? nowhere : homesOf(this.#table.word(at, 0))
  }

  /** How many flows there are in TC on a device, by its number from 1 on. */
  on(device: number): number {
    return this.#onDevice[device] ?? 0
  }

  /** Looks at all of them at once; what is asked about each of them right after costs less then. */
  fetch(ids: readonly FlowWords[], from?: number, to?: number): void {
    this.#table.fetch(ids, from, to)
  }

  /**
   * Marks that an op on the flow is under way, and answers where the flow is in the table, for {@link homesAt} and {@link release}; -1 when
   * one is already, which has to end first.
   */
  claim(id: FlowWords): number {
    const at = this.#table.insert(id)
    const bits = this.#table.word(at, 0)
    if ((bits & CLAIMED) !== 0) return -1
    this.#table.setWord(at, 0, bits | CLAIMED)
    return at
  }

  /** What `of` answers of a flow that was claimed just now. */
  homesAt(at: number): readonly BackendName[] {
    return homesOf(this.#table.word(at, 0))
  }

  /**
   * The op has ended; the flow also lives in `backend` now, if one is given, and there on that device, 0 for none. `hint` is what its claim
   * answered, where that is known: what has moved since then is looked for.
   */
  release(id: FlowWords, backend?: BackendName, device = 0, hint = -1): void {
    const at = this.#table.isAt(hint, id) ? hint : this.#table.find(id)
    if (at < 0) return
    const bits = this.#table.word(at, 0) & ~CLAIMED
    this.#store(at, backend === undefined ? bits : this.#with(bits, backend, device))
  }

  /** `device` is that of a flow in TC, 0 for none; left out when nobody knows. */
  add(id: FlowWords, backend: BackendName, device?: number): void {
    const at = this.#table.insert(id)
    const bits = this.#table.word(at, 0)
    this.#table.setWord(at, 0, this.#with(bits, backend, device))
  }

  #with(bits: number, backend: BackendName, device: number | undefined): number {
    if (backend !== 'tc') return bits | bitOf[backend]
    const old = bits >>> DEVICE_SHIFT
    const now = device ?? old
    if (old !== now && old !== 0) this.#count(old, -1)
    if (old !== now && now !== 0) this.#count(now, 1)
    return (bits & LOW_BITS) | bitOf.tc | (now << DEVICE_SHIFT)
  }

  #count(device: number, change: number): void {
    this.#onDevice[device] = (this.#onDevice[device] ?? 0) + change
  }

  remove(id: FlowId, backend: BackendName): void {
    const at = this.#table.find(id)
    if (at < 0) return
    const old = this.#table.word(at, 0)
    const bits = backend === 'tc' ? this.#outOfTc(old) : old & ~bitOf[backend]
    // A flow that lives nowhere is gone, and what it counted with it.
    if (homesOf(bits).length === 0) this.#carried.delete(id.ufid)
    this.#store(at, bits)
  }

  #outOfTc(bits: number): number {
    if ((bits & bitOf.tc) === 0) return bits
    const device = bits >>> DEVICE_SHIFT
    if (device !== 0) this.#count(device, -1)
    this.onLeft?.(device)
    return bits & LOW_BITS & ~bitOf.tc
  }

  /** Forgets what the flow counted, and where it lived. */
  delete(id: FlowId): void {
    this.#carried.delete(id.ufid)
    const at = this.#table.find(id)
    if (at >= 0) this.#store(at, this.#outOfTc(this.#table.word(at, 0)) & CLAIMED)
  }

  clear(): void {
    this.#table.clear()
    this.#carried.clear()
    for (const device of this.#onDevice.keys()) {
      this.#onDevice[device] = 0
      this.onLeft?.(device)
    }
  }

  /** Calls `visit` with every flow that lives somewhere, and where; nothing may be changed meanwhile. */
  each(visit: (id: FlowWords, homes: readonly BackendName[]) => void): void {
    this.#table.each((id, at) => {
      const homes = homesOf(this.#table.word(at, 0))
      if (homes.length > 0) visit(id, homes)
    })
  }

  /** A copy that counted this much was replaced or moved. */
  carry({ ufid }: FlowId, counts: Counts): void {
    const { packets, bytes, used = 0, tcpFlags = 0 } = counts
    const carried = this.#carried.get(ufid)
    if (carried !== undefined) carried.counts = sum(carried.counts, counts)
    else if (packets > 0n || bytes > 0n || used > 0)
      this.#carried.set(ufid, { counts: { packets, bytes, used, tcpFlags }, change: undefined })
  }

  /** The flow counts from 0 again. */
  uncarry({ ufid }: FlowId): void {
    this.#carried.delete(ufid)
  }

  /** Begins a {@link Change}; {@link settle} ends it. To be called before the first step, since others look meanwhile. */
  watch({ ufid }: FlowId): void {
    const carried = this.#carried.get(ufid)
    const change: Change = { to: undefined, seen: zero, told: { packets: 0n, bytes: 0n } }
    if (carried === undefined) this.#carried.set(ufid, { counts: zero, change })
    else carried.change ??= change
  }

  /** From now on there may be a copy in `to` beside one that has counted this much. */
  expect({ ufid }: FlowId, to: BackendName, { packets, bytes, used = 0, tcpFlags = 0 }: Counts): void {
    const change = this.#carried.get(ufid)?.change
    if (change === undefined) return
    change.to = to
    change.seen = { packets, bytes, used, tcpFlags }
  }

  /** What the copy that leaves had counted when it was last looked at. */
  seen({ ufid }: FlowId): Required<Counts> | undefined {
    const change = this.#carried.get(ufid)?.change
    return change?.to === undefined ? undefined : change.seen
  }

  /** There is one copy again. */
  settle({ ufid }: FlowId): void {
    const carried = this.#carried.get(ufid)
    if (carried === undefined) return
    carried.change = undefined
    const { packets, bytes, used } = carried.counts
    if (packets === 0n && bytes === 0n && used === 0) this.#carried.delete(ufid)
  }

  /** Counters with what copies that are gone have counted. */
  sum({ ufid }: FlowId, stats: FlowStats): FlowStats {
    const carried = this.#carried.size === 0 ? undefined : this.#carried.get(ufid)
    return carried === undefined ? stats : { ...stats, ...sum(carried.counts, stats) }
  }

  /** A backend's counters as the user's, who hears of them now. */
  total(id: FlowId, stats: FlowStats, backend: BackendName): FlowStats {
    const carried = this.#carried.size === 0 ? undefined : this.#carried.get(id.ufid)
    if (carried === undefined) return stats
    return { ...stats, ...this.#tell(id, carried, stats, backend) }
  }

  #tell(id: FlowWords, { counts, change }: Carried, stats: Counts, backend: BackendName): Required<Counts> {
    if (change === undefined) {
      const homes = this.of(id)
      // What lay on a page while the flow moved on is among what is carried.
      return homes.length > 0 && !homes.includes(backend) ? counts : sum(counts, stats)
    }
    const all = sum(change.to === backend ? sum(counts, change.seen) : counts, stats)
    const { told } = change
    if (all.packets > told.packets) told.packets = all.packets
    if (all.bytes > told.bytes) told.bytes = all.bytes
    return { ...all, ...told }
  }

  /** Whether any flow has counted in copies that are gone. */
  get carries(): boolean {
    return this.#carried.size > 0
  }

  isCarried({ ufid }: Pick<FlowId, 'ufid'>): boolean {
    return this.#carried.size > 0 && this.#carried.has(ufid)
  }

  #store(at: number, bits: number): void {
    if (bits === 0) this.#table.remove(at)
    else this.#table.setWord(at, 0, bits)
  }
}

const bitOf: Readonly<Record<BackendName, number>> = { ovs: 1, tc: 2 }
/** An op is under way. */
const CLAIMED = 4
/** The device's number is above. */
const DEVICE_SHIFT = 8
const LOW_BITS = (1 << DEVICE_SHIFT) - 1
const homes: readonly (readonly BackendName[])[] = [[], ['ovs'], ['tc'], ['tc', 'ovs']]
const nowhere = homes[0] as readonly BackendName[]
const homesOf = (bits: number) => homes[bits & 3] as readonly BackendName[]
const zero: Required<Counts> = { packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 }

function sum(a: Required<Counts>, { packets, bytes, used = 0, tcpFlags = 0 }: Counts): Required<Counts> {
  return {
    packets: a.packets + packets,
    bytes: a.bytes + bytes,
    used: Math.max(a.used, used),
    tcpFlags: a.tcpFlags | tcpFlags,
  }
}
