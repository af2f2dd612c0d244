import type { Facts, Policy, PolicyPut } from '../../types/policy.js'
import { abstain } from './abstain.js'
import { hooksOf } from './hooks.js'

/** Whether something is so of a flow. Must be quick. */
export type Condition = (put: PolicyPut, facts: Facts) => boolean

/**
 * `then` decides about flows of which `condition` is true, `otherwise` about the rest; left out, there is no opinion about those.
 *
 * ```ts
 * when((put) => put.key.udp?.dst === 53, kernelOnly(), preferTc())
 * when(match({ protocol: 'udp', destinationPort: 53 }), kernelOnly(), preferTc())
 * ```
 */
export function when(condition: Condition, then: Policy, otherwise: Policy = abstain()): Policy {
  return {
    name: 'when',
    place: (put, facts) => (condition(put, facts) ? then : otherwise).place(put, facts),
    ...hooksOf(then, otherwise),
  }
}
