import type { Policy } from '../../types/policy.js'
import { preferTc } from './prefer-tc.js'

/**
 * Each port has a policy of its own, found by the flow's `inPort`; `otherwise` is for the rest.
 *
 * ```ts
 * byPort({ 1: kernelOnly(), 2: tcOnly({ skip: 'sw' }) })
 * ```
 */
export function byPort(ports: Readonly<Record<number, Policy>>, otherwise: Policy = preferTc()): Policy {
  return {
    name: 'by-port',
    place: (put, facts) => {
      const { inPort } = put.key
      return ((inPort === undefined ? undefined : ports[inPort]) ?? otherwise).place(put, facts)
    },
  }
}
