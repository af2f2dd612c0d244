import {
  type Choice,
  type Explanation,
  type Flow,
  formatUfid,
  type NetDevice,
  type Verdict,
} from '../../index.js'
import { flowName, portNumbers, putOp, readFlow, withDatapath } from '../flows.js'
import { explanationJson, shapes, toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const explain: Verb = {
  name: 'explain',
  usage: '[DP] FLOW [ACTIONS]',
  summary:
    'print where the policy sends FLOW, for each backend what stands against it or how tc would put it, and what would have to change; nothing is put',
  details:
    'Without ACTIONS, FLOW is one that lives, named by its key or as ufid:UFID. The answer is then also where it lives and whether it is in hardware.',
  options: ['policy', 'json'],
  takes: [1, 3],
  writes: false,
  json: `{ ufid, policy, reason, choices: [{ backend, skip?, objections: [FAILURE, …], softwareOnly?: FAILURE, refusal?: FAILURE, filter? }, …],
  others: [{ backend, objections, softwareOnly?, refusal?, filter? }, …], backend (null: none would take it), flow: FLOW or null (it does not live),
  devices: [as in devices, …], findings: [as in preflight, …], changes: [text, …] },
  FAILURE: ${shapes.failure}`,
  run: (call) =>
    withDatapath(call, async (dpif, [flow = '', actions]) => {
      const { options, out } = call
      const ports = await portNumbers(dpif)
      const parsed = readFlow(flow, ports)
      const mode = { mode: 'create', zeroStats: false, stats: false } as const
      const explanation = await dpif.explain(
        actions === undefined ? flowName(parsed) : putOp(parsed, actions, ports, mode),
      )
      if (options.json) return out.line(toJson(explanationJson(explanation, call.now())))
      for (const line of linesOf(explanation)) await out.line(line)
    }),
}

function* linesOf(explanation: Explanation): Generator<string> {
  const { ufid, policy, placement, verdicts, others, backend, flow, devices, changes } = explanation
  yield formatUfid(ufid)
  if (flow !== undefined) yield `lives in ${flow.backend}${hardwareOf(flow)}`
  yield `policy ${policy}: ${placement.reason}`
  for (const [index, verdict] of verdicts.entries())
    yield* verdictLines(choiceName(placement.choices[index] as Choice), verdict)
  for (const verdict of others)
    yield* verdictLines(`${verdict.backend}, which the policy does not name`, verdict)
  yield backend === undefined ? 'would be refused' : `would go to ${backend}`
  for (const device of devices) yield `  ${deviceLine(device)}`
  if (changes.length > 0) yield 'for it to be in hardware:'
  for (const change of changes) yield `    ${change}`
}

const choiceName = ({ backend, skip }: Choice): string =>
  skip === undefined ? backend : `${backend} skip_${skip}`

function hardwareOf({ backend, offloaded, suspect }: Flow): string {
  if (backend !== 'tc') return ''
  if (!offloaded) return ', not in hardware'
  return suspect ? ', in hardware as it says, but software sees its packets' : ', in hardware'
}

function deviceLine({ name, kind, switchId, hwTcOffload }: NetDevice): string {
  const facts = [
    kind,
    switchId === undefined ? 'on no e-switch' : `switch ${switchId}`,
    `hw-tc-offload ${hwTcOffload ?? 'unknown'}`,
  ]
  return `${name}: ${facts.join(', ')}`
}

function* verdictLines(
  name: string,
  { objections, softwareOnly, refusal, filter }: Verdict,
): Generator<string> {
  if (objections.length === 0) {
    yield `  ${name}: nothing is known to stand against it`
    if (softwareOnly !== undefined) yield failureLine(`${name}, in software only`, softwareOnly)
    for (const line of filter?.split('\n') ?? []) yield `    ${line}`
  }
  for (const failure of objections) yield failureLine(name, failure)
  if (refusal !== undefined) yield failureLine(`${name}, when it was put`, refusal)
}

const failureLine = (name: string, { code, reason, message }: Verdict['objections'][number]): string =>
  `  ${name}: ${message} (${reason === undefined ? code : `${code}, ${reason}`})`
