import { hexOf, masked } from './attributes.js'
import type { FlowMatch } from './flow-validity.js'

/** A flow in a datapath's table. */
export interface KernelFlow {
  /** Undefined for a flow that is known by its key. */
  readonly ufid: Uint8Array | undefined
  /** As it was sent; what a flow without a ufid is known by. */
  readonly unmasked: Uint8Array
  readonly key: Uint8Array
  readonly mask: Uint8Array
  /** Payload of OVS_FLOW_ATTR_ACTIONS. */
  actions: Uint8Array
  packets: bigint
  bytes: bigint
  /** Milliseconds, 0 for never. */
  used: number
  tcpFlags: number
}

/** The flows of one datapath, found as net/openvswitch/flow_table.c finds them. */
export class FlowTable {
  /** One table for every mask, in the order the masks came. */
  readonly #masks = new Map<string, { readonly mask: Uint8Array; readonly flows: Map<string, KernelFlow> }>()
  readonly #all = new Set<KernelFlow>()
  readonly #byUfid = new Map<string, KernelFlow>()

  get size(): number {
    return this.#all.size
  }

  get maskCount(): number {
    return this.#masks.size
  }

  /** In the order they were put; a real kernel's order is that of its hash table. */
  all(): Iterable<KernelFlow> {
    return this.#all
  }

  insert({ key, mask }: FlowMatch, ufid: Uint8Array | undefined, actions: Uint8Array): KernelFlow {
    const flow: KernelFlow = {
      ufid,
      unmasked: key,
      key: masked(key, mask),
      mask,
      actions,
      packets: 0n,
      bytes: 0n,
      used: 0,
      tcpFlags: 0,
    }
    const name = hexOf(mask)
    let table = this.#masks.get(name)
    if (table === undefined) {
      table = { mask, flows: new Map() }
      this.#masks.set(name, table)
    }
    table.flows.set(hexOf(flow.key), flow)
    this.#all.add(flow)
    if (ufid !== undefined) this.#byUfid.set(hexOf(ufid), flow)
    return flow
  }

  remove(flow: KernelFlow): void {
    const name = hexOf(flow.mask)
    const table = this.#masks.get(name)
    table?.flows.delete(hexOf(flow.key))
    if (table?.flows.size === 0) this.#masks.delete(name)
    this.#all.delete(flow)
    if (flow.ufid !== undefined) this.#byUfid.delete(hexOf(flow.ufid))
  }

  flush(): void {
    this.#masks.clear()
    this.#all.clear()
    this.#byUfid.clear()
  }

  byUfid(ufid: Uint8Array): KernelFlow | undefined {
    return this.#byUfid.get(hexOf(ufid))
  }

  /** As a packet with this key would find it: the first mask under which there is a flow. */
  lookup(key: Uint8Array): KernelFlow | undefined {
    for (const { mask, flows } of this.#masks.values()) {
      const flow = flows.get(hexOf(masked(key, mask)))
      if (flow !== undefined) return flow
    }
    return undefined
  }

  /** A flow without a ufid that was put with exactly this key, whatever its mask. */
  exact(key: Uint8Array): KernelFlow | undefined {
    const name = hexOf(key)
    for (const { mask, flows } of this.#masks.values()) {
      const flow = flows.get(hexOf(masked(key, mask)))
      if (flow !== undefined && flow.ufid === undefined && hexOf(flow.unmasked) === name) return flow
    }
    return undefined
  }
}

/**
 * ovs_flow_cmp(): whether a flow is the one a match speaks of, and not only one that overlaps it. Bits the mask leaves out count
 * on one side only, as in the kernel: a flow with a ufid is recognized when they are clear in what was sent.
 */
export function sameFlow(flow: KernelFlow, { key }: FlowMatch): boolean {
  return hexOf(flow.ufid === undefined ? flow.unmasked : flow.key) === hexOf(key)
}
