// Ops that are used for one part of a run after another. New ones for every part would be for the collector to find while the clock runs.

/**
 * A copy that stays. V8 puts what a literal makes where its earlier objects have ended up; as long as none of what the generator makes
 * lives on, all of it dies young. Bytes are not copied: they may be part of a larger buffer, and stay so.
 */
export function keep<T>(fresh: T): T {
  if (!isPlain(fresh)) return fresh
  if (Array.isArray(fresh)) return fresh.map(keep) as T
  const kept = { ...fresh }
  for (const name of Object.keys(kept) as (keyof T)[]) kept[name] = keep(kept[name])
  return kept
}

/** Makes one value say what another of the same shape does, object by object; none of the other's stays. */
export function renew<T extends object>(kept: T, fresh: T): void {
  for (const [name, value] of Object.entries(fresh) as [keyof T, T[keyof T]][]) {
    const old = kept[name]
    if (old instanceof Uint8Array && value instanceof Uint8Array && old.length === value.length)
      old.set(value)
    else if (isPlain(old) && isPlain(value)) renew(old, value)
    else kept[name] = value
  }
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)
