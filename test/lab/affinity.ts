import { existsSync, readFileSync } from 'node:fs'

/**
 * What has to stand before a command line so that it stays on one of this machine's processors.
 *
 * User-mode Linux is a process for the kernel and one for each address space, and a system call in the guest wakes the one to sleep in
 * the other. Across two processors that is an interrupt to a sleeping one: 118 us a call were seen, and 20 to 37 us on one.
 */
export function onOneProcessor(): string[] {
  const program = PLACES.find(existsSync)
  const allowed = processors()
  if (program === undefined || allowed.length < 2) return []
  return [program, '-c', String(allowed[(process.pid + turn++) % allowed.length])]
}

/** util-linux, which is not everywhere. */
const PLACES = ['/usr/bin/taskset', '/bin/taskset']

/** Machines that run at the same time take turns. */
let turn = 0

/** `Cpus_allowed_list` is a list like 0-3,8. */
function processors(): number[] {
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return list.split(',').flatMap((range) => {
    const [from = NaN, to = from] = range.split('-').map(Number)
    return Number.isNaN(from) ? [] : Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
}
