import { operateOne, portNumbers, putOp, readFlow, withDatapath } from '../flows.js'
import { shapes } from '../json.js'
import type { Verb } from '../verb.js'

export const addFlow: Verb = {
  name: 'add-flow',
  usage: '[DP] FLOW ACTIONS',
  summary: 'add FLOW with ACTIONS to DP, in the first backend of the policy that takes it',
  details: 'FLOW may begin with ufid:UFID; without it the ufid is computed from the key. Ports may be named.',
  options: ['policy', 'verbose', 'more', 'json'],
  takes: [2, 3],
  writes: true,
  json: shapes.result,
  run: (call) =>
    withDatapath(call, async (dpif, [flow = '', actions = '']) => {
      const ports = await portNumbers(dpif)
      const mode = { mode: 'create', zeroStats: false, stats: false } as const
      await operateOne(call, dpif, putOp(readFlow(flow, ports), actions, ports, mode))
    }),
}
