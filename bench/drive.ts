import { performance } from 'node:perf_hooks'
import type { Dpif, Op } from '../lib/index.js'
import { Latencies } from './histogram.js'
import { settleHeap } from './measure.js'
import type { Options } from './options.js'

/** What a turn tells. Only the calls of `operate()` are on its clock. */
export interface Turn {
  readonly ns: number
  readonly ops: number
  readonly userUs: number
  readonly kernelUs: number
  /** Pages that were touched for the first time. */
  readonly faults: number
  /** When each batch was answered: ops done so far, nanoseconds so far. */
  readonly marks: readonly (readonly [done: number, ns: number])[]
}

/** Reasons, and how many ops failed for each. */
export type Errors = Map<string, number>

/** Makes the ops `from` up to `to`. */
export type MakeOps = (from: number, to: number) => Promise<readonly Op[]>

/** Runs while the clock of a turn does, for example a histogram of the event loop's delay. */
export interface Watch {
  enable(): unknown
  disable(): unknown
}

/** Who looks on while a turn runs. */
export interface Watchers {
  /** Gets how long each batch took. */
  readonly latencies?: Latencies
  readonly watch?: Watch
}

/** So many ops are held at once: more would make the table's cost disappear behind the collector's. */
const SEGMENT = 100_000

/**
 * Hands `count` ops to the library, `batch` at a time and `depth` calls at once. Ops are made while the clock stands
 * still, and moved out of the collector's way.
 */
export async function drive(
  dpif: Dpif,
  count: number,
  make: MakeOps,
  { batch, depth }: Pick<Options, 'batch' | 'depth'>,
  errors: Errors,
  { latencies, watch }: Watchers = {},
): Promise<Turn> {
  const marks: [number, number][] = []
  const sum = { ns: 0, userUs: 0, kernelUs: 0, faults: 0 }
  for (let from = 0; from < count; from += SEGMENT) {
    const ops = await make(from, Math.min(count, from + SEGMENT))
    const batches = batchesOf(ops, batch)
    settleHeap()
    let next = 0
    let done = from
    const work = async () => {
      for (let turn = batches[next++]; turn !== undefined; turn = batches[next++]) {
        const asked = performance.now()
        const results = await dpif.operate(turn)
        const answered = performance.now()
        latencies?.record((answered - asked) * 1e6)
        done += turn.length
        marks.push([done, sum.ns + (answered - start) * 1e6])
        for (const { error } of results) {
          if (error !== undefined) tally(errors, `${error.code}: ${error.kernel ?? error.message}`)
        }
      }
    }
    const before = process.resourceUsage()
    watch?.enable()
    const start = performance.now()
    await Promise.all(Array.from({ length: depth }, work))
    sum.ns += (performance.now() - start) * 1e6
    watch?.disable()
    const after = process.resourceUsage()
    sum.userUs += after.userCPUTime - before.userCPUTime
    sum.kernelUs += after.systemCPUTime - before.systemCPUTime
    sum.faults += after.minorPageFault - before.minorPageFault
  }
  return { ...sum, ops: count, marks }
}

/** The lists of ops that are handed over, which are made once for ops that are used again. */
const cut = new WeakMap<readonly Op[], { readonly batch: number; readonly batches: readonly Op[][] }>()

function batchesOf(ops: readonly Op[], batch: number): readonly Op[][] {
  const known = cut.get(ops)
  if (known?.batch === batch) return known.batches
  const batches: Op[][] = []
  for (let at = 0; at < ops.length; at += batch) batches.push(ops.slice(at, at + batch))
  cut.set(ops, { batch, batches })
  return batches
}

function tally(errors: Errors, reason: string): void {
  // Messages that name a flow would make every failure a reason of its own.
  const common = reason.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '…')
  errors.set(common, (errors.get(common) ?? 0) + 1)
}

/** The nanoseconds at which each of `segments` equal parts was done. */
export function segmentsOf({ marks, ops }: Turn, segments: number): number[] {
  const times: number[] = []
  for (const [done, ns] of marks) {
    while (times.length < segments && done * segments >= (times.length + 1) * ops) times.push(ns)
  }
  return times
}
