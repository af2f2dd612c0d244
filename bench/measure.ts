import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { readFileSync } from 'node:fs'

/** Several turns in a few numbers. `spread` is the range as a share of the median. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly spread: number
  readonly turns: readonly number[]
}

export function summarize(turns: readonly number[]): Summary {
  if (turns.length === 0) throw new RangeError('no turns to summarize')
  const sorted = [...turns].sort((a, b) => a - b)
  const min = sorted[0] as number
  const max = sorted.at(-1) as number
  const median = quantile(sorted, 0.5)
  return { median, min, max, spread: median === 0 ? 0 : (max - min) / median, turns: [...turns] }
}

/** The value below which the share `q` of `sorted` lies, between neighbours in proportion. */
export function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q
  const low = sorted[Math.floor(at)] as number
  const high = sorted[Math.ceil(at)] as number
  return low + (high - low) * (at - Math.floor(at))
}

/** Turn by turn: how often `b` goes into `a`. Neighbours in time are compared, so that noise that lasts cancels out. */
export function ratios(a: readonly number[], b: readonly number[]): Summary {
  return summarize(a.slice(0, b.length).map((value, turn) => value / (b[turn] as number)))
}

/**
 * Nanoseconds an item takes, the best of several turns: what the code costs once it is compiled and nothing disturbs it. Goes on
 * for half a second at least, since short turns are over before the compiler has had its say.
 */
export async function best(
  items: number,
  work: () => Promise<void> | void,
  before: () => Promise<void> | void = () => {},
): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  const begun = performance.now()
  for (let turn = 0; turn < LEAST_TURNS || performance.now() - begun < LEAST_MS; turn++) {
    await before()
    settleHeap()
    const start = performance.now()
    await work()
    least = Math.min(least, performance.now() - start)
  }
  return (least * 1e6) / items
}

const LEAST_TURNS = 5
const LEAST_MS = 500

type Collect = (options?: { readonly type: 'minor' }) => void
let collect: Collect | undefined

function collector(): Collect {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as Collect
  }
  return collect
}

/** Garbage of the preparations is cleared before the clock starts; what the library makes is its own to pay for. */
export function collectGarbage(): void {
  collector()()
}

/**
 * Moves what was made for the next turn out of the young generation, so that the collector does not move it while the clock runs.
 * Unlike a whole collection this leaves the young generation its size.
 */
export function settleHeap(): void {
  for (let turn = 0; turn < 2; turn++) collector()({ type: 'minor' })
}

/** Turns that do not count: few flows are over before the code is compiled, and pages of a dump have grown. */
export const warmUps = (flows: number): number => Math.max(2, Math.min(5, Math.ceil(WARM / flows)))

/** Flows until the code is warm. */
const WARM = 100_000

/** Bytes on the heap and beside it, after a collection. */
export function memoryInUse(): { readonly heap: number; readonly external: number } {
  collectGarbage()
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return { heap: heapUsed, external }
}

/**
 * Waits until the machine has calmed down: the kernel frees deleted flows long after it said they were gone. Gives up after
 * `limitMs`, since other people's work may never end.
 */
export async function calm(limitMs = 3000): Promise<void> {
  const end = performance.now() + limitMs
  await sleep(50)
  while (performance.now() < end) {
    const before = cpuTicks()
    await sleep(100)
    const after = cpuTicks()
    const total = after.total - before.total
    if (total === 0 || (after.idle - before.idle) / total > 0.8) return
  }
}

function cpuTicks(): { readonly idle: number; readonly total: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  const ticks = line.split(/\s+/).slice(1).map(Number)
  return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), total: ticks.reduce((sum, value) => sum + value, 0) }
}
