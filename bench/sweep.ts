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
      what: 'looked at the counters and the last use of every flow',
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
  for await (const page of dpif.sweep()) {
    count += page.count
    for (let index = 0; index < page.count; index++) {
      packets += page.packets[index] ?? 0n
      last = Math.max(last, page.used[index] ?? 0)
    }
  }
  if (packets < 0n || last < 0) throw new Error('no counter was looked at')
  return count
}
