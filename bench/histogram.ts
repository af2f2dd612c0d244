import { build, type Histogram } from 'hdr-histogram-js'

/** Latencies in nanoseconds. */
export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  /** Percentile and nanoseconds, for the plot; empty where none is drawn. */
  readonly distribution: readonly (readonly [percentile: number, ns: number])[]
}

const drawn = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 100]

/** An HDR histogram: three digits of every value, however large. */
export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 3600e9,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
  })

  record(ns: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(ns)))
  }

  get count(): number {
    return this.#histogram.totalCount
  }

  percentiles(): Percentiles {
    const at = (percentile: number) => this.#histogram.getValueAtPercentile(percentile)
    return {
      count: this.count,
      p50: at(50),
      p99: at(99),
      p999: at(99.9),
      max: this.#histogram.maxValue,
      distribution: drawn.map((percentile) => [percentile, at(percentile)] as const),
    }
  }
}
