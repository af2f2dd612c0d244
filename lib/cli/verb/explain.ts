import { type Choice, formatUfid } from '../../index.js'
import { portNumbers, putOp, readFlow, withDatapath } from '../flows.js'
import { explanationJson, shapes, toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const explain: Verb = {
  name: 'explain',
  usage: '[DP] FLOW ACTIONS',
  summary: 'print where the policy would send FLOW and what stands against it; nothing is put',
  options: ['policy', 'json'],
  takes: [2, 3],
  writes: false,
  json: `{ ufid, policy, reason, choices: [{ backend, skip?, objections: [FAILURE, …] }, …], backend (null: none would take it) },
  FAILURE: ${shapes.failure}`,
  run: (call) =>
    withDatapath(call, async (dpif, [flow = '', actions = '']) => {
      const { options, out } = call
      const ports = await portNumbers(dpif)
      const mode = { mode: 'create', zeroStats: false, stats: false } as const
      const explanation = await dpif.explain(putOp(readFlow(flow, ports), actions, ports, mode))
      if (options.json) return out.line(toJson(explanationJson(explanation)))
      const { ufid, policy, placement, verdicts, backend } = explanation
      await out.line(formatUfid(ufid))
      await out.line(`policy ${policy}: ${placement.reason}`)
      for (const [index, { objections }] of verdicts.entries()) {
        const name = choiceName(placement.choices[index] as Choice)
        if (objections.length === 0) await out.line(`  ${name}: nothing is known to stand against it`)
        for (const { code, message } of objections) await out.line(`  ${name}: ${message} (${code})`)
      }
      await out.line(backend === undefined ? 'would be refused' : `would go to ${backend}`)
    }),
}

const choiceName = ({ backend, skip }: Choice): string =>
  skip === undefined ? backend : `${backend} skip_${skip}`
