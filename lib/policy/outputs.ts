import type { Action } from '../../types/action.js'
import type { Facts, PolicyPut } from '../../types/policy.js'
import type { Port } from '../../types/port.js'
import { nestedIn } from './action-kinds.js'

// Where a flow's packets leave, within clones and samples too.

/** Whether `test` holds for one of the ports the actions send to. */
export function someOutput(actions: readonly Action[], test: (port: number) => boolean): boolean {
  for (let index = 0; index < actions.length; index++) {
    const action = actions[index] as Action
    if (action.output !== undefined) {
      if (test(action.output)) return true
    } else {
      for (const nested of nestedIn(action)) if (someOutput(nested, test)) return true
    }
  }
  return false
}

/** The first port outside clones and samples. */
export function firstOutput(actions: readonly Action[]): number | undefined {
  for (let index = 0; index < actions.length; index++) {
    const port = actions[index]?.output
    if (port !== undefined) return port
  }
  return undefined
}

/** Whether the port is a tunnel. */
export const isTunnel = ({ type }: Port): boolean => type !== 'netdev' && type !== 'internal'

/** No port of an e-switch was met yet, only tunnels. */
const NOWHERE = ''

/**
 * The e-switch all ports of a flow are on, or nothing. A tunnel port is on none of its own: with `tunnels` it is passed over, and the
 * other ports decide; without, the flow has no e-switch. A flow that sends nowhere has that of the port it comes in through.
 */
export function switchOf({ key, actions }: PolicyPut, facts: Facts, tunnels: boolean): string | undefined {
  if (key.inPort === undefined) return undefined
  const from = step(NOWHERE, facts.port(key.inPort), tunnels)
  const all = from === undefined ? undefined : along(actions, facts, tunnels, from)
  return all === NOWHERE ? undefined : all
}

function along(actions: readonly Action[], facts: Facts, tunnels: boolean, from: string): string | undefined {
  let seen: string | undefined = from
  for (let index = 0; index < actions.length && seen !== undefined; index++) {
    const action = actions[index] as Action
    if (action.output !== undefined) seen = step(seen, facts.port(action.output), tunnels)
    else {
      for (const nested of nestedIn(action)) {
        seen = seen === undefined ? undefined : along(nested, facts, tunnels, seen)
      }
    }
  }
  return seen
}

function step(seen: string, port: Port | undefined, tunnels: boolean): string | undefined {
  if (port === undefined) return undefined
  if (port.switchId === undefined) return tunnels && isTunnel(port) ? seen : undefined
  return seen === NOWHERE || seen === port.switchId ? port.switchId : undefined
}
