import { ConnectionCounter, formatTally } from '../../index.js'
import { splitZone, withConntrack } from '../conntrack.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const ctStatsShow: Verb = {
  name: 'ct-stats-show',
  usage: '[DP] [zone=N]',
  summary: 'print how many tracked connections there are, by protocol; with -m by state of TCP, too',
  options: ['more', 'json'],
  takes: [0, 3],
  writes: false,
  json: '{ total, protocols: { tcp?, udp?, icmp?, … }, tcpStates: { ESTABLISHED?, TIME_WAIT?, … } }',
  run: (call) =>
    withConntrack(call, async (conntrack, words) => {
      // The word is ovs-dpctl's older form of -m.
      const verbose = words.includes('verbose') || call.options.more
      const { rest: _, ...zone } = splitZone(
        words.filter((word) => word !== 'verbose'),
        0,
      )
      const counter = new ConnectionCounter()
      for await (const connection of conntrack.dump(zone)) counter.add(connection)
      await call.out.line(call.options.json ? toJson(counter) : formatTally(counter, verbose))
    }),
}
