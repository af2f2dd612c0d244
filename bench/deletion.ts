import type { Options } from './options.js'
import type { Progress } from './progress.js'
import type { Result } from './result.js'
import { measureWrites } from './writes.js'

/** How fast do flows go away again, one by one, named by their ufid? */
export function deletion(options: Options, progress: Progress): Promise<Result> {
  return measureWrites(
    { question: 'deletion', full: true, op: ({ ufid }) => ({ op: 'del', ufid }) },
    options,
    progress,
  )
}
