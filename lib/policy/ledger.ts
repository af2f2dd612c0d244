import type { Ufid } from '../../types/flow.js'
import type { Outcome } from '../../types/policy.js'
import { Pledges } from './pledges.js'

/** A flow that asks for a place in TC. */
export interface Applicant {
  readonly ufid: Ufid
  /** Whether it is in TC already. */
  readonly inTc: boolean
}

/**
 * Who of several accounts has how many flows in TC, for policies whose accounts are not devices: those the dpif counts itself
 * (`facts.device`). It knows every flow it let in, so that one that goes, by whomever, is one less.
 */
export class Ledger {
  readonly #homes = new Map<Ufid, number>()
  readonly #counts: number[] = []
  readonly #pledges = new Pledges()
  #total = 0

  /** Flows of the account in TC, with those that are about to be. */
  used(account: number, now: number): number {
    return (this.#counts[account] ?? 0) + this.#pledges.count(account, now)
  }

  /** The same of all accounts. */
  occupied(now: number): number {
    return this.#total + this.#pledges.total(now)
  }

  has(ufid: Ufid): boolean {
    return this.#homes.has(ufid)
  }

  /** Lets a flow in if it is in already, or if the account has fewer than `limit`. */
  admit({ ufid, inTc }: Applicant, account: number, limit: number, now: number): boolean {
    if (this.#homes.size > 0 && this.#homes.get(ufid) === account) return true
    const promised = this.#pledges.of(ufid)
    if (promised === account) return true
    if (this.used(account, now) >= limit) return false
    if (promised !== undefined) this.#pledges.take(ufid)
    if (inTc) this.#enter(ufid, account)
    else this.#pledges.add(ufid, account)
    return true
  }

  /** What became of a put; `accountOf` is asked when a flow got into TC that was promised nothing. */
  settle({ ufid, backend }: Outcome, accountOf: () => number | undefined): void {
    const promised = this.#pledges.take(ufid)
    if (backend !== 'tc') return this.#leave(ufid)
    const account = promised ?? accountOf()
    if (account === undefined) this.#leave(ufid)
    else this.#enter(ufid, account)
  }

  /** The flow is gone from TC, or is not to get there after all. */
  remove(ufid: Ufid): void {
    this.#pledges.take(ufid)
    this.#leave(ufid)
  }

  #enter(ufid: Ufid, account: number): void {
    this.#leave(ufid)
    this.#homes.set(ufid, account)
    this.#counts[account] = (this.#counts[account] ?? 0) + 1
    this.#total++
  }

  #leave(ufid: Ufid): void {
    const account = this.#homes.size > 0 ? this.#homes.get(ufid) : undefined
    if (account === undefined) return
    this.#homes.delete(ufid)
    this.#counts[account] = (this.#counts[account] as number) - 1
    this.#total--
  }
}
