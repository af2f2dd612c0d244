import type { BackendOp } from '../../../types/backend.js'

/** What one lane gets of a list: the entries from `from` up to, but not with, `to`. */
export interface Part {
  readonly lane: number
  readonly from: number
  readonly to: number
}

/** Fewer flows than this are not worth the way to another thread and back. */
const FEWEST = 32

/** Divides a list evenly among at most `lanes` lanes, none of which gets few. There is always one part, if only an empty one. */
export function divide(count: number, lanes: number): Part[] {
  const parts = lanesFor(count, lanes)
  return Array.from({ length: parts }, (_, lane) => ({
    lane,
    from: Math.floor((lane * count) / parts),
    to: Math.floor(((lane + 1) * count) / parts),
  }))
}

/**
 * The lane of the entry at `index` of a list with at most `room`, which is not known in full yet: all lanes get as many, in runs that
 * are worth the way.
 */
export function laneOf(index: number, room: number, lanes: number): number {
  return Math.floor(index / FEWEST) % lanesFor(room, lanes)
}

function lanesFor(count: number, lanes: number): number {
  return Math.max(1, Math.min(lanes, Math.floor(count / FEWEST)))
}

/** Whether a list is for one lane: what is put may want the match of a flow that is deleted before it. */
export function isForOneLane(ops: readonly BackendOp[]): boolean {
  return ops.some(({ verb }) => verb === 'del') && ops.some((op) => 'flow' in op)
}

/** Waits for all of them, so that nothing is under way any more when the first failure is told. */
export async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const values: T[] = []
  for (const outcome of await Promise.allSettled(work)) {
    if (outcome.status === 'rejected') throw outcome.reason
    values.push(outcome.value)
  }
  return values
}
