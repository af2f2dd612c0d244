import type { Backend, FlowView } from '../../types/backend.js'
import type { PreflightFinding } from '../../types/device.js'
import type { Explanation, Surveyor, Verdict } from '../../types/dpif.js'
import type { BackendName, Flow } from '../../types/op.js'
import type { Choice, Placement } from '../../types/policy.js'
import { DpifError } from '../errors.js'
import { decide, type PlanContext } from './plan.js'

/** What an explanation is made from. */
export interface ExplainParts {
  readonly context: PlanContext
  readonly backends: ReadonlyMap<BackendName, Backend>
  readonly surveyor: Surveyor
}

/** Why a flow is, or would be, where it is. `living` is the flow as it lives, if it does. */
export async function explain(
  { context, backends, surveyor }: ExplainParts,
  flow: FlowView,
  living: Flow | undefined,
): Promise<Explanation> {
  for (const backend of backends.values()) await backend.learn?.(flow)
  const placement = decide(context, flow)
  if ('error' in placement) throw DpifError.from(placement.error)
  const { facts, events } = context
  const refusals = events.lastRefusals(flow.ufid)
  const judge = (choice: Choice): Verdict => {
    const backend = backends.get(choice.backend) as Backend
    const objections = backend.objections(flow, choice)
    const stands = objections.length > 0
    const filter = stands ? undefined : backend.filter?.(flow, choice)
    const softwareOnly = stands ? undefined : backend.softwareOnly?.(flow, choice)
    const refusal = refusals.get(choice.backend)
    return {
      backend: choice.backend,
      objections,
      ...(softwareOnly === undefined ? {} : { softwareOnly }),
      ...(refusal === undefined ? {} : { refusal }),
      ...(filter === undefined ? {} : { filter }),
    }
  }
  const verdicts = placement.choices.map(judge)
  const others = [...backends.keys()]
    .filter((backend) => !placement.choices.some((choice) => choice.backend === backend))
    .map((backend) => judge({ backend }))
  const first = verdicts.find(({ objections }) => objections.length === 0)
  const { devices, findings } = await surveyor.survey(
    portsOf(flow).flatMap((number) => facts.port(number)?.name ?? []),
  )
  const { name: policy } = context.policy
  const standing = { policy, placement, verdicts: [...verdicts, ...others], findings, flow: living }
  return {
    ufid: flow.ufid,
    policy,
    placement,
    verdicts,
    others,
    ...(first === undefined ? {} : { backend: first.backend }),
    ...(living === undefined ? {} : { flow: living }),
    devices,
    findings,
    changes: changesFor(standing),
  }
}

/** What is known of a flow that somebody wants to see in hardware. */
export interface Standing {
  /** Name of the policy. */
  readonly policy: string
  readonly placement: Placement
  /** Of the choices, and of the backends the policy does not name. */
  readonly verdicts: readonly Verdict[]
  readonly findings: readonly PreflightFinding[]
  /** As it lives, if it does. */
  readonly flow: Flow | undefined
}

/** What would have to change for a flow to be in hardware: what comes first can be the cause of what comes later. */
export function changesFor(standing: Standing): string[] {
  const { flow } = standing
  if (flow?.offloaded && !flow.suspect) return []
  return [...new Set(changes.flatMap((find) => find(standing)))]
}

const changes: readonly ((standing: Standing) => readonly string[])[] = [
  ({ flow }) =>
    flow?.suspect ? ['the device may have lost the flow, since software sees its packets: put it again'] : [],
  ({ policy, placement: { choices, reason } }) =>
    choices.some(({ backend }) => backend === 'tc')
      ? []
      : [`policy ${policy} would have to name tc: ${reason}`],
  ({ policy, placement: { choices } }) => {
    const [first] = choices
    const tc = choices.find(({ backend }) => backend === 'tc')
    if (tc?.skip === 'hw') return [`policy ${policy} keeps it out of hardware, by skip_hw`]
    return tc !== undefined && first !== tc ? [`policy ${policy} would have to name tc first`] : []
  },
  ({ verdicts }) => inTc(verdicts).flatMap(({ objections }) => objections.map(({ message }) => message)),
  ({ verdicts }) => inTc(verdicts).flatMap(({ softwareOnly }) => softwareOnly?.message ?? []),
  ({ findings }) =>
    findings.filter(({ effect }) => effect !== 'none').map(({ mend, message }) => mend ?? message),
  ({ verdicts }) => inTc(verdicts).flatMap(({ refusal }) => (refusal === undefined ? [] : [refusal.message])),
  ({ flow, verdicts, findings }) => {
    if (flow === undefined || standsInTheWay(verdicts, findings)) return []
    if (flow.backend !== 'tc')
      return ['nothing is known to stand against it any more: put it again, with mode upsert']
    const how =
      "`hwacc trace` shows who did not take it, and a policy with skip_sw makes the kernel say the driver's words"
    return [`the driver did not take it, and the kernel does not tell why: ${how}`]
  },
]

const inTc = (verdicts: readonly Verdict[]) => verdicts.filter(({ backend }) => backend === 'tc')

function standsInTheWay(verdicts: readonly Verdict[], findings: readonly PreflightFinding[]): boolean {
  const objected = inTc(verdicts).some(
    ({ objections, softwareOnly, refusal }) =>
      objections.length > 0 || (softwareOnly ?? refusal) !== undefined,
  )
  return objected || findings.some(({ effect }) => effect !== 'none')
}

/** The numbers of the ports a flow has to do with: its own, then those it sends packets to. */
export function portsOf({ key, actions }: Pick<FlowView, 'key' | 'actions'>): number[] {
  const outputs = actions.flatMap(({ output }) => output ?? [])
  return [...new Set([...(key.inPort === undefined ? [] : [key.inPort]), ...outputs])]
}
