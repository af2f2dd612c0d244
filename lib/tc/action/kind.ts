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
  /** The kernel insists on NLA_F_NESTED at the options (nla_parse_nested() does, its deprecated form does not). */
  readonly nested?: true
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

/**
 * TC_ACT_*: verdicts with a number in their lower 28 bits. A jump goes on with the action of that number, counted from the filter's
 * first (tcf_action_exec() starts over and skips so many); drivers count from the jumping action.
 */
export const jumps = { JUMP: 0x10000000, GOTO_CHAIN: 0x20000000 } as const

/** The number a verdict of that sort holds; undefined for other verdicts, among them TC_ACT_UNSPEC, which is -1. */
export function jumpOf(verdict: number, sort: keyof typeof jumps): number | undefined {
  return (verdict & ~MAX_JUMP) === jumps[sort] ? verdict & MAX_JUMP : undefined
}

/** The largest number a verdict holds. */
export const MAX_JUMP = 0x0fffffff
