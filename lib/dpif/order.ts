import { UnderWay } from '../memory/under-way.js'

/** In what order calls are carried out: most side by side, and some with nothing else under way. */
export class Order {
  /** The last call that had to be alone. */
  #alone: Promise<unknown> = Promise.resolve()
  /** Calls that may be under way together. */
  readonly #together = new UnderWay()

  /** Begins once those that have to be alone and came before have ended. */
  together<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#alone.then(work)
    this.#together.add(result)
    return result
  }

  /** Begins when nothing else is under way, and nothing else begins before it has ended. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.quiet().then(work)
    this.#alone = result.then(
      () => {},
      () => {},
    )
    return result
  }

  /** Resolves when all that is under way has ended, well or not. */
  quiet(): Promise<unknown> {
    return Promise.all([this.#alone, this.#together.allEnded()])
  }
}
