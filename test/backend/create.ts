import type { Backend, FlowView, Unmade } from '../../types/backend.js'
import type { Choice } from '../../types/policy.js'

/** Puts new flows, as the pipeline does: each is added, then all are sent. */
export function create(
  backend: Pick<Backend, 'name' | 'newFlows'>,
  flows: readonly FlowView[],
  choice: Choice = { backend: backend.name },
): Promise<readonly Unmade[]> {
  const made = backend.newFlows(choice, flows.length)
  for (const flow of flows) made.add(flow)
  return made.send()
}
