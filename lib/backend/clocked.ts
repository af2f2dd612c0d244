import type { Rehearsed } from '../../types/backend.js'

/** Does something, and says how long it took. */
export function clocked<T>(name: string, work: () => T): [Rehearsed, T] {
  const start = process.hrtime.bigint()
  const value = work()
  return [{ name, nanoseconds: Number(process.hrtime.bigint() - start) }, value]
}
