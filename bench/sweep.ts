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
  let packets = 0
  let last = 0
  for await (const page of dpif.sweep()) {
    count += page.count
    // Halves, since a number of 64 bits is an object each time it is looked at.
    const halves = new Uint32Array(page.packets.buffer, page.packets.byteOffset, page.count * 2)
    for (let index = 0; index < page.count; index++) {
      packets += (halves[index * 2] ?? 0) + (halves[index * 2 + 1] ?? 0)
      last = Math.max(last, page.used[index] ?? 0)
    }
  }
  if (packets < 0 || last < 0) throw new Error('no counter was looked at')
  return count
}
