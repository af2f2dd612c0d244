import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { Watch } from './drive.js'

/**
 * How late the event loop is while the clock runs. Each part of a turn has a histogram of its own: one that is enabled again counts the
 * time in between.
 */
export class LoopDelay implements Watch {
  readonly #parts: IntervalHistogram[] = []

  enable(): void {
    const part = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    part.enable()
    this.#parts.push(part)
  }

  disable(): void {
    this.#parts.at(-1)?.disable()
  }

  /** In the part of the turn in which it was worst. */
  get ms(): { readonly p50: number; readonly p99: number; readonly max: number } {
    const worst = (pick: (part: IntervalHistogram) => number) =>
      Math.max(0, ...this.#parts.map((part) => pick(part) / 1e6 - RESOLUTION_MS))
    return {
      p50: worst((part) => part.percentile(50)),
      p99: worst((part) => part.percentile(99)),
      max: worst((part) => part.max),
    }
  }
}

const RESOLUTION_MS = 5
