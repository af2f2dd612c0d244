import type { Dpif } from '../lib/index.js'
import type { Options } from './options.js'
import type { Progress } from './progress.js'
import { measureReads } from './reads.js'
import type { Result } from './result.js'

/** How fast are the counters of every flow read, and nothing else? */
export function sweep(options: Options, progress: Progress): Promise<Result> {
  return measureReads(
    {
      question: 'sweep',
      what: 'read the ufid, the counters and the last use of every flow from a terse dump',
      read,
    },
    options,
    progress,
  )
}

async function read(dpif: Dpif): Promise<number> {
  let count = 0
  let packets = 0n
  let last = 0
  for await (const { ufid, stats } of dpif.dump({ terse: true })) {
    if (ufid !== '') count++
    packets += stats.packets
    last = Math.max(last, stats.used)
  }
  if (packets < 0n || last < 0) throw new Error('no counter was looked at')
  return count
}
