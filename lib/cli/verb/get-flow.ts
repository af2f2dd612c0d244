import { formatFlow } from '../../index.js'
import { flowName, lineOptions, portNumbers, readFlow, withDatapath } from '../flows.js'
import { flowJson, shapes, toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const getFlow: Verb = {
  name: 'get-flow',
  usage: '[DP] ufid:UFID',
  summary: 'print the flow of that ufid',
  details: 'A key in place of the ufid finds the flow, too.',
  options: ['more', 'names', 'no-names', 'json'],
  takes: [1, 2],
  writes: false,
  json: shapes.flow,
  run: (call) =>
    withDatapath(call, async (dpif, [text = '']) => {
      const { options, out, now } = call
      const ufid = /^[0-9a-f]{8}-/i.test(text) ? `ufid:${text}` : text
      const { flow, error } = await dpif.get(flowName(readFlow(ufid, await portNumbers(dpif))))
      if (flow === undefined) return call.fail(error?.message ?? `no flow ${text}`)
      if (options.json) return out.line(toJson(flowJson(flow, now())))
      await out.line(formatFlow(flow, { ...(await lineOptions(dpif, options)), now: now() }))
    }),
}
