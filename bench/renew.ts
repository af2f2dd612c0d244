/**
 * Makes one value say what another of the same shape does, object by object, and leaves no object of either behind: what was made for
 * one part of a run serves in the next, and the collector has nothing to walk while the clock runs.
 */
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
