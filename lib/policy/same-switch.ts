import type { Placement, Policy } from '../../types/policy.js'
import { hooksOf } from './hooks.js'
import { switchOf } from './outputs.js'
import { preferTc } from './prefer-tc.js'

export interface SameSwitchOptions {
  /**
   * Whether tunnel ports are passed over, since a NIC ends tunnels itself: a flow from a tunnel to a port of an e-switch then is on that
   * e-switch. With false a flow from or to a tunnel stays in openvswitch. True when left out.
   */
  readonly tunnels?: boolean
}

const apart: Placement = {
  choices: [{ backend: 'ovs' }],
  reason: 'the ports are not all on one e-switch',
}

/**
 * Asks `inner` about flows whose ports, the one they come in through and all they are sent to, are on one e-switch; the others stay in
 * openvswitch, where TC would only be slower than that.
 *
 * ```ts
 * sameSwitch()
 * sameSwitch({ tunnels: false }, tcOnly({ skip: 'sw' }))
 * ```
 */
export function sameSwitch(options: SameSwitchOptions = {}, inner: Policy = preferTc()): Policy {
  const { tunnels = true } = options
  return {
    name: 'same-switch',
    place: (put, facts) => (switchOf(put, facts, tunnels) === undefined ? apart : inner.place(put, facts)),
    ...hooksOf(inner),
  }
}
