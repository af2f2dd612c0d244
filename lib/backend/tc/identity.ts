import { randomInt } from 'node:crypto'
import type { FlowWords } from '../../../types/flow.js'
import { UfidTable } from '../../memory/ufid-table.js'
import { etherTypes } from '../../tc/match.js'
import { Chains, type Jump } from './chains.js'

/** Where a filter hangs: enough to change, get or delete it. */
export interface FilterId {
  readonly ifindex: number
  /** Of the recirculation id whose packets it sees; 0 for the first pass. */
  readonly chain: number
  readonly prio: number
  /** Ethernet type. */
  readonly protocol: number
  readonly handle: number
}

/**
 * Which filters are ours, and which names new ones get.
 *
 * One priority serves one protocol on a port, in all chains: the kernel wants it so, and drivers like priorities low, so the common types have
 * the numbers OVS gives them. Handles come from a range of ours: each process starts at random in it and counts up, since the kernel
 * keeps handles in a radix tree; a filter with such a handle and a 16-byte cookie is one we put, in whichever process.
 */
export class Identities {
  /** Who sends packets to which chain. */
  readonly chains = new Chains()
  // Four words a flow: ifindex; priority and protocol; handle; chain.
  readonly #byUfid = new UfidTable(4)
  /** What a port's priorities are taken by, ours and foreign: `undefined` protocol for another classifier. */
  readonly #priorities = new Map<number, Map<number, number | undefined>>()
  /** The priority that was chosen last, as long as nothing has changed: most flows of a list hang at one place. */
  #chosen: { readonly ifindex: number; readonly protocol: number; readonly prio: number } | undefined
  // Processes start apart, so that a name one has dropped is not soon another's.
  #nextHandle = FIRST_HANDLE + randomInt(LAST_HANDLE - FIRST_HANDLE)

  /** Looks for all of them at once; what is asked about each of them right after costs less then. */
  fetch(ids: readonly FlowWords[], from: number, to: number): void {
    this.#byUfid.fetch(ids, from, to)
  }

  has(id: FlowWords): boolean {
    return this.#byUfid.has(id)
  }

  get(id: FlowWords): FilterId | undefined {
    const at = this.#byUfid.find(id)
    if (at < 0) return undefined
    const place = this.#byUfid.word(at, 1)
    return {
      ifindex: this.#byUfid.word(at, 0),
      prio: place >>> 16,
      protocol: place & 0xffff,
      handle: this.#byUfid.word(at, 2),
      chain: this.#byUfid.word(at, 3),
    }
  }

  set(id: FlowWords, { ifindex, prio, protocol, handle, chain }: FilterId): void {
    const at = this.#byUfid.insert(id)
    this.#byUfid.setWord(at, 0, ifindex)
    this.#byUfid.setWord(at, 1, (prio << 16) | protocol)
    this.#byUfid.setWord(at, 2, handle)
    this.#byUfid.setWord(at, 3, chain)
  }

  delete(id: FlowWords): void {
    const at = this.#byUfid.find(id)
    if (at < 0) return
    this.#byUfid.remove(at)
    this.chains.forget(id)
  }

  /** The kernel has answered, and the answers were read: what has a name now is there. */
  settle(jumps: readonly Jump[]): void {
    for (const jump of jumps) {
      if (!this.has(jump.flow)) jump.refused = true
      this.chains.settle(jump)
    }
  }

  /**
   * Nothing is known of what became of a batch: names that stayed would pass for flows. What it put after all is found when somebody
   * asks for it once more.
   */
  forget({ named, jumps }: { readonly named: readonly FlowWords[]; readonly jumps: readonly Jump[] }): void {
    for (const id of named) this.delete(id)
    this.settle(jumps)
  }

  /** Takes away the name of a flow that gets another one. What is answered gives it back, with the chains the flow leads to. */
  setAside(id: FlowWords, old: FilterId): () => void {
    const targets = this.chains.targets(id)
    this.delete(id)
    return () => {
      this.delete(id)
      this.set(id, old)
      this.chains.set(id, old.ifindex, targets)
    }
  }

  /** A filter was seen on a port, whoever put it: its priority is taken. */
  seen({ ifindex, prio, protocol }: FilterId, isFlower: boolean): void {
    this.#chosen = undefined
    this.#prioritiesOf(ifindex).set(prio, isFlower ? protocol : undefined)
  }

  /** A name for a new filter. Undefined when every priority of the port is taken by something else. */
  allocate(ifindex: number, protocol: number, chain: number): FilterId | undefined {
    const prio = this.#choose(ifindex, protocol)
    if (prio === undefined) return undefined
    const handle = this.#nextHandle
    this.#nextHandle = handle >= LAST_HANDLE ? FIRST_HANDLE : handle + 1
    return { ifindex, prio, protocol, handle, chain }
  }

  #choose(ifindex: number, protocol: number): number | undefined {
    const chosen = this.#chosen
    if (chosen !== undefined && chosen.ifindex === ifindex && chosen.protocol === protocol) return chosen.prio
    const prio = this.prioOf(ifindex, protocol)
    if (prio === undefined) return undefined
    this.#prioritiesOf(ifindex).set(prio, protocol)
    this.#chosen = { ifindex, protocol, prio }
    return prio
  }

  /** The priority that new filters of a protocol get on a port. Undefined when every one is taken by something else. */
  prioOf(ifindex: number, protocol: number): number | undefined {
    const priorities = this.#prioritiesOf(ifindex)
    const wanted = preferred[protocol]
    if (wanted !== undefined && (!priorities.has(wanted) || priorities.get(wanted) === protocol))
      return wanted
    let prio = 0
    for (const [taken, by] of priorities) if (by === protocol && taken >= FIRST_FREE) prio = taken
    for (let next = FIRST_FREE; prio === 0 && next <= LAST_PRIO; next++)
      if (!priorities.has(next)) prio = next
    return prio === 0 ? undefined : prio
  }

  /** The kernel says that the priority of this name is somebody else's. */
  avoid({ ifindex, prio }: FilterId): void {
    this.#chosen = undefined
    this.#prioritiesOf(ifindex).set(prio, undefined)
  }

  /** Another process took the next handles meanwhile: goes on behind them, further with every turn. */
  leap(turn: number): void {
    const handle = this.#nextHandle + (16 << (2 * turn))
    this.#nextHandle = handle > LAST_HANDLE ? FIRST_HANDLE : handle
  }

  /** Forgets the ports that are not among `ifindexes`: their filters went with them. */
  keep(ifindexes: ReadonlySet<number>): void {
    const gone = [...this.#priorities.keys()].filter((ifindex) => !ifindexes.has(ifindex))
    if (gone.length === 0) return
    this.#chosen = undefined
    for (const ifindex of gone) this.#priorities.delete(ifindex)
    this.chains.keep(ifindexes)
    const flows: FlowWords[] = []
    this.#byUfid.each((words, at) => {
      if (!ifindexes.has(this.#byUfid.word(at, 0))) flows.push(words)
    })
    for (const words of flows) this.#byUfid.remove(this.#byUfid.find(words))
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
