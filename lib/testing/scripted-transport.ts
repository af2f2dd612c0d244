import type {
  Dump,
  Exchange,
  Listener,
  ListenPage,
  MessageFailure,
  Protocol,
  Transport,
} from '../../types/transport.js'
import { DpifError } from '../errors.js'
import { messagesOf } from '../netlink/reader.js'

/** One call a test expects, and the answer it gets. */
export interface Scene {
  readonly protocol: Protocol
  /** The bytes that have to arrive. Left out, any will do. */
  readonly expect?: Uint8Array
  readonly failures?: readonly MessageFailure[]
  /** Replies of an exchange, framed one after the other. */
  readonly replies?: Uint8Array
  /** Makes the call a dump, with these pages. */
  readonly pages?: readonly Uint8Array[]
  /** Makes the call one to listen, with these port ids and, after them, these pages. After the last it waits until it is closed. */
  readonly pids?: readonly number[]
  readonly heard?: readonly ListenPage[]
  /** What the call throws, for a dump after its pages. */
  readonly error?: DpifError
}

type Call = 'exchange' | 'dump' | 'listen'

/** A call that was made. */
export interface Recorded {
  readonly call: Call
  readonly protocol: Protocol
  /** Of an exchange in another lane than 0. */
  readonly lane?: number
  /** None of a call to listen. */
  readonly bytes: Uint8Array
}

/** A transport that plays a script, scene by scene, and remembers what it was sent. A call that is not in the script throws. */
export class ScriptedTransport implements Transport {
  readonly name = 'scripted'
  readonly sent: Recorded[] = []
  readonly #scenes: Scene[]
  #closed = false

  constructor(scenes: readonly Scene[] = []) {
    this.#scenes = [...scenes]
  }

  /** Scenes that have not been played yet. */
  get remaining(): number {
    return this.#scenes.length
  }

  async exchange(protocol: Protocol, batch: Uint8Array, lane = 0): Promise<Exchange> {
    const {
      error,
      failures = [],
      replies = new Uint8Array(0),
    } = this.#play('exchange', protocol, batch, lane)
    if (error !== undefined) throw error
    return { count: [...messagesOf(batch)].length, failures, replies }
  }

  async *dump(protocol: Protocol, request: Uint8Array): Dump {
    const { error, pages = [] } = this.#play('dump', protocol, request)
    yield* pages
    if (error !== undefined) throw error
  }

  async listen(protocol: Protocol): Promise<Listener> {
    const { error, pids = [], heard = [] } = this.#play('listen', protocol, new Uint8Array(0))
    if (error !== undefined) throw error
    return new ScriptedListener(pids, heard)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #play(call: Call, protocol: Protocol, bytes: Uint8Array, lane = 0): Scene {
    if (this.#closed)
      throw new DpifError('CLOSED', 'cannot use a transport that was closed; open another one')
    const turn = this.sent.push({ call, protocol, ...(lane === 0 ? {} : { lane }), bytes: bytes.slice() })
    const scene = this.#scenes.shift()
    const wanted = scene && `${callOf(scene)} on ${scene.protocol}`
    if (scene === undefined || wanted !== `${call} on ${protocol}`)
      throw new Error(`call ${turn} is ${call} on ${protocol}; the script has ${wanted ?? 'nothing more'}`)
    if (scene.expect !== undefined && Buffer.compare(scene.expect, bytes) !== 0) {
      const hex = (data: Uint8Array) => Buffer.from(data).toString('hex')
      throw new Error(`call ${turn} sent ${hex(bytes)}; the script has ${hex(scene.expect)}`)
    }
    return scene
  }
}

const callOf = ({ pages, pids }: Scene): Call =>
  pids !== undefined ? 'listen' : pages !== undefined ? 'dump' : 'exchange'

class ScriptedListener implements Listener {
  readonly pids: readonly number[]
  readonly #pages: ListenPage[]
  #end: () => void = () => {}
  readonly #closed: Promise<void>

  constructor(pids: readonly number[], pages: readonly ListenPage[]) {
    this.pids = pids
    this.#pages = [...pages]
    this.#closed = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  async next(): Promise<IteratorResult<ListenPage>> {
    const page = this.#pages.shift()
    if (page !== undefined) return { done: false, value: page }
    await this.#closed
    return { done: true, value: undefined }
  }

  async close(): Promise<void> {
    this.#pages.length = 0
    this.#end()
  }

  async return(): Promise<IteratorResult<ListenPage>> {
    await this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
