/** What a loop is told when it is made. */
export interface LoopOptions {
  /** Between the beginnings of two turns. */
  readonly everyMs: number
  readonly signal?: AbortSignal | undefined
}

/** What a turn may ask of its loop. */
export interface Turn {
  /** Nobody waits for the turn any more. */
  readonly isOver: boolean
  /** For so long, or until it is over. */
  sleep(ms: number): Promise<void>
}

/** Where the time comes from. */
export interface Clock {
  /** Milliseconds on CLOCK_MONOTONIC. */
  now(): number
}

export const monotonic: Clock = { now: () => Number(process.hrtime.bigint() / 1_000_000n) }

/**
 * Turns that are taken as they are asked for, one at a time, and not more often than the options say. It ends when it is returned
 * from, when its signal is aborted, when a turn throws or answers nothing, and when whoever made it ends it; a `next()` that waits
 * meanwhile then answers that it is done. Waiting keeps the process alive, and nothing else here does.
 */
export class Loop<T> implements AsyncIterableIterator<T>, Turn {
  readonly #turn: (loop: Turn) => Promise<T | undefined>
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #signal: AbortSignal | undefined
  readonly #ended: () => void
  readonly #abort = () => {
    this.#end()
  }
  /** The call before, so that calls that overlap take turns. */
  #last: Promise<unknown> = Promise.resolve()
  #due: number | undefined
  #isOver = false
  #wake: (() => void) | undefined

  /** `ended` is called once. */
  constructor(
    { everyMs, signal }: LoopOptions,
    clock: Clock,
    turn: (loop: Turn) => Promise<T | undefined>,
    ended: () => void,
  ) {
    this.#everyMs = everyMs
    this.#signal = signal
    this.#clock = clock
    this.#turn = turn
    this.#ended = ended
    if (signal?.aborted) this.#end()
    else signal?.addEventListener('abort', this.#abort)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T>> {
    const result = this.#last.then(() => this.#next())
    this.#last = result.catch(() => {})
    return result
  }

  async #next(): Promise<IteratorResult<T>> {
    await this.#wait()
    if (this.#isOver) return over
    this.#due = this.#clock.now() + this.#everyMs
    try {
      const value = await this.#turn(this)
      if (value !== undefined) return { done: false, value }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return over
  }

  /** Until the next turn is due, or there is none. */
  #wait(): Promise<void> {
    return this.sleep((this.#due ?? 0) - this.#clock.now())
  }

  async sleep(ms: number): Promise<void> {
    if (this.#isOver || ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#wake?.()
    this.#ended()
  }

  /** Ends it; the turn under way is waited for. */
  async return(): Promise<IteratorResult<T>> {
    this.#end()
    await this.#last
    return over
  }
}

const over = { done: true, value: undefined } as const
