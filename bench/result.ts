import type { Environment } from './environment.js'
import type { Percentiles } from './histogram.js'
import type { Summary } from './measure.js'
import type { Options, Question } from './options.js'

/** What a run found out: what `--json` prints, and what a report is made of. */
export interface Result {
  readonly schema: typeof SCHEMA
  readonly question: Question
  readonly when: string
  readonly command: string
  readonly options: Options
  readonly environment: Environment
  /** Nanoseconds for one flow. */
  readonly ours?: Summary
  /** Flows a second. */
  readonly rate?: Summary
  readonly limit?: {
    readonly what: string
    /** Nanoseconds for one flow. */
    readonly ns: Summary
    /** Our rate as a share of the limit's, turn by turn: 1 is as fast as can be. */
    readonly ratio: Summary
  }
  readonly beside: readonly Beside[]
  /** Where the time of one flow goes. */
  readonly stages: readonly Stage[]
  readonly observed?: Observed
  readonly latency?: {
    /** From handing a batch over to its results. */
    readonly batch: Percentiles
    /** The same for one op alone, on the full table. */
    readonly op?: Percentiles
  }
  /** CPU time of our whole process, for one turn: the kernel's work is done on its account. */
  /** `pageFaults`: pages touched for the first time in a turn; each may cost more than hundreds of flows. */
  readonly cpu?: {
    readonly userSeconds: number
    readonly kernelSeconds: number
    readonly pageFaults?: number
  }
  /** Peak of the whole process, the flows it holds to put them included. */
  readonly memory: { readonly peakBytes: number }
  /** What stays in memory for a flow that was put. */
  readonly bytesPerFlow?: number
  /** Share of the flows that a device has taken. */
  readonly inHw?: number
  readonly errors: readonly { readonly reason: string; readonly count: number }[]
  /** What one flow costs while the table grows. */
  readonly curve?: readonly CurvePoint[]
  readonly tables?: readonly Table[]
  readonly notes: readonly string[]
}

export const SCHEMA = 'dpif-hw-acc-bench/1'

/** Another program that did the same. */
export interface Beside {
  readonly name: string
  readonly flows: number
  readonly ns: Summary
  /** How many times faster we were. */
  readonly faster: number
}

export interface Stage {
  readonly name: string
  readonly ns: number
  readonly how: string
}

/** One more turn, watched more closely than the ones that count. */
export interface Observed {
  readonly ns: number
  /** At least one exchange was under way: the kernel's work, system calls and thread switches. */
  readonly exchangeNs: number
  /** None was: JavaScript that nothing overlapped. */
  readonly aloneNs: number
  readonly exchanges: number
  /** How late the event loop was, in milliseconds; of a turn in parts, in the worst of them. */
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

export interface CurvePoint {
  /** Flows in the table at the end of this part. */
  readonly size: number
  /** Nanoseconds a flow within this part. */
  readonly ours: number
  readonly limit?: number
}

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}
