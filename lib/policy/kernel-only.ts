import type { Placement, Policy } from '../../types/policy.js'

const placement: Placement = { choices: [{ backend: 'ovs' }], reason: 'everything stays in openvswitch' }

/** Never offloads. */
export function kernelOnly(): Policy {
  return { name: 'kernel-only', place: () => placement }
}
