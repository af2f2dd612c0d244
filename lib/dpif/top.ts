/**
 * The `room` largest of however many there are, by a number given with each: a heap whose root is the smallest of those kept, so that
 * most of the others cost one comparison.
 */
export class Top<T> {
  readonly #room: number
  readonly #values: number[] = []
  readonly #items: T[] = []

  constructor(room: number) {
    this.#room = room
  }

  get size(): number {
    return this.#values.length
  }

  /** Whether something of that value would be kept. */
  takes(value: number): boolean {
    return this.#values.length < this.#room || value > (this.#values[0] ?? Number.POSITIVE_INFINITY)
  }

  add(value: number, item: T): void {
    if (!this.takes(value)) return
    if (this.#values.length < this.#room) this.#rise(this.#values.length, value, item)
    else this.#sink(value, item)
  }

  /** Largest first. */
  sorted(): T[] {
    return this.#values
      .map((value, at) => ({ value, item: this.#items[at] as T }))
      .sort((a, b) => b.value - a.value)
      .map(({ item }) => item)
  }

  #set(at: number, value: number, item: T): void {
    this.#values[at] = value
    this.#items[at] = item
  }

  #rise(from: number, value: number, item: T): void {
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = this.#values[above] as number
      if (other <= value) break
      this.#set(at, other, this.#items[above] as T)
      at = above
    }
    this.#set(at, value, item)
  }

  /** Takes the place of the root. */
  #sink(value: number, item: T): void {
    const values = this.#values
    let at = 0
    for (;;) {
      let below = at * 2 + 1
      if (below >= values.length) break
      if (below + 1 < values.length && (values[below + 1] as number) < (values[below] as number)) below++
      if ((values[below] as number) >= value) break
      this.#set(at, values[below] as number, this.#items[below] as T)
      at = below
    }
    this.#set(at, value, item)
  }
}
