import { formatConnection } from '../../index.js'
import { splitZone, withConntrack } from '../conntrack.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const dumpConntrack: Verb = {
  name: 'dump-conntrack',
  usage: '[DP] [zone=N]',
  summary: 'print the tracked connections, of zone N or of all',
  details:
    'They are those of the network namespace, whichever datapath is named. -s prints counters and timeouts.',
  options: ['more', 'statistics', 'json'],
  takes: [0, 2],
  writes: false,
  json: `[{ id, zone, original: TUPLE, reply: TUPLE, parent?: TUPLE, status: [NAME, …], timeout?, mark, labels, tcp?: { state, originalScale?,
  replyScale?, originalFlags?, replyFlags? }, sctp?: { state, originalTag, replyTag }, helper?, originalCounters?: { packets, bytes },
  replyCounters?, start?, stop? }, …], TUPLE: { src, dst, proto, srcPort?, dstPort?, icmpId?, icmpType?, icmpCode? }`,
  run: (call) =>
    withConntrack(call, async (conntrack, words) => {
      const { options, out } = call
      const { more: verbose, statistics, json } = options
      const { rest: _, ...zone } = splitZone(words, 0)
      let separator = ''
      if (json) await out.write('[')
      try {
        for await (const connection of conntrack.dump(zone)) {
          const text = json
            ? `${separator}${toJson(connection)}`
            : `${formatConnection(connection, { verbose, statistics })}\n`
          separator = ',\n'
          const room = out.write(text)
          if (room !== undefined) await room
          if (out.closed) return
        }
      } finally {
        if (json) await out.write(']\n')
      }
    }),
}
