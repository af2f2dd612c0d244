import type { Placement, Policy } from '../../types/policy.js'
import { decides } from './abstain.js'
import { hooksOf } from './hooks.js'

const nobody: Placement = { choices: [], reason: 'nobody has an opinion' }

/**
 * The first policy that has an opinion decides. {@link when} has none where its condition does not hold, and `abstain()` never has.
 *
 * ```ts
 * firstOf(when(({ key }) => key.ipv4?.tos === 0xb8, tcOnly()), when(isDrop, kernelOnly()), preferTc())
 * ```
 */
export function firstOf(...policies: readonly Policy[]): Policy {
  return {
    name: 'first-of',
    place: (put, facts) => {
      for (let index = 0; index < policies.length; index++) {
        const placement = (policies[index] as Policy).place(put, facts)
        if (decides(placement)) return placement
      }
      return nobody
    },
    ...hooksOf(...policies),
  }
}
