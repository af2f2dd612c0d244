import type { FlowView, Rehearsed } from '../../../types/backend.js'
import type { Choice } from '../../../types/policy.js'
import { flags } from '../../netlink/message.js'
import { Writer } from '../../netlink/writer.js'
import { types } from '../../tc/message.js'
import { clocked } from '../clocked.js'
import { translateFilter, writeFilter } from './message.js'
import type { Ports } from './ports.js'

/** Makes the message of a new filter, and sends nothing. */
export function rehearse(flow: FlowView, choice: Choice, ports: Ports): Rehearsed[] {
  const [translation, translated] = clocked('translate: translateFilter()', () =>
    translateFilter(flow, choice, ports),
  )
  if ('error' in translated) return [translation]
  const { ifindex, chain, protocol, write } = translated
  const [encoding] = clocked('encode: writeFilter()', () => {
    const id = { ifindex, chain, protocol, prio: 1, handle: 1 }
    writeFilter(new Writer(1024), types.NEWTFILTER, flags.CREATE | flags.EXCL, id, write)
  })
  return [translation, encoding]
}
