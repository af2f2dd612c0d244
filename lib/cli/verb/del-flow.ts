import { flowName, operateOne, portNumbers, readFlow, withDatapath } from '../flows.js'
import { shapes } from '../json.js'
import type { Verb } from '../verb.js'

export const delFlow: Verb = {
  name: 'del-flow',
  usage: '[DP] FLOW',
  summary: 'delete FLOW, named by its ufid or its key; a mask does not count',
  options: ['statistics', 'json'],
  takes: [1, 2],
  writes: true,
  json: shapes.result,
  run: (call) =>
    withDatapath(call, async (dpif, [flow = '']) => {
      const name = flowName(readFlow(flow, await portNumbers(dpif)))
      await operateOne(call, dpif, { op: 'del', ...name, stats: call.options.statistics })
    }),
}
