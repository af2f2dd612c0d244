import type { BackendOp } from '../../types/backend.js'
import type { FlowId } from '../../types/flow.js'

/** Which flow an op is about. */
export const idOf = (op: BackendOp): FlowId => ('flow' in op ? op.flow : op.id)

/** What the user asked for, as failures tell it. */
export const verbOf = ({ verb }: BackendOp): string => (verb === 'create' ? 'put' : verb)
