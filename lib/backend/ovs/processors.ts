import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** How many processors this machine can ever have, absent ones included: the kernel numbers them from 0. */
export function possibleProcessors(): number {
  try {
    // For example `0-7` or `0,2-3`.
    const last = /(\d+)\s*$/.exec(readFileSync('/sys/devices/system/cpu/possible', 'utf8'))?.[1]
    if (last !== undefined) return Number(last) + 1
  } catch {
    // Not every Linux shows its /sys, and other systems have none.
  }
  return Math.max(1, cpus().length)
}
