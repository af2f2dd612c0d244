/** A whole number of at least `least`, or a RangeError that names it. */
export function whole(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value
  throw new RangeError(`${name} ${value}: a whole number from ${least} on is needed`)
}

/** A number of at least `least`, or a RangeError that names it. */
export function atLeast(name: string, value: number, least: number): number {
  if (Number.isFinite(value) && value >= least) return value
  throw new RangeError(`${name} ${value}: a number from ${least} on is needed`)
}
