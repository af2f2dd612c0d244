import type { FlowKey, UnknownAttribute } from './flow.js'

export interface PushVlan {
  /** 0x8100 (default) or 0x88a8. */
  readonly tpid?: number
  readonly vid?: number
  readonly pcp?: number
  /** The kernel accepts only 1, the default. */
  readonly cfi?: number
}

/** One header field group and the bits of it that are written. */
export interface SetMasked {
  /** Exactly one property. */
  readonly key: FlowKey
  /** The same property. */
  readonly mask: FlowKey
}

/** One property per `OVS_ACTION_ATTR_*`, in the order of their numbers. An {@link Action} has exactly one of them. */
export interface ActionSet {
  /** Sends the packet to a datapath port. */
  readonly output?: number
  /** Writes a whole header: exactly one property. */
  readonly set?: FlowKey
  readonly pushVlan?: PushVlan
  readonly popVlan?: true
  readonly setMasked?: SetMasked
  /** Drops with a reason code (kernel ≥ 6.6). An empty list of actions drops on every kernel. */
  readonly drop?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/**
 * One action, named by its only property: `{ output: 2 }`, `{ popVlan: true }`. A list of actions is carried out in order; the
 * empty list drops.
 */
export type Action = {
  [K in keyof ActionSet]-?: { readonly [P in K]-?: NonNullable<ActionSet[K]> } & {
    readonly [P in Exclude<keyof ActionSet, K>]?: never
  }
}[keyof ActionSet]
