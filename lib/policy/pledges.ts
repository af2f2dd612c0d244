import type { Ufid } from '../../types/flow.js'

/** How long a place is held for a flow of which nothing is heard: a put that failed as such, or one that was only asked about. */
const PATIENCE_MS = 1000

/**
 * Places that were promised and not yet taken: a list of puts is decided as a whole before the first outcome is known. Each is for one
 * account, and is forgotten between one and two seconds later at the latest.
 */
export class Pledges {
  #young = new Map<Ufid, number>()
  #old = new Map<Ufid, number>()
  readonly #counts: number[] = []
  #total = 0
  #turned = 0

  /** Those of all accounts. */
  total(now: number): number {
    if (now - this.#turned >= PATIENCE_MS) this.#turn(now)
    return this.#total
  }

  /** Those for an account. */
  count(account: number, now: number): number {
    if (now - this.#turned >= PATIENCE_MS) this.#turn(now)
    return this.#counts[account] ?? 0
  }

  /** The account a flow has one for. */
  of(ufid: Ufid): number | undefined {
    // Looking up a text costs something also where there is nothing.
    const young = this.#young.size > 0 ? this.#young.get(ufid) : undefined
    return young ?? (this.#old.size > 0 ? this.#old.get(ufid) : undefined)
  }

  /** Of a flow that has none. */
  add(ufid: Ufid, account: number): void {
    this.#young.set(ufid, account)
    this.#counts[account] = (this.#counts[account] ?? 0) + 1
    this.#total++
  }

  /** Ends the one of a flow and answers its account. */
  take(ufid: Ufid): number | undefined {
    const account = this.of(ufid)
    if (account === undefined) return undefined
    if (!this.#young.delete(ufid)) this.#old.delete(ufid)
    this.#drop(account)
    return account
  }

  #turn(now: number): void {
    const forgotten = this.#forget(this.#old)
    this.#old = this.#young
    this.#young = forgotten
    // Nobody has asked for so long that the young ones are old as well.
    if (now - this.#turned >= 2 * PATIENCE_MS) this.#forget(this.#old)
    this.#turned = now
  }

  #forget(pledges: Map<Ufid, number>): Map<Ufid, number> {
    for (const account of pledges.values()) this.#drop(account)
    pledges.clear()
    return pledges
  }

  #drop(account: number): void {
    this.#counts[account] = (this.#counts[account] as number) - 1
    this.#total--
  }
}
