/** Stable names of everything that can go wrong. Never reused with another meaning; `lib/errors.ts` has a row for each. */
export type ErrorCode =
  | 'ADDON_MISSING'
  | 'BAD_MESSAGE'
  | 'BUSY'
  | 'CLOSED'
  | 'DUMP_INTERRUPTED'
  | 'EXISTS'
  | 'INVALID'
  | 'KERNEL'
  | 'NOT_FOUND'
  | 'NO_DATAPATH'
  | 'NO_IN_PORT'
  | 'NO_MODULE'
  | 'NO_PORT'
  | 'NO_PRIVILEGE'
  | 'NO_SPACE'
  | 'OUTCOME_UNKNOWN'
  | 'POLICY'
  | 'PORT_NOT_IN_TC'
  | 'SOCKET'
  | 'SYNTAX'
  | 'UNSUPPORTED'
  | 'UNSUPPORTED_ACTION'
  | 'UNSUPPORTED_MATCH'

/** Why TC cannot carry a flow, or not in hardware. A closed list; `lib/tc/reasons.ts` has a row for each. */
export type ReasonCode =
  | 'FRAGMENT_L4'
  | 'KERNEL_RULE'
  | 'LOST_VALUE'
  | 'NEEDS_EXACT'
  | 'NEEDS_KERNEL'
  | 'NOT_HERE_YET'
  | 'NOT_REACHED'
  | 'NOT_SHARED'
  | 'NO_FLOWER_KEY'
  | 'NO_IN_PORT'
  | 'NO_METER'
  | 'NO_PORT'
  | 'NO_TC_ACTION'
  | 'ORDER'
  | 'OTHER_SWITCH'
  | 'PARTIAL_MASK'
  | 'PORT_NOT_IN_TC'
  | 'TOO_DEEP'
  | 'TOO_MANY'
  | 'TOO_WIDE'
  | 'UNKNOWN_CHECKSUM'
  | 'UNPROVEN'
  | 'VALUE_TOO_LARGE'

/** What is known of a failure beyond its code. */
export interface ErrorDetails {
  /** Positive errno, when the kernel answered with one. */
  readonly errno?: number
  /** The backend that refused. */
  readonly backend?: string
  /** The kernel's own words, from its extended ack. */
  readonly kernel?: string
  /** The key, mask or action that is to blame, for example `ipv4.proto` or `actions[1].set`. */
  readonly path?: string
  /** Why a flow cannot be carried, where `code` only says that it cannot. */
  readonly reason?: ReasonCode
  /** The error underneath, for example what a policy threw. */
  readonly cause?: unknown
}

/** A failure as data: what an op's result carries, and what `DpifError` is made of. */
export interface Failure extends ErrorDetails {
  readonly code: ErrorCode
  /** One sentence: what was attempted, with which value, and what would help. */
  readonly message: string
}
