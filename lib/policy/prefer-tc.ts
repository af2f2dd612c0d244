import type { Placement, Policy, Skip } from '../../types/policy.js'

/** TC first, where a device can take the flow; openvswitch for what TC cannot carry. */
export function preferTc(options: { readonly skip?: Skip } = {}): Policy {
  const placement: Placement = {
    choices: [{ backend: 'tc', ...options }, { backend: 'ovs' }],
    reason: 'TC first, openvswitch for what TC cannot carry',
  }
  return { name: 'prefer-tc', place: () => placement }
}
