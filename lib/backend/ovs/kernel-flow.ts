import type { Action } from '../../../types/action.js'
import type { DumpedFlow } from '../../../types/backend.js'
import type { FlowId, FlowKey, FlowStats, Ufid } from '../../../types/flow.js'
import { u8, u64 } from '../../netlink/integers.js'
import { AttributeCursor } from '../../netlink/reader.js'
import { actionList } from '../../ovs/action.js'
import { HEADERS } from '../../ovs/family.js'
import { counters, flow as flowFamily } from '../../ovs/flow.js'
import { flowKey } from '../../ovs/key.js'
import { ParsedUfid, UfidInBytes } from '../../ovs/ufid.js'
import { ufidFor } from '../../ovs/view.js'
import { Shared } from '../shared.js'

const { ids } = flowFamily.body

/** Masks and actions that many flows have in common, so that they are decoded once. */
export class SharedParts {
  readonly mask = new Shared<FlowKey>(flowKey)
  readonly actions = new Shared<readonly Action[]>(actionList)
}

/**
 * A flow in a reply or a dump. It decodes what is asked for, out of the bytes it came in. Those of a page are used again for the next
 * one, so what is still wanted is copied before ({@link detach}).
 */
export class KernelFlow implements DumpedFlow {
  readonly backend = 'ovs'
  readonly offloaded = false
  readonly suspect = false
  readonly ufidPresent: boolean
  readonly #shared: SharedParts
  #bytes: Uint8Array
  /** Where the message begins; the other places are counted from there. 0 is none. */
  #start: number
  readonly #size: number
  #keyAt = 0
  #keyEnd = 0
  #maskAt = 0
  #maskEnd = 0
  #actionsAt = 0
  #actionsEnd = 0
  #statsAt = 0
  #usedAt = 0
  #tcpFlagsAt = 0
  #ufidAt = 0
  #id: FlowId | undefined
  #ufid: Ufid | undefined
  #key: FlowKey | undefined
  #mask: FlowKey | undefined
  #actions: readonly Action[] | undefined
  #stats: FlowStats | undefined

  /** The message lies in `bytes` from `start` to `end`. Throws BAD_MESSAGE when it is none. */
  constructor(bytes: Uint8Array, start: number, end: number, shared = new SharedParts()) {
    this.#bytes = bytes
    this.#start = start
    this.#size = end - start
    this.#shared = shared
    const cursor = new AttributeCursor(bytes, start + HEADERS, end)
    while (cursor.next()) this.#note(cursor.id, cursor.start - start, cursor.end - start)
    this.ufidPresent = this.#ufidAt !== 0
  }

  #note(id: number, at: number, end: number): void {
    if (id === ids.ufid) this.#ufidAt = end - at === 16 ? at : 0
    else if (id === ids.key) {
      this.#keyAt = at
      this.#keyEnd = end
    } else if (id === ids.mask) {
      this.#maskAt = at
      this.#maskEnd = end
    } else if (id === ids.actions) {
      this.#actionsAt = at
      this.#actionsEnd = end
    } else if (id === ids.stats) this.#statsAt = end - at >= counters.size ? at : 0
    else if (id === ids.used) this.#usedAt = end - at === 8 ? at : 0
    else if (id === ids.tcpFlags) this.#tcpFlagsAt = end - at === 1 ? at : 0
  }

  get id(): FlowId {
    this.#id ??= this.ufidPresent
      ? new UfidInBytes(this.#bytes, this.#start + this.#ufidAt)
      : new ParsedUfid(ufidFor(this.key))
    return this.#id
  }

  get ufid(): Ufid {
    this.#ufid ??= this.id.ufid
    return this.#ufid
  }

  /** False when the kernel had no room for the actions. */
  get complete(): boolean {
    return this.#actionsAt !== 0
  }

  get key(): FlowKey {
    this.#key ??=
      this.#keyAt === 0
        ? {}
        : flowKey.read(this.#bytes, this.#start + this.#keyAt, this.#start + this.#keyEnd)
    return this.#key
  }

  get mask(): FlowKey {
    this.#mask ??=
      this.#maskAt === 0
        ? {}
        : this.#shared.mask.read(this.#bytes, this.#start + this.#maskAt, this.#start + this.#maskEnd)
    return this.#mask
  }

  get actions(): readonly Action[] {
    this.#actions ??=
      this.#actionsAt === 0
        ? []
        : this.#shared.actions.read(
            this.#bytes,
            this.#start + this.#actionsAt,
            this.#start + this.#actionsEnd,
          )
    return this.#actions
  }

  get stats(): FlowStats {
    this.#stats ??= this.#readStats()
    return this.#stats
  }

  #readStats(): FlowStats {
    const bytes = this.#bytes
    const start = this.#start
    const counted = this.#statsAt === 0 ? nothing : counters.take(bytes, start + this.#statsAt)
    return {
      packets: counted.packets,
      bytes: counted.bytes,
      used: this.#usedAt === 0 ? 0 : Number(u64.take(bytes, start + this.#usedAt)),
      tcpFlags: this.#tcpFlagsAt === 0 ? 0 : u8.take(bytes, start + this.#tcpFlagsAt),
    }
  }

  /** Decodes what costs little, and copies the rest: the bytes are about to be used for something else. */
  detach(): void {
    this.#stats ??= this.#readStats()
    if (this.ufidPresent) this.#id ??= this.id
    const isRead =
      (this.#key !== undefined || this.#keyAt === 0) &&
      (this.#mask !== undefined || this.#maskAt === 0) &&
      (this.#actions !== undefined || this.#actionsAt === 0)
    if (isRead) return
    this.#bytes = this.#bytes.slice(this.#start, this.#start + this.#size)
    this.#start = 0
  }
}

const nothing = { packets: 0n, bytes: 0n }
