import { s32, u32 } from '../../netlink/integers.js'
import type { AttributeSet } from '../../netlink/table.js'
import type { Times } from '../stats.js'

/** What every action's options have: when it was last used. */
export interface CommonOptions {
  readonly times?: Times
}

/** One TC action: what the kernel calls it, and what its TCA_ACT_OPTIONS say. */
export interface ActionKind<Options extends CommonOptions> {
  readonly kind: string
  readonly options: AttributeSet<Options>
}

/** The fields every action's parameters begin with (the `tc_gen` macro). */
export interface General {
  /** 0 lets the kernel choose one. */
  readonly index?: number
  readonly capab?: number
  /** What happens next: one of {@link verdicts}, or a jump. */
  readonly action: number
  readonly refcnt?: number
  readonly bindcnt?: number
}

export const general = { index: u32, capab: u32, action: s32, refcnt: s32, bindcnt: s32 }

/** TC_ACT_*: what happens to a packet after an action. */
export const verdicts = { SHOT: 2, PIPE: 3, STOLEN: 4 } as const
