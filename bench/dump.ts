import type { Dpif } from '../lib/index.js'
import type { Options } from './options.js'
import type { Progress } from './progress.js'
import { measureReads } from './reads.js'
import type { Result } from './result.js'

/** How fast is the whole table read into typed objects: key, mask, actions and counters of every flow? */
export function dump(options: Options, progress: Progress): Promise<Result> {
  return measureReads(
    {
      question: 'dump',
      what: 'dumped every flow and looked at its key, mask, actions and counters',
      read,
      beside: ['ovs-dpctl', 'dump-flows'],
    },
    options,
    progress,
  )
}

async function read(dpif: Dpif): Promise<number> {
  let count = 0
  let seen = 0
  for await (const { key, mask, actions, stats } of dpif.dump()) {
    count++
    // Flows are decoded when they are looked at, so they are.
    seen += actions.length + stats.used + (key.inPort ?? 0) + (mask.inPort ?? 0)
  }
  if (seen < 0) throw new Error('no flow was looked at')
  return count
}
