import type { ActionSet } from '../../../../types/action.js'
import type { Translate } from './translation.js'

/** Why TC has nothing for an action. */
const problems = {
  userspace: 'TC hands no packets to userspace',
  hash: 'TC computes no dp_hash',
  trunc: 'TC cuts no packets',
  pushNsh: 'TC knows no NSH',
  popNsh: 'TC knows no NSH',
  unknown: 'an action nobody knows',
} as const satisfies { readonly [K in keyof ActionSet]?: string }

const refuse =
  (problem: string): Translate<unknown> =>
  (_value, translation, { path }) =>
    translation.refuse(path, 'NO_TC_ACTION', problem)

/** A translator for each that says so. */
export const refused = Object.fromEntries(
  Object.entries(problems).map(([name, problem]) => [name, refuse(problem)]),
) as { readonly [K in keyof typeof problems]: Translate<unknown> }
