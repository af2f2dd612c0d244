import type { Ufid } from '../../../types/flow.js'
import { etherTypes } from '../../tc/match.js'

/** Where a filter hangs: enough to change, get or delete it. Chain 0 throughout. */
export interface FilterId {
  readonly ifindex: number
  readonly prio: number
  /** Ethernet type. */
  readonly protocol: number
  readonly handle: number
}

/**
 * Which filters are ours, and which names new ones get.
 *
 * One priority serves one protocol on a port: the kernel wants it so, and drivers like priorities low, so the common types have
 * the numbers OVS gives them. Handles are ours from {@link FIRST_HANDLE} on and dense, since the kernel keeps them in a radix tree;
 * a filter with such a handle and a 16-byte cookie is one we put, in whichever process.
 */
export class Identities {
  readonly #byUfid = new Map<Ufid, FilterId>()
  /** What a port's priorities are taken by, ours and foreign: `undefined` protocol for another classifier. */
  readonly #priorities = new Map<number, Map<number, number | undefined>>()
  #nextHandle = FIRST_HANDLE

  get(ufid: Ufid): FilterId | undefined {
    return this.#byUfid.get(ufid)
  }

  set(ufid: Ufid, id: FilterId): void {
    this.#byUfid.set(ufid, id)
  }

  delete(ufid: Ufid): void {
    this.#byUfid.delete(ufid)
  }

  /** A filter was seen on a port, whoever put it: its priority and its handle are taken. */
  seen({ ifindex, prio, protocol, handle }: FilterId, kind: string): void {
    this.#prioritiesOf(ifindex).set(prio, kind === 'flower' ? protocol : undefined)
    if (isOurs(handle) && handle >= this.#nextHandle) this.#nextHandle = handle + 1
  }

  /** A name for a new filter. Undefined when every priority of the port is taken by something else. */
  allocate(ifindex: number, protocol: number): FilterId | undefined {
    const priorities = this.#prioritiesOf(ifindex)
    const wanted = preferred[protocol] ?? FIRST_FREE
    const fits = (prio: number) => !priorities.has(prio) || priorities.get(prio) === protocol
    let prio = fits(wanted) && wanted !== FIRST_FREE ? wanted : 0
    if (prio === 0) {
      for (const [taken, by] of priorities) if (by === protocol && taken >= FIRST_FREE) prio = taken
    }
    for (let next = FIRST_FREE; prio === 0 && next <= LAST_PRIO; next++)
      if (!priorities.has(next)) prio = next
    if (prio === 0) return undefined
    priorities.set(prio, protocol)
    const handle = this.#nextHandle
    this.#nextHandle = handle === LAST_HANDLE ? FIRST_HANDLE : handle + 1
    return { ifindex, prio, protocol, handle }
  }

  /** Forgets the ports that are not among `ifindexes`: their filters went with them. */
  keep(ifindexes: ReadonlySet<number>): void {
    for (const ifindex of this.#priorities.keys())
      if (!ifindexes.has(ifindex)) this.#priorities.delete(ifindex)
    for (const [ufid, id] of this.#byUfid) if (!ifindexes.has(id.ifindex)) this.#byUfid.delete(ufid)
  }

  #prioritiesOf(ifindex: number): Map<number, number | undefined> {
    let priorities = this.#priorities.get(ifindex)
    if (priorities === undefined) {
      priorities = new Map()
      this.#priorities.set(ifindex, priorities)
    }
    return priorities
  }
}

/** Whether a handle lies in the range our filters get. The kernel hands out small ones, and tools rarely choose any. */
export function isOurs(handle: number): boolean {
  return handle >= FIRST_HANDLE && handle <= LAST_HANDLE
}

const FIRST_HANDLE = 0x68000000
const LAST_HANDLE = 0x6fffffff
const LAST_PRIO = 0xbfff
const FIRST_FREE = 16

const preferred: Readonly<Record<number, number>> = {
  [etherTypes.IPV4]: 2,
  [etherTypes.IPV6]: 3,
  [etherTypes.VLAN]: 4,
  [etherTypes.ARP]: 5,
  [etherTypes.QINQ]: 6,
}
