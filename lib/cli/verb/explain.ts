import { type Choice, type Failure, formatUfid, type Verdict } from '../../index.js'
import { portNumbers, putOp, readFlow, withDatapath } from '../flows.js'
import { explanationJson, shapes, toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const explain: Verb = {
  name: 'explain',
  usage: '[DP] FLOW ACTIONS',
  summary:
    'print where the policy would send FLOW, and for each backend what stands against it, or how tc would put it; nothing is put',
  options: ['policy', 'json'],
  takes: [2, 3],
  writes: false,
  json: `{ ufid, policy, reason, choices: [{ backend, skip?, objections: [FAILURE, …], softwareOnly?: FAILURE, filter? }, …], others: [{ backend, objections, softwareOnly?, filter? }, …], backend (null: none would take it) },
  FAILURE: ${shapes.failure}`,
  run: (call) =>
    withDatapath(call, async (dpif, [flow = '', actions = '']) => {
      const { options, out } = call
      const ports = await portNumbers(dpif)
      const mode = { mode: 'create', zeroStats: false, stats: false } as const
      const explanation = await dpif.explain(putOp(readFlow(flow, ports), actions, ports, mode))
      if (options.json) return out.line(toJson(explanationJson(explanation)))
      const { ufid, policy, placement, verdicts, others, backend } = explanation
      await out.line(formatUfid(ufid))
      await out.line(`policy ${policy}: ${placement.reason}`)
      for (const [index, verdict] of verdicts.entries()) {
        const name = choiceName(placement.choices[index] as Choice)
        for (const line of linesOf(name, verdict)) await out.line(line)
      }
      for (const verdict of others) {
        for (const line of linesOf(`${verdict.backend}, which the policy does not name`, verdict))
          await out.line(line)
      }
      await out.line(backend === undefined ? 'would be refused' : `would go to ${backend}`)
    }),
}

const choiceName = ({ backend, skip }: Choice): string =>
  skip === undefined ? backend : `${backend} skip_${skip}`

function linesOf(name: string, { objections, softwareOnly, filter }: Verdict): string[] {
  if (objections.length === 0) {
    const lines = filter?.split('\n').map((line) => `    ${line}`) ?? []
    const software =
      softwareOnly === undefined ? [] : [`  ${name}: in software only: ${reasoned(softwareOnly)}`]
    return [`  ${name}: nothing is known to stand against it`, ...software, ...lines]
  }
  return objections.map((objection) => `  ${name}: ${reasoned(objection)}`)
}

const reasoned = ({ code, reason, message }: Failure): string =>
  `${message} (${reason === undefined ? code : `${code}, ${reason}`})`
