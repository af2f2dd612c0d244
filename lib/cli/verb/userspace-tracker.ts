import { CliError } from '../error.js'
import { withConntrack } from '../conntrack.js'
import type { Verb } from '../verb.js'

// What only OVS's own connection tracker has, which runs in ovs-vswitchd. Scripts call it all the same, and get the answer they know.

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

const missing = (name: string, usage: string, most: number, writes: boolean, what: string): Verb => ({
  name,
  usage,
  summary: `${what} of a connection tracker in user space; refused, for the kernel's has none`,
  options: [],
  takes: [usage.endsWith(']') ? 0 : 1, most],
  writes,
  run: async ({ fail, kernel, args }) => {
    // A datapath that is not there is told of first, as ever.
    await kernel.choose(most === 2 ? args.slice(0, -1) : args, 1)
    fail(`${name}: the kernel's connection tracker has no such thing (Operation not supported)`)
  },
})

/** In ovs-dpctl's order. */
// biome-ignore format: one row per line
export const missingCtVerbs: readonly Verb[] = [
  missing('ct-set-maxconns',        '[DP] N', 2, true,  'set how many connections there may be'),
  missing('ct-get-maxconns',        '[DP]',   1, false, 'print how many connections there may be'),
  missing('ct-get-nconns',          '[DP]',   1, false, 'print how many connections there are'),
  missing('ct-enable-tcp-seq-chk',  '[DP]',   1, true,  'check sequence numbers'),
  missing('ct-disable-tcp-seq-chk', '[DP]',   1, true,  'leave sequence numbers alone'),
  missing('ct-get-tcp-seq-chk',     '[DP]',   1, false, 'print whether sequence numbers are checked'),
]
