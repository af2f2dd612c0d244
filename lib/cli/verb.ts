import type { Io, Output } from './io.js'
import type { Kernel } from './kernel.js'
import type { OptionName, Options } from './options.js'

/** One thing the command line can do. Help and the checks of a call come from these properties. */
export interface Verb {
  readonly name: string
  /** Its arguments, in ovs-dpctl's spelling. */
  readonly usage: string
  /** One line. */
  readonly summary: string
  /** More, for `help VERB`. */
  readonly details?: string
  /** The options that mean something here. */
  readonly options: readonly OptionName[]
  /** The fewest and the most arguments. */
  readonly takes: readonly [least: number, most: number]
  /** Refused with --read-only; some calls of it, where that depends on the arguments. */
  readonly writes: boolean | ((args: readonly string[]) => boolean)
  /** The shape of what --json prints, where there is data. */
  readonly json?: string
  run(call: Call): Promise<void>
}

/** One call of a verb. */
export interface Call {
  readonly verb: Verb
  /** All there are. */
  readonly verbs: readonly Verb[]
  readonly args: readonly string[]
  readonly options: Options
  readonly kernel: Kernel
  readonly out: Output
  readonly io: Io
  /** Milliseconds on CLOCK_MONOTONIC. */
  now(): number
  /** Says on stderr what went wrong and goes on; the exit code will be 1. */
  fail(message: string): void
}
