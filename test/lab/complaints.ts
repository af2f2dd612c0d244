/** What a kernel says when something is wrong with it, lockdep's reports among it. */
const COMPLAINT =
  /^(\[[\d. ]+\] )?(WARNING: |INFO: (task .* blocked|lockdep is turned off))|\b(BUG:|Oops|Kernel panic|general protection fault|UBSAN:|KASAN:)|blocked for more|waiting for .* to become free/

/** What is said once a boot by Linux 6.1 of itself, and is not ours to mend: a report of that kind with that function in its stack. */
const KNOWN = [
  // User-mode Linux walks its memory map without the lock that goes with it when a process has forked (arch/um/kernel/tlb.c).
  { said: /suspicious RCU usage$/, stack: / force_flush_all\+/ },
  // A flow that names a timeout policy has it looked up outside of RCU (ovs_ct_copy_action(), net/openvswitch/conntrack.c).
  { said: /suspicious RCU usage$/, stack: / ovs_ct_copy_action\+/ },
]

/** Lines behind a complaint that belong to it. */
const REPORT_LENGTH = 40

/** The first complaint in a kernel's log, with a few lines before it and what follows; undefined for a log that is clean. */
export function complaint(log: string): string[] | undefined {
  const lines = log.trimEnd().split('\n')
  const at = lines.findIndex((line, index) => COMPLAINT.test(line) && !known(lines.slice(index)))
  return at < 0 ? undefined : lines.slice(Math.max(0, at - 5), at + REPORT_LENGTH)
}

function known([first = '', ...rest]: readonly string[]): boolean {
  const next = rest.findIndex((line) => COMPLAINT.test(line))
  const report = rest.slice(0, next < 0 ? REPORT_LENGTH : Math.min(next, REPORT_LENGTH))
  return KNOWN.some(({ said, stack }) => said.test(first) && report.some((line) => stack.test(line)))
}
