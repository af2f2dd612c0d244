import type { Options } from './options.js'
import type { Progress } from './progress.js'
import type { Result } from './result.js'
import { measureWrites } from './writes.js'

/** How fast do flows that are there get the actions they have once more? The kernel does not look whether they differ. */
export function modify(options: Options, progress: Progress): Promise<Result> {
  return measureWrites(
    { question: 'modify', full: true, op: (flow) => ({ op: 'put', mode: 'modify', ...flow }) },
    options,
    progress,
  )
}
