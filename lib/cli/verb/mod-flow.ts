import { operateOne, portNumbers, putOp, readFlow, withDatapath } from '../flows.js'
import { shapes } from '../json.js'
import type { Verb } from '../verb.js'

export const modFlow: Verb = {
  name: 'mod-flow',
  usage: '[DP] FLOW ACTIONS',
  summary: 'give FLOW the ACTIONS, and move it to where the policy wants it',
  options: ['may-create', 'clear', 'statistics', 'policy', 'verbose', 'more', 'json'],
  takes: [2, 3],
  writes: true,
  json: shapes.result,
  run: (call) =>
    withDatapath(call, async (dpif, [flow = '', actions = '']) => {
      const ports = await portNumbers(dpif)
      const { mayCreate, clear, statistics } = call.options
      const mode = { mode: mayCreate ? 'upsert' : 'modify', zeroStats: clear, stats: statistics } as const
      await operateOne(call, dpif, putOp(readFlow(flow, ports), actions, ports, mode))
    }),
}
