import type { Options } from './options.js'
import type { Progress } from './progress.js'
import type { Result } from './result.js'
import { measureWrites } from './writes.js'

/** How fast do flows go into an empty table? */
export function insertion(options: Options, progress: Progress): Promise<Result> {
  return measureWrites(
    { question: 'insertion', full: false, op: (flow) => ({ op: 'put', ...flow }) },
    options,
    progress,
  )
}
