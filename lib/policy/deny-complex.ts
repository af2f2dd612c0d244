import type { Placement, Policy, PolicyPut } from '../../types/policy.js'
import type { ActionKind } from '../../types/rules.js'
import { kindBits, kindsOf } from './action-kinds.js'
import { hooksOf } from './hooks.js'
import { preferTc } from './prefer-tc.js'

export interface DenyComplexOptions {
  /** The kinds of action that stay in software; {@link complexKinds} when left out. */
  readonly kinds?: readonly ActionKind[]
}

/** What many devices leave to the CPU, or carry out only with more tables than one. */
export const complexKinds: readonly ActionKind[] = [
  'ct',
  'userspace',
  'sample',
  'psample',
  'clone',
  'meter',
  'recirc',
  'hash',
  'check_pkt_len',
  'dec_ttl',
  'trunc',
]

const complex: Placement = {
  choices: [{ backend: 'ovs' }],
  reason: 'its actions take the CPU',
}

/**
 * Keeps flows in software that need it for what they do, within clones and samples too, and asks `inner` about the others. With `recirc`
 * also the flows behind a recirculation stay, and with `ct` those that match the state of a connection.
 *
 * ```ts
 * denyComplex()
 * denyComplex({ kinds: ['userspace', 'meter'] }, sameSwitch())
 * ```
 */
export function denyComplex(options: DenyComplexOptions = {}, inner: Policy = preferTc()): Policy {
  const { kinds = complexKinds } = options
  const bits = kindBits(kinds)
  const recirc = kinds.includes('recirc')
  const ct = kinds.includes('ct')
  const denies = ({ key, mask, actions }: PolicyPut): boolean =>
    (kindsOf(actions) & bits) !== 0 ||
    (recirc && (key.recircId ?? 0) !== 0) ||
    (ct && (mask.ctState ?? 0) !== 0)
  return {
    name: 'deny-complex',
    place: (put, facts) => (denies(put) ? complex : inner.place(put, facts)),
    ...hooksOf(inner),
  }
}
