import type { FlowView } from '../../../types/backend.js'
import type { Choice } from '../../../types/policy.js'
import { DpifError } from '../../errors.js'
import { inputFailure } from '../../ovs/view.js'
import type { FlowerBody } from '../../tc/flower.js'
import { formatFilter } from '../../tc/text/filter.js'
import type { Identities } from './identity.js'
import { bodyOf, translateFilter } from './message.js'
import type { Ports } from './ports.js'

/** A flow that TC can carry in the words of `tc`: where it is, or where it would be put. Throws what stands against it. */
export function describeFilter(flow: FlowView, choice: Choice, ports: Ports, identities: Identities): string {
  const translated = translateFilter(flow, choice, ports)
  if ('error' in translated) throw DpifError.from(translated.error)
  const { ifindex, protocol, chain } = translated
  let body: FlowerBody
  try {
    body = bodyOf(translated)
  } catch (cause) {
    // A value that does not fit its field is found when it is written.
    return `# ${inputFailure(cause).message}`
  }
  const prio = identities.prioOf(ifindex, protocol)
  const place = identities.get(flow) ?? { ifindex, protocol, chain, ...(prio === undefined ? {} : { prio }) }
  return formatFilter(place, body, (index) => ports.byIfindex(index)?.name)
}
