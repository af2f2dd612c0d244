import type { PortChange } from '../../index.js'
import { withDatapath } from '../flows.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const monitorPorts: Verb = {
  name: 'monitor-ports',
  usage: '[DP]',
  summary: 'print the ports of DP that come, go and change, until it is interrupted',
  details: `unknown means that some changes were lost: every port may have come, gone or changed. --json prints one document a line. It ends
when DP is deleted, with exit code 1.`,
  options: ['json'],
  takes: [0, 1],
  writes: false,
  json: '{ change: "added"|"removed"|"changed", port: { number, name, type, ifindex, … } } or { change: "unknown" }, a line each',
  run: (call) =>
    withDatapath(call, async (dpif) => {
      const { options, out } = call
      for await (const event of dpif.portChanges()) {
        await out.line(options.json ? toJson(event) : lineOf(event))
        // Whoever watches wants it now.
        await out.flush()
        if (out.closed) return
      }
    }),
}

function lineOf(event: PortChange): string {
  if (event.change === 'unknown') return 'unknown'
  const { number, name, type } = event.port
  return `${event.change} port ${number}: ${name}${type === 'netdev' ? '' : ` (${type})`}`
}
