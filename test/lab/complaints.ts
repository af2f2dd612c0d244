/** What a kernel says when something is wrong with it, lockdep's reports among it. */
const COMPLAINT =
  /^(\[[\d. ]+\] )?(WARNING: |INFO: (task .* blocked|lockdep is turned off))|\b(BUG:|Oops|Kernel panic|general protection fault|UBSAN:|KASAN:)|blocked for more|waiting for .* to become free/

/**
 * User-mode Linux 6.1 walks its own memory map without the lock that goes with it when a process has forked (arch/um/kernel/tlb.c,
 * force_flush_all()). That is said once a boot, and is not ours to mend.
 */
const KNOWN = { said: /suspicious RCU usage$/, stack: / force_flush_all\+/ }

/** Lines behind a complaint that belong to it. */
const REPORT_LENGTH = 40

/** The first complaint in a kernel's log, with a few lines before it and what follows; undefined for a log that is clean. */
export function complaint(log: string): string[] | undefined {
  const lines = log.trimEnd().split('\n')
  const at = lines.findIndex((line, index) => COMPLAINT.test(line) && !known(lines.slice(index)))
  return at < 0 ? undefined : lines.slice(Math.max(0, at - 5), at + REPORT_LENGTH)
}

function known([first = '', ...rest]: readonly string[]): boolean {
  if (!KNOWN.said.test(first)) return false
  const next = rest.findIndex((line) => COMPLAINT.test(line))
  const report = rest.slice(0, next < 0 ? REPORT_LENGTH : Math.min(next, REPORT_LENGTH))
  return report.some((line) => KNOWN.stack.test(line))
}
