import type { Action } from '../../../types/action.js'
import type { FlowKey, TunnelKey } from '../../../types/flow.js'
import type { Upcall, UpcallKind } from '../../../types/upcall.js'
import { DpifError } from '../../errors.js'
import { u16, u32, u64 } from '../../netlink/integers.js'
import { AttributeCursor } from '../../netlink/reader.js'
import { actionList } from '../../ovs/action.js'
import { HEADERS } from '../../ovs/family.js'
import { flowKey } from '../../ovs/key.js'
import { packet as family, packetCommands } from '../../ovs/packet.js'
import { tunnelKey } from '../../ovs/tunnel.js'

const { ids } = family.body

/** The kind of message with that command; undefined when it is no upcall. */
export function kindOf(cmd: number): UpcallKind | undefined {
  if (cmd === packetCommands.MISS) return 'miss'
  return cmd === packetCommands.ACTION ? 'action' : undefined
}

/** Where an attribute's payload lies. */
interface Part {
  readonly start: number
  readonly end: number
}

/** An upcall in the bytes it came in, which are its own to keep. It decodes what is asked for. */
export class KernelUpcall implements Upcall {
  readonly kind: UpcallKind
  readonly packet: Uint8Array
  readonly rawKey: Uint8Array
  readonly #bytes: Uint8Array
  readonly #parts = new Map<number, Part>()
  #key: FlowKey | undefined
  #actions: readonly Action[] | undefined

  /** The message lies in `bytes` from `start` to `end`. Throws BAD_MESSAGE when it is none. */
  constructor(kind: UpcallKind, bytes: Uint8Array, start: number, end: number) {
    this.kind = kind
    this.#bytes = bytes
    const cursor = new AttributeCursor(bytes, start + HEADERS, end)
    while (cursor.next()) this.#parts.set(cursor.id, { start: cursor.start, end: cursor.end })
    this.packet = this.#slice(ids.packet)
    this.rawKey = this.#slice(ids.key)
  }

  #slice(id: number): Uint8Array {
    const part = this.#parts.get(id)
    if (part === undefined) throw new DpifError('BAD_MESSAGE', `an upcall without attribute ${id}`)
    return this.#bytes.subarray(part.start, part.end)
  }

  /** What `read` makes of an attribute, if it is there and as long as it has to be. */
  #read<T>(
    id: number,
    read: (bytes: Uint8Array, start: number, end: number) => T,
    size?: number,
  ): T | undefined {
    const part = this.#parts.get(id)
    if (part === undefined || (size !== undefined && part.end - part.start !== size)) return undefined
    return read(this.#bytes, part.start, part.end)
  }

  get key(): FlowKey {
    this.#key ??= flowKey.read(this.rawKey, 0, this.rawKey.length)
    return this.#key
  }

  get length(): number {
    return this.#read(ids.len, u32.take, 4) ?? this.packet.length
  }

  get userdata(): Uint8Array | undefined {
    return this.#read(ids.userdata, (bytes, start, end) => bytes.subarray(start, end))
  }

  get egressTunnel(): TunnelKey | undefined {
    return this.#read(ids.egressTunKey, (bytes, start, end) => tunnelKey.read(bytes, start, end))
  }

  get actions(): readonly Action[] | undefined {
    this.#actions ??= this.#read(ids.actions, (bytes, start, end) => actionList.read(bytes, start, end))
    return this.#actions
  }

  get mru(): number | undefined {
    return this.#read(ids.mru, u16.take, 2)
  }

  get hash(): bigint | undefined {
    return this.#read(ids.hash, u64.take, 8)
  }
}
