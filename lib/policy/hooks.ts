import type { Policy } from '../../types/policy.js'

/** What a policy may hear and say besides `place`. */
export type Hooks = Pick<Policy, 'placed' | 'removed' | 'worth'>

type Placed = NonNullable<Policy['placed']>
type Removed = NonNullable<Policy['removed']>

/**
 * The hooks of a policy made of others: every member hears everything, each once, and the first that has a word says what a flow is
 * worth. A hook no member has is not there, so that nothing is called for nobody.
 */
export function hooksOf(...members: readonly Hooks[]): Hooks {
  const all = [...new Set(members)]
  const placed = all.flatMap((member) => (member.placed === undefined ? [] : [member.placed.bind(member)]))
  const removed = all.flatMap((member) => (member.removed === undefined ? [] : [member.removed.bind(member)]))
  const judge = all.find((member) => member.worth !== undefined)
  return {
    ...(placed.length === 0 ? {} : { placed: both(placed) as Placed }),
    ...(removed.length === 0 ? {} : { removed: both(removed) as Removed }),
    ...(judge?.worth === undefined ? {} : { worth: judge.worth.bind(judge) }),
  }
}

/** Calls each, also when one throws; the first error goes on. */
function both<A extends readonly unknown[]>(listeners: readonly ((...args: A) => void)[]) {
  const [first] = listeners
  if (listeners.length === 1 && first !== undefined) return first
  return (...args: A): void => {
    const errors: unknown[] = []
    for (const listener of listeners) {
      try {
        listener(...args)
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }
}
