import type { Test } from 'tap'

/** How many cases each kind of property has to be tried with, at least. Together more than a million, see total.test.ts. */
export const minimum = {
  objectBytesObject: 130_000,
  objectTextObject: 110_000,
  bytesTextBytes: 120_000,
  randomMasks: 120_000,
  hostileBytes: 560_000,
  hostileText: 60_000,
} as const

/** Counts the cases of one kind, and fails a test that tried fewer than it had to. */
export class Cases {
  readonly #kind: keyof typeof minimum
  #count = 0
  #wrong: string[] = []

  constructor(kind: keyof typeof minimum) {
    this.#kind = kind
  }

  /** Another case; `problem` says what is wrong with it. */
  add(problem?: () => string, fine = true): void {
    this.#count++
    if (!fine && problem !== undefined && this.#wrong.length < 5) this.#wrong.push(problem())
  }

  /** Whether some are left to be tried. */
  get open(): boolean {
    return this.#count < minimum[this.#kind]
  }

  report(t: Test): void {
    t.same(this.#wrong, [], this.#kind)
    t.ok(
      this.#count >= minimum[this.#kind],
      `${this.#count} cases of ${this.#kind}, at least ${minimum[this.#kind]}`,
    )
  }
}
