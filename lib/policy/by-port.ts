import type { Policy, PolicyPut } from '../../types/policy.js'
import { hooksOf } from './hooks.js'
import { preferTc } from './prefer-tc.js'

/**
 * Each port has a policy of its own, found by the flow's `inPort`; `otherwise` is for the rest.
 *
 * ```ts
 * byPort({ 1: kernelOnly(), 2: tcOnly({ skip: 'sw' }) })
 * ```
 */
export function byPort(ports: Readonly<Record<number, Policy>>, otherwise: Policy = preferTc()): Policy {
  const policyOf = ({ key: { inPort } }: PolicyPut): Policy =>
    (inPort === undefined ? undefined : ports[inPort]) ?? otherwise
  const { worth, ...hooks } = hooksOf(...Object.values(ports), otherwise)
  return {
    name: 'by-port',
    place: (put, facts) => policyOf(put).place(put, facts),
    ...hooks,
    ...(worth === undefined
      ? {}
      : {
          worth: (put, history, facts) =>
            policyOf(put).worth?.(put, history, facts) ?? history.packetsPerSecond,
        }),
  }
}
