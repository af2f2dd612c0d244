import type { Device } from './devices.js'
import type { FlowerMatch } from './flower-key.js'
import type { KernelAction } from './tc-actions.js'
import { hexOf } from './attributes.js'

/** A filter of cls_flower. */
export interface Filter {
  readonly handle: number
  readonly match: FlowerMatch
  readonly actions: readonly KernelAction[]
  /** TCA_CLS_FLAGS_*, with what the kernel adds. */
  readonly flags: number
}

/** What shares a priority: one classifier, one protocol (struct tcf_proto). */
export class Classifier {
  readonly prio: number
  readonly protocol: number
  readonly kind = 'flower'
  readonly #filters = new Map<number, Filter>()
  /** One table for every mask, in the order the masks came. */
  readonly #masks = new Map<
    string,
    { readonly mask: Uint8Array; readonly byKey: Map<string, Filter>; users: number }
  >()

  constructor(prio: number, protocol: number) {
    this.prio = prio
    this.protocol = protocol
  }

  get size(): number {
    return this.#filters.size
  }

  get(handle: number): Filter | undefined {
    return this.#filters.get(handle)
  }

  /** In the order of their handles, as fl_walk() goes through its idr. */
  all(): Filter[] {
    return [...this.#filters.values()].sort((a, b) => a.handle - b.handle)
  }

  freeHandle(): number {
    let handle = 1
    while (this.#filters.has(handle)) handle++
    return handle
  }

  /** Whether a filter with this mask and these masked bits is there. */
  twin({ mask, masked }: FlowerMatch): Filter | undefined {
    return this.#masks.get(hexOf(mask))?.byKey.get(hexOf(masked))
  }

  insert(filter: Filter): void {
    const name = hexOf(filter.match.mask)
    const table = this.#masks.get(name) ?? {
      mask: filter.match.mask,
      byKey: new Map<string, Filter>(),
      users: 0,
    }
    this.#masks.set(name, table)
    table.users++
    table.byKey.set(hexOf(filter.match.masked), filter)
    this.#filters.set(filter.handle, filter)
  }

  remove(filter: Filter): void {
    const name = hexOf(filter.match.mask)
    const table = this.#masks.get(name)
    if (table?.byKey.get(hexOf(filter.match.masked)) === filter)
      table.byKey.delete(hexOf(filter.match.masked))
    if (table !== undefined && --table.users === 0) this.#masks.delete(name)
    this.#filters.delete(filter.handle)
  }

  /** The filter a packet meets: the first mask under which there is one. */
  lookup(packet: Uint8Array): Filter | undefined {
    for (const { mask, byKey } of this.#masks.values()) {
      const found = byKey.get(hexOf(packet.map((byte, at) => byte & (mask[at] as number))))
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** Chains of classifiers by number; a chain is there as long as something is in it. */
export class Block {
  readonly device: Device
  readonly #chains = new Map<number, Classifier[]>()
  /** Chains that somebody made: these stay without a filter. */
  readonly #made = new Set<number>()

  constructor(device: Device) {
    this.device = device
  }

  /** The classifiers of a chain by priority, undefined when there is no such chain. */
  chain(number: number): readonly Classifier[] | undefined {
    return this.#chains.get(number)
  }

  make(chain: number): void {
    this.#made.add(chain)
  }

  has(chain: number): boolean {
    return this.#made.has(chain) || this.#chains.has(chain)
  }

  chains(): [number, readonly Classifier[]][] {
    return [...this.#chains]
  }

  add(chain: number, classifier: Classifier): void {
    const list = [...(this.#chains.get(chain) ?? []), classifier]
    this.#chains.set(
      chain,
      list.sort((a, b) => a.prio - b.prio),
    )
  }

  drop(chain: number, classifier: Classifier): void {
    for (const filter of classifier.all()) this.release(filter)
    const list = (this.#chains.get(chain) ?? []).filter((other) => other !== classifier)
    if (list.length === 0) this.#chains.delete(chain)
    else this.#chains.set(chain, list)
  }

  flush(chain?: number): void {
    for (const [number, list] of this.chains()) {
      if (chain !== undefined && number !== chain) continue
      for (const classifier of list) this.drop(number, classifier)
    }
  }

  /** Gives back the place a filter had in the device's table. */
  release(filter: Filter): void {
    if (!(filter.flags & IN_HW) || this.device.offload === undefined) return
    this.device.offload.used--
    this.device.rules--
  }
}

const IN_HW = 4
