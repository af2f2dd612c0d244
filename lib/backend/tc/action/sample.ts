import type { Action, Psample, SampleAction } from '../../../../types/action.js'
import { NO_PERCPU_STATS } from '../../../tc/action/index.js'
import { verdicts } from '../../../tc/action/kind.js'
import type { Read } from './reading.js'
import type { Place, Translate, Translation } from './translation.js'

/** act_sample at a rate of one in one is psample, but for the cookie, which only kernels from 6.11 on would pass on. */
export const translatePsample: Translate<Psample> = ({ group, cookie, unknown }, translation, { path }) => {
  if (group === undefined) translation.refuse(`${path}.group`, 'KERNEL_RULE', 'the group is missing')
  if (cookie !== undefined)
    translation.refuse(`${path}.cookie`, 'NO_TC_ACTION', 'samples of TC have no cookie')
  if (unknown !== undefined)
    translation.refuse(`${path}.unknown`, 'NO_TC_ACTION', 'an attribute nobody knows')
  if (!translation.packet.ethernet) {
    translation.refuse(path, 'NO_TC_ACTION', 'a packet without an Ethernet header')
  }
  const options = { parms: { action: verdicts.PIPE }, rate: 1, group: group ?? 0 }
  translation.push({ kind: 'sample', options, flags: NO_PERCPU_STATS })
}

export const readSample: Read<'sample'> = ({ options: { rate, truncate, group } }) => {
  return rate === 1 && !truncate && group !== undefined ? [{ psample: { group } }] : undefined
}

/** Probabilities are of so many. */
const ALWAYS = 0xffffffff

export const translateSample: Translate<SampleAction> = (sample, translation, place) => {
  const { probability = 0, actions = [], unknown } = sample
  const { path } = place
  if (unknown !== undefined)
    translation.refuse(`${path}.unknown`, 'NO_TC_ACTION', 'an attribute nobody knows')
  if (probability === ALWAYS) {
    inline(actions, translation, { ...place, path: `${path}.actions` })
    return
  }
  const problem =
    'TC does nothing but psample to some packets only, and that to one of N, not with a probability'
  translation.refuse(`${path}.probability`, 'NO_TC_ACTION', problem)
}

export const translateClone: Translate<readonly Action[]> = inline

/** TC has no copies: what is done to one must leave the packet as it was, or nothing may be done with the packet afterwards. */
function inline(actions: readonly Action[], translation: Translation, { path, last, walk }: Place): void {
  const index = last ? -1 : actions.findIndex((action) => !isHarmless(action))
  const action = actions[index]
  if (action !== undefined) {
    const problem = 'it would change the packet that others get afterwards; put the copy last'
    translation.refuse(`${path}[${index}].${Object.keys(action)[0]}`, 'ORDER', problem)
  }
  walk(actions, path, last)
}

/** Whether a packet is the same afterwards. */
function isHarmless({ output, psample, clone }: Action): boolean {
  return output !== undefined || psample !== undefined || (clone?.every(isHarmless) ?? false)
}
