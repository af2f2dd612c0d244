import type { Backend, FlowView } from '../../types/backend.js'
import type { Executor, Language } from '../../types/dpif.js'
import type { BackendName } from '../../types/op.js'
import type { PlanContext } from './plan.js'

/** What ops are carried out with. */
export interface Engine {
  readonly context: PlanContext
  readonly backends: ReadonlyMap<BackendName, Backend>
  readonly executor: Executor
  readonly language: Pick<Language, 'view' | 'identify' | 'failure'>
  /** Whether a flow has to do with a port nobody has heard of: somebody else may have added it. */
  namesUnknownPort(flow: FlowView): boolean
  learnPorts(): Promise<unknown>
}
