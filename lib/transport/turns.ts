/**
 * Lets one answer be taken in a turn of the event loop. Whoever gets an answer may ask on, and where the kernel has answered before that
 * call returns, as it does on a single processor, answers would follow one another and no timer would come to its turn.
 */
export class Turns {
  /** In the order they came; no more than there are calls under way. */
  readonly #waiting: (() => void)[] = []
  #isTaken = false

  /** Calls `answer` at once, or in the next turn that is free. */
  take(answer: () => void): void {
    if (this.#isTaken) {
      this.#waiting.push(answer)
      return
    }
    this.#isTaken = true
    setImmediate(this.#next)
    answer()
  }

  readonly #next = (): void => {
    const answer = this.#waiting.shift()
    if (answer === undefined) {
      this.#isTaken = false
      return
    }
    setImmediate(this.#next)
    answer()
  }
}
