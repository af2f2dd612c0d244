/**
 * Work on its way, side by side, and when all of it has ended.
 *
 * It is counted, and kept in no list. A `Set` that is added to and deleted from is made anew every few times, and each of V8's old ones
 * leads to the next: what once grew old keeps all that came later, with its results, until everything is collected.
 */
export class UnderWay {
  #group = new Group()
  /** Resolves when what was begun before the group has ended. */
  #before: Promise<void> = Promise.resolve()

  add(work: Promise<unknown>): void {
    this.#group.add(work)
  }

  /** Resolves when all that is under way now has ended, well or not; what begins meanwhile is not waited for. */
  allEnded(): Promise<void> {
    const ended = this.#group.ended()
    this.#group = new Group()
    this.#before = this.#before.then(() => ended)
    return this.#before
  }
}

/** What was begun until somebody asked. */
class Group {
  #count = 0
  #resolve: (() => void) | undefined

  add(work: Promise<unknown>): void {
    this.#count++
    const end = () => {
      this.#count--
      if (this.#count === 0) this.#resolve?.()
    }
    work.then(end, end)
  }

  ended(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#count === 0) resolve()
      else this.#resolve = resolve
    })
  }
}
