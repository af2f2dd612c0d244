import type { Placement, Policy } from '../../types/policy.js'

const placement: Placement = { choices: [], reason: 'no opinion' }

/**
 * Has no opinion: for the combinators, which then ask the next one. What wraps another policy becomes a filter with it:
 *
 * ```ts
 * firstOf(denyComplex({}, abstain()), sameSwitch({}, abstain()), tcOnly())
 * ```
 */
export function abstain(): Policy {
  return { name: 'abstain', place: () => placement }
}

/** Whether a placement is an opinion. */
export const decides = ({ choices }: Placement): boolean => choices.length > 0
