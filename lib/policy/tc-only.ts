import type { Placement, Policy, Skip } from '../../types/policy.js'

/** TC or nothing: what TC cannot carry is refused. */
export function tcOnly(options: { readonly skip?: Skip } = {}): Policy {
  const placement: Placement = { choices: [{ backend: 'tc', ...options }], reason: 'TC or nothing' }
  return { name: 'tc-only', place: () => placement }
}
