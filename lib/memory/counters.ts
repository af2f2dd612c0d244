import type { SweptPage } from '../../types/backend.js'
import type { FlowWords, Ufid } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'

/** Makes the text of a ufid of its four words. */
export type FormatUfid = (words: FlowWords) => Ufid

/**
 * The counters of a page of flows, in typed arrays that are used for one page after another. 64-bit numbers are written as two halves,
 * so that nothing is made for a flow.
 */
export class CounterColumns implements SweptPage {
  readonly backend: BackendName
  count = 0
  ids = new Int32Array(0)
  packets = new BigUint64Array(0)
  bytes = new BigUint64Array(0)
  used = new Float64Array(0)
  offloaded = new Uint8Array(0)
  /** The halves of `packets` and `bytes`. */
  #packetHalves = new Uint32Array(0)
  #byteHalves = new Uint32Array(0)
  readonly #formatUfid: FormatUfid
  readonly #words = { w0: 0, w1: 0, w2: 0, w3: 0 }

  constructor(backend: BackendName, formatUfid: FormatUfid) {
    this.backend = backend
    this.#formatUfid = formatUfid
  }

  ufid(index: number): Ufid {
    if (!(index >= 0 && index < this.count))
      throw new RangeError(`no flow ${index} on a page of ${this.count}`)
    return this.#formatUfid(this.words(index))
  }

  words(index: number): FlowWords {
    const { ids } = this
    const words = this.#words
    const at = index * 4
    words.w0 = ids[at] as number
    words.w1 = ids[at + 1] as number
    words.w2 = ids[at + 2] as number
    words.w3 = ids[at + 3] as number
    return words
  }

  /** Empties the page; its memory stays for the next one. */
  clear(): void {
    this.count = 0
  }

  /** Makes room for one more flow, with whatever counters lay there before, and answers its index. */
  add(): number {
    if (this.count === this.used.length) this.#grow()
    return this.count++
  }

  /** Twice as large as before: memory nobody writes to is not asked for. */
  #grow(): void {
    const room = Math.max(FIRST_ROOM, this.count * 2)
    const { ids, packets, bytes, used, offloaded } = this
    this.ids = new Int32Array(room * 4)
    this.packets = new BigUint64Array(room)
    this.bytes = new BigUint64Array(room)
    this.used = new Float64Array(room)
    this.offloaded = new Uint8Array(room)
    this.ids.set(ids)
    this.packets.set(packets)
    this.bytes.set(bytes)
    this.used.set(used)
    this.offloaded.set(offloaded)
    this.#packetHalves = new Uint32Array(this.packets.buffer)
    this.#byteHalves = new Uint32Array(this.bytes.buffer)
  }

  setId(index: number, w0: number, w1: number, w2: number, w3: number): void {
    const { ids } = this
    const at = index * 4
    ids[at] = w0
    ids[at + 1] = w1
    ids[at + 2] = w2
    ids[at + 3] = w3
  }

  setPackets(index: number, low: number, high: number): void {
    this.#packetHalves[index * 2 + LOW] = low
    this.#packetHalves[index * 2 + HIGH] = high
  }

  setBytes(index: number, low: number, high: number): void {
    this.#byteHalves[index * 2 + LOW] = low
    this.#byteHalves[index * 2 + HIGH] = high
  }

  drop(index: number): void {
    const last = --this.count
    if (index === last) return
    const { w0, w1, w2, w3 } = this.words(last)
    this.setId(index, w0, w1, w2, w3)
    this.packets[index] = this.packets[last] as bigint
    this.bytes[index] = this.bytes[last] as bigint
    this.used[index] = this.used[last] as number
    this.offloaded[index] = this.offloaded[last] as number
  }
}

const FIRST_ROOM = 64

/** Where the lower and the upper half of a 64-bit number lie. */
const LOW = new Uint32Array(new BigUint64Array([1n]).buffer)[0] === 1 ? 0 : 1
const HIGH = 1 - LOW
