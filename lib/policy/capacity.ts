import type { DeviceFacts, Facts, Placement, Policy, PolicyPut } from '../../types/policy.js'
import { hooksOf } from './hooks.js'
import { atLeast, whole } from './numbers.js'
import { Pledges } from './pledges.js'
import { preferTc } from './prefer-tc.js'

export interface CapacityOptions {
  /** Flows in TC for each e-switch; what the device was found to hold when left out. */
  readonly flows?: number
  /** How many of them new flows do not get; 0 when left out. */
  readonly reserve?: number
  /** Who gets the reserve; flows that live already and are moved into TC, since they have shown what they carry, when left out. */
  readonly mayUseReserve?: (put: PolicyPut, facts: Facts) => boolean
  /** Milliseconds after which a device that said it was full is tried beyond what it had then; 30,000 when left out. */
  readonly retryMs?: number
}

const full: Placement = {
  choices: [{ backend: 'ovs' }],
  reason: 'the budget of the e-switch is used up',
  waitsFor: 'tc',
}

/**
 * A budget for each e-switch: `inner` is asked, and where it wants TC first and the budget is used up, the flow stays in openvswitch and
 * waits for room. A device that refused a flow for want of room has no more than it had then, for a while.
 *
 * What counts is what the dpif has in TC on ports of the e-switch, so that it is right whoever deletes flows. Flows that come in
 * through tunnels or other ports that are on no e-switch are neither counted nor held back: leave room for them. Nor are those held
 * back that stay out of hardware (`skip: 'hw'`). When the budget has become smaller, flows beyond it go to openvswitch with `replace`.
 *
 * ```ts
 * capacity({ flows: 10_000, reserve: 500 })
 * capacity({}, sameSwitch())
 * ```
 */
export function capacity(options: CapacityOptions = {}, inner: Policy = preferTc()): Policy {
  const { flows, reserve = 0, mayUseReserve = lives, retryMs = 30_000 } = options
  const budget = flows === undefined ? Number.POSITIVE_INFINITY : whole('flows', flows, 1)
  whole('reserve', reserve, 0)
  if (reserve >= budget) throw new RangeError(`reserve ${reserve}: less than flows ${budget} is needed`)
  atLeast('retryMs', retryMs, 0)
  // Both by the number of the device.
  const coming = new Pledges()
  const leaving = new Pledges()
  const devices = new Map<string, number>()

  const numberOf = (switchId: string): number => {
    let number = devices.get(switchId)
    if (number === undefined) {
      number = devices.size
      devices.set(switchId, number)
    }
    return number
  }

  const hasRoom = (put: PolicyPut, facts: Facts, device: DeviceFacts): boolean => {
    const { ufid } = put
    const now = facts.now()
    const number = numberOf(device.switchId)
    const most = Math.min(budget, learned(device, now, retryMs))
    if (put.mode !== 'create' && facts.location(ufid) === 'tc') {
      // It has its place, unless there are more than there may be: then some have to go, and no more than that.
      if (leaving.of(ufid) !== undefined) return false
      if (device.flows - leaving.count(number, now) <= most) return true
      leaving.add(ufid, number)
      return false
    }
    const promised = coming.of(ufid)
    if (promised === number) return true
    const mine = reserve === 0 || mayUseReserve(put, facts) ? most : most - reserve
    if (device.flows + coming.count(number, now) >= mine) return false
    if (promised !== undefined) coming.take(ufid)
    coming.add(ufid, number)
    return true
  }

  const hooks = hooksOf(
    {
      placed: (_, { ufid }) => {
        coming.take(ufid)
        leaving.take(ufid)
      },
      removed: (ufid) => {
        coming.take(ufid)
        leaving.take(ufid)
      },
    },
    inner,
  )
  return {
    name: 'capacity',
    place: (put, facts) => {
      const placement = inner.place(put, facts)
      const first = placement.choices[0]
      if (first?.backend !== 'tc' || first.skip === 'hw' || put.key.inPort === undefined) return placement
      const switchId = facts.port(put.key.inPort)?.switchId
      const device = switchId === undefined ? undefined : facts.device(switchId)
      return device === undefined || hasRoom(put, facts, device) ? placement : full
    },
    ...hooks,
  }
}

function learned({ capacity: found, fullSince }: DeviceFacts, now: number, retryMs: number): number {
  const known = found !== undefined && fullSince !== undefined && now - fullSince < retryMs
  return known ? found : Number.POSITIVE_INFINITY
}

const lives = ({ ufid, mode }: PolicyPut, facts: Facts): boolean =>
  mode !== 'create' && facts.location(ufid) !== undefined
