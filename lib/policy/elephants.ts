import type { Ufid } from '../../types/flow.js'
import type { Placement, Policy } from '../../types/policy.js'
import { hooksOf } from './hooks.js'
import { atLeast } from './numbers.js'
import { preferTc } from './prefer-tc.js'

export interface ElephantsOptions {
  /** From so many on a flow is one for hardware; 1,000 when left out. */
  readonly packetsPerSecond?: number
  /** Below so many it goes back; half of `packetsPerSecond` when left out, and no more than that. */
  readonly until?: number
  /** How long a rate has to stay above the one, or below the other; 5,000 milliseconds when left out. */
  readonly holdMs?: number
}

const small: Placement = {
  choices: [{ backend: 'ovs' }],
  reason: 'no elephant: it has not been fast for long enough',
}
const slowed: Placement = {
  choices: [{ backend: 'ovs' }],
  reason: 'no elephant any more: it has been slow for long enough',
}

/**
 * Software first, hardware for those that carry much: `inner` decides about flows whose rate stays above a threshold, until it stays below
 * another. Rates are measured by `rebalance`, `replace` and `expire`; flows move when the first two ask again.
 *
 * ```ts
 * dpif.setPolicy(elephants({ packetsPerSecond: 1_000, until: 400 }, sameSwitch()))
 * for await (const { promoted, demoted } of dpif.rebalance()) console.log(promoted, demoted)
 * ```
 */
export function elephants(options: ElephantsOptions = {}, inner: Policy = preferTc()): Policy {
  const { packetsPerSecond = 1000, until = packetsPerSecond / 2, holdMs = 5000 } = options
  atLeast('packetsPerSecond', packetsPerSecond, 0)
  atLeast('until', until, 0)
  atLeast('holdMs', holdMs, 0)
  if (until > packetsPerSecond)
    throw new RangeError(`until ${until}: no more than packetsPerSecond ${packetsPerSecond} is needed`)

  // Since when a flow is where it should not be, for its rate. It stays there until it has moved.
  const since = new Map<Ufid, number>()
  const forget = (ufid: Ufid): void => {
    if (since.size > 0) since.delete(ufid)
  }
  const hasHeld = (ufid: Ufid, now: number): boolean => {
    const began = since.get(ufid)
    if (began === undefined) since.set(ufid, now)
    return now - (began ?? now) >= holdMs
  }
  const moved: Policy['placed'] = (_, { ufid, backend, from }) => {
    if (backend !== from) forget(ufid)
  }

  return {
    name: 'elephants',
    place: (put, facts) => {
      const { ufid, mode } = put
      if (mode === 'create') return small
      const rate = facts.history(ufid)?.packetsPerSecond
      if (facts.location(ufid) === 'tc') {
        if (rate !== undefined && rate < until && hasHeld(ufid, facts.now())) return slowed
        if (rate === undefined || rate >= until) forget(ufid)
        return inner.place(put, facts)
      }
      if (rate !== undefined && rate >= packetsPerSecond && hasHeld(ufid, facts.now()))
        return inner.place(put, facts)
      if (rate === undefined || rate < packetsPerSecond) forget(ufid)
      return small
    },
    ...hooksOf({ placed: moved, removed: forget }, inner),
  }
}
