import type { Action } from '../../../../types/action.js'
import { NO_PERCPU_STATS } from '../../../tc/action/index.js'
import { verdicts } from '../../../tc/action/kind.js'
import type { SkbeditOptions } from '../../../tc/action/skbedit.js'
import { isInbound } from './output.js'
import type { Read } from './reading.js'
import type { Rewrite } from './rewrite.js'
import type { Translate, Translation } from './translation.js'

const EVERY_BIT = 0xffffffff

export const translateMark: Translate<Rewrite> = ({ value, bits = EVERY_BIT }, translation) => {
  if (bits === 0) return
  const part = bits === EVERY_BIT ? {} : { mask: bits as number }
  push(translation, { mark: value as number, ...part })
}

export const translatePriority: Translate<Rewrite> = ({ value, bits = EVERY_BIT }, translation, { path }) => {
  if (bits === 0) return
  if (bits !== EVERY_BIT)
    translation.refuse(path, 'PARTIAL_MASK', 'TC writes all bits of the priority or none')
  push(translation, { priority: value as number })
}

function push(translation: Translation, options: SkbeditOptions): void {
  const parms = { action: verdicts.PIPE }
  translation.push({ kind: 'skbedit', options: { parms, ...options }, flags: NO_PERCPU_STATS })
}

/** The packet type is written before an output to an internal port, and is part of that. */
export const readSkbedit: Read<'skbedit'> = ({ options }, { list, index }) => {
  const { priority, mark, mask = EVERY_BIT, ptype } = options
  const next = list[index + 1]
  if (ptype !== undefined && !(next?.kind === 'mirred' && isInbound(next))) return undefined
  const actions: Action[] = []
  if (priority !== undefined) actions.push(set({ skbPriority: priority }, { skbPriority: EVERY_BIT }))
  if (mark !== undefined) actions.push(set({ skbMark: mark }, { skbMark: mask }))
  return actions
}

const set = <T extends object>(key: T, mask: T): Action => ({ setMasked: { key, mask } })
