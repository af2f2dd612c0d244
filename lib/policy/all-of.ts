import type { Choice, Placement, Policy, Skip } from '../../types/policy.js'
import { decides } from './abstain.js'
import { hooksOf } from './hooks.js'

/**
 * A backend is chosen only where all agree: of the choices of the first policy those remain that every other one names too, and what one
 * keeps out of software or hardware stays out. Who has no opinion objects to nothing. Where nothing remains it is openvswitch.
 *
 * ```ts
 * allOf(sameSwitch(), denyComplex(), capacity({ flows: 1000 }))
 * ```
 */
export function allOf(...policies: readonly Policy[]): Policy {
  const known = new Agreements()
  return {
    name: 'all-of',
    place: (put, facts) => {
      let agreed: Placement | undefined
      for (let index = 0; index < policies.length; index++) {
        const placement = (policies[index] as Policy).place(put, facts)
        if (agreed === undefined) agreed = placement
        else if (agreed !== placement) agreed = known.of(agreed, placement)
      }
      return agreed ?? nobody
    },
    ...hooksOf(...policies),
  }
}

const nobody: Placement = { choices: [], reason: 'nobody has an opinion' }

/** What two placements agree on, made once for each pair: most policies answer with constants. */
class Agreements {
  readonly #pairs = new WeakMap<Placement, WeakMap<Placement, Placement>>()

  of(a: Placement, b: Placement): Placement {
    let partners = this.#pairs.get(a)
    if (partners === undefined) {
      partners = new WeakMap()
      this.#pairs.set(a, partners)
    }
    let agreed = partners.get(b)
    if (agreed === undefined) {
      agreed = agreement(a, b)
      partners.set(b, agreed)
    }
    return agreed
  }
}

function agreement(a: Placement, b: Placement): Placement {
  if (!decides(a)) return b
  if (!decides(b)) return a
  const choices = a.choices.flatMap((choice): Choice[] => {
    const partner = b.choices.find(({ backend }) => backend === choice.backend)
    if (partner === undefined || contradict(choice.skip, partner.skip)) return []
    const skip = choice.skip ?? partner.skip
    return [skip === undefined ? { backend: choice.backend } : { backend: choice.backend, skip }]
  })
  // Where one waits for room, the other has nothing against the backend.
  const waitsFor = a.waitsFor ?? b.waitsFor
  const free = [a, b].every((one) => one.waitsFor === waitsFor || names(one, waitsFor))
  return {
    choices: choices.length > 0 ? choices : [{ backend: 'ovs' }],
    reason: choices.length > 0 ? stricter(a, b).reason : `${a.reason}; ${b.reason}: they agree on nothing`,
    ...(free && waitsFor !== undefined ? { waitsFor } : {}),
  }
}

const contradict = (a: Skip | undefined, b: Skip | undefined): boolean =>
  a !== undefined && b !== undefined && a !== b

const names = ({ choices }: Placement, backend: Choice['backend'] | undefined): boolean =>
  choices.some((choice) => choice.backend === backend)

/** Whose word it is: of the one that named fewer backends, else of the first. */
const stricter = (a: Placement, b: Placement): Placement => (b.choices.length < a.choices.length ? b : a)
