import type { FlowView } from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { FlowId } from '../../../types/flow.js'
import type { MessageFailure } from '../../../types/transport.js'
import { actionViolationsOf } from '../../ovs/action-rules.js'
import { type Violation, violationsOf } from '../../ovs/rules.js'
import { inputFailure } from '../../ovs/view.js'
import { kernelFailure } from '../failure.js'

/** Why the module refused a flow, which mostly says EINVAL and no more: then the rules it is known to have are gone through. */
export function flowFailure(
  verb: string,
  { ufid }: FlowId,
  failure: MessageFailure,
  flow?: FlowView,
): Failure {
  const attempt = `${verb} flow ${ufid} in openvswitch`
  if (failure.errno === ENODEV)
    return kernelFailure(attempt, failure, { backend: 'ovs', code: 'NO_DATAPATH' })
  if (failure.errno !== EINVAL || flow === undefined)
    return kernelFailure(attempt, failure, { backend: 'ovs' })
  try {
    const [violation] = violations(decoded(flow))
    if (violation === undefined) return kernelFailure(attempt, failure, { backend: 'ovs' })
    return kernelFailure(attempt, failure, {
      backend: 'ovs',
      path: violation.path,
      hint: violation.problem,
    })
  } catch (error) {
    return { ...inputFailure(error), backend: 'ovs', errno: failure.errno }
  }
}

/** What the module is known to refuse of a flow. */
export function violations({ key, mask, actions }: FlowView): Violation[] {
  return [...violationsOf(key, mask), ...actionViolationsOf(actions, key, mask)]
}

/** Raw attributes go down unread. Now that it matters: throws BAD_MESSAGE when they are none. */
function decoded(flow: FlowView): FlowView {
  for (const part of ['key', 'mask', 'actions'] as const) flow[part]
  return flow
}

const ENODEV = 19
const EINVAL = 22
