import type { CheckPktLen } from '../../../../types/action.js'
import { NO_PERCPU_STATS, type TcActionOf } from '../../../tc/action/index.js'
import { jumpOf, jumps, verdicts } from '../../../tc/action/kind.js'
import type { PoliceParms } from '../../../tc/action/police.js'
import type { Read } from './reading.js'
import type { Translate } from './translation.js'

/**
 * A policer that exists is bound by its index; what else is said counts only where it has to be made, which must not be: one without
 * a rate would let everything pass. So a rate is named without its table, which tcf_police_init() (net/sched/act_police.c) refuses.
 */
export const translateMeter: Translate<number> = (meter, translation, { path }) => {
  const index = translation.abilities.meters?.indexOf(meter)
  if (index === undefined) {
    const problem = translation.abilities.meters?.problem?.(meter) ?? `meter ${meter} has no police in TC`
    translation.refuse(path, 'NO_METER', problem)
    return
  }
  const options = { parms: { index, action: verdicts.SHOT, rate: 1 }, result: verdicts.PIPE }
  translation.push({ kind: 'police', options })
}

/**
 * A policer without a rate tells packets apart by length: longer ones go on with the next action, the others jump.
 *
 *     police mtu N, jump →─┐
 *     greater …, an end    │
 *     less or equal …, an end
 *
 * A jump counts from the filter's first action in the kernel and from itself in drivers, which is the same for the first action
 * only. And behind it openvswitch would go on with the packet as it was before the branches, so nothing may follow.
 */
export const translateCheckPktLen: Translate<CheckPktLen> = (check, translation, { path, last, walk }) => {
  const { size = 0, greater = [], lessEqual = [], unknown } = check
  const { list, frame } = translation
  if (size === 0) translation.refuse(`${path}.size`, 'KERNEL_RULE', 'a length of 0 is refused')
  if (unknown !== undefined)
    translation.refuse(`${path}.unknown`, 'NO_TC_ACTION', 'an attribute nobody knows')
  if (list.length > 0) {
    translation.refuse(
      path,
      'ORDER',
      'the kernel and its drivers take a jump for the same only as the first action',
    )
  }
  if (!last) {
    translation.refuse(path, 'ORDER', 'what follows would see the changes of the branches; repeat it in both')
  }
  const { cookie } = frame
  const police = (parms: PoliceParms, result: number): TcActionOf<'police'> => {
    return { kind: 'police', options: { parms, result }, cookie, flags: NO_PERCPU_STATS }
  }
  const parms = { action: verdicts.PIPE, mtu: size }
  translation.push(police(parms, verdicts.PIPE))
  const at = list.length
  const before = { ...translation.packet }
  walk(greater, `${path}.greater`, true)
  translation.finish(at)
  const target = list.length
  list[at - 1] = police(parms, jumps.JUMP | target)
  translation.packet = before
  walk(lessEqual, `${path}.lessEqual`, true)
  translation.finish(target)
}

export const readPolice: Read<'police'> = (action, reading) => {
  const meter = reading.abilities.meters?.meterOf(action.options.parms?.index ?? 0, action.cookie)
  if (meter !== undefined) return [{ meter }]
  const { list, index } = reading
  const target = index === 0 ? jumpOf(action.options.result ?? 0, 'JUMP') : undefined
  if (target === undefined || target < 2 || target >= list.length || !isByLength(action)) return undefined
  const greater = reading.range(1, target)
  const lessEqual = reading.range(target, list.length)
  if (!greater.ended || !lessEqual.ended) return undefined
  reading.end()
  const { mtu: size = 0 } = action.options.parms ?? {}
  return [{ checkPktLen: { size, greater: greater.actions, lessEqual: lessEqual.actions } }]
}

function isByLength({ options }: TcActionOf<'police'>): boolean {
  const { parms, packetRate } = options
  if (parms === undefined || packetRate !== undefined) return false
  return parms.action === verdicts.PIPE && !parms.rate && !parms.peakRate && (parms.mtu ?? 0) <= 0xffff
}
