import { CliError } from '../error.js'
import type { Verb } from '../verb.js'

// What ovs-dpctl has verbs for and no kernel can do. They say so, and find the datapath first, as there.
const rows: readonly (readonly [name: string, usage: string, takes: Verb['takes'], what: string])[] = [
  ['offload-stats-show', '[DP]', [0, 1], "statistics of OVS's own offload threads"],
  ['ipf-set-enabled', '[DP] v4|v6', [1, 2], 'handling of IP fragments that can be switched'],
  ['ipf-set-disabled', '[DP] v4|v6', [1, 2], 'handling of IP fragments that can be switched'],
  ['ipf-set-min-frag', '[DP] v4|v6 SIZE', [2, 3], 'sizes of IP fragments that can be set'],
  ['ipf-set-max-nfrags', '[DP] COUNT', [1, 2], 'numbers of IP fragments that can be set'],
  ['ipf-get-status', '[DP]', [0, 1], 'counters of IP fragments'],
  ['ct-set-maxconns', '[DP] N', [1, 2], 'limit of all connections that can be set'],
  ['ct-get-maxconns', '[DP]', [0, 1], 'limit of all connections'],
  ['ct-get-nconns', '[DP]', [0, 1], 'count of all connections'],
  ['ct-enable-tcp-seq-chk', '[DP]', [0, 1], 'check of sequence numbers that can be switched'],
  ['ct-disable-tcp-seq-chk', '[DP]', [0, 1], 'check of sequence numbers that can be switched'],
  ['ct-get-tcp-seq-chk', '[DP]', [0, 1], 'check of sequence numbers that can be switched'],
]

/** The verbs that only OVS's datapath in userspace can carry out. */
export const userspaceOnly: readonly Verb[] = rows.map(([name, usage, takes, what]) => ({
  name,
  usage,
  summary: 'for datapaths in userspace; refused here, as by ovs-dpctl',
  options: [],
  takes,
  writes: /-(set|enable|disable)-/.test(name),
  run: async ({ args, kernel }) => {
    const { datapath } = await kernel.choose(args, takes[1])
    throw new CliError(
      `system@${datapath} has no ${what}: openvswitch leaves that to the kernel (Operation not supported)`,
    )
  },
}))
