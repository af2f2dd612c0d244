/** Numbers from one to another, both included. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** Reads `100-199`. */
export function parseRange(text: string, most: number): Range | undefined {
  const [, first, last] = /^([0-9]{1,10})\s*-\s*([0-9]{1,10})$/.exec(text) ?? []
  const range = { from: Number(first), to: Number(last) }
  return range.from <= range.to && range.to <= most ? range : undefined
}

/**
 * Whether a field of a flow is in one of the ranges: for all its packets, or with `some` for one of them as far as can be told. `ones`
 * are the bits of the field; a field that is not there says nothing.
 */
export function inRanges(
  ranges: readonly Range[],
  value: number | undefined,
  mask: number | undefined,
  ones: number,
  some: boolean,
): boolean {
  const counts = (mask ?? 0) & ones
  const least = (value ?? 0) & counts
  const most = least | (~counts & ones)
  for (let index = 0; index < ranges.length; index++) {
    const { from, to } = ranges[index] as Range
    if (some ? least <= to && most >= from : least >= from && most <= to) return true
  }
  return false
}
