import { CliError } from '../error.js'
import { withConntrack } from '../conntrack.js'
import type { Verb } from '../verb.js'

export const ctBkts: Verb = {
  name: 'ct-bkts',
  usage: '[DP] [gt=N]',
  summary: "print the buckets of a connection tracker in user space; the kernel's does not tell",
  options: [],
  takes: [0, 2],
  writes: false,
  run: (call) =>
    withConntrack(call, async (_, words) => {
      const [wrong] = words.filter((word) => !/^gt=[0-9]{1,5}$/.test(word))
      if (wrong !== undefined) throw new CliError(`'${wrong}' is no threshold; gt=N is`)
      await call.out.line('Command is available for UserSpace ConnTracker only.')
    }),
}
