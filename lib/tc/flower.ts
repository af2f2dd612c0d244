import type { UnknownAttribute } from '../../types/flow.js'
import { u32 } from '../netlink/integers.js'
import { AttributeSet } from '../netlink/table.js'
import { type TcAction, tcActions } from './action/index.js'

/** What a flower filter says beside its match, which `match.ts` reads out of `unknown`. */
export interface FlowerBody {
  readonly actions?: readonly TcAction[]
  /** Sum of {@link filterFlags}. */
  readonly flags?: number
  readonly inHwCount?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/** TCA_CLS_FLAGS_*. The kernel adds IN_HW or NOT_IN_HW when it reports a filter. */
export const filterFlags = { SKIP_HW: 1, SKIP_SW: 2, IN_HW: 4, NOT_IN_HW: 8 } as const

/** TCA_OPTIONS of a flower filter. */
// biome-ignore format: one row per line
export const flower = new AttributeSet<FlowerBody>('flower', {
  actions: { uapi: 'TCA_FLOWER_ACT', id: 3, codec: tcActions, doc: 'What is done.' },
  flags: { uapi: 'TCA_FLOWER_FLAGS', id: 22, codec: u32, since: '4.2', doc: 'Where it may be, and where it is.' },
  inHwCount: { uapi: 'TCA_FLOWER_IN_HW_COUNT', id: 86, codec: u32, since: '4.19', doc: 'How many devices hold it.' },
})
