import type { Backend } from '../../types/backend.js'
import type {
  FlowTrace,
  KernelTracer,
  Language,
  Surveyor,
  TraceOptions,
  TraceStep,
} from '../../types/dpif.js'
import type { BackendName, Flow, FlowSpec, Op, OpResult } from '../../types/op.js'
import { DpifError } from '../errors.js'
import { portsOf } from './explain.js'
import { decide, type PlanContext } from './plan.js'

/** What a trace is made with. */
export interface TraceParts {
  readonly context: PlanContext
  readonly backends: ReadonlyMap<BackendName, Backend>
  readonly language: Pick<Language, 'view'>
  readonly surveyor: Surveyor
  /** Left out where there is no kernel to watch. */
  readonly tracer?: KernelTracer
  /** Carries out one op. */
  readonly operate: (op: Op) => Promise<OpResult>
}

/** The functions of the kernel that our requests end up in. */
const roots = ['tc_new_tfilter', 'tc_modify_qdisc', 'tc_ctl_chain', 'ovs_flow_cmd_new']

/** Puts a flow, and tells what that ran through. */
export async function traceFlow(
  { context, backends, language, surveyor, tracer, operate }: TraceParts,
  spec: FlowSpec,
  { keep = false }: TraceOptions,
): Promise<FlowTrace> {
  const steps: TraceStep[] = []
  const timed = <T>(name: string, work: () => T): T => {
    const start = process.hrtime.bigint()
    const value = work()
    steps.push({ name, microseconds: microsecondsSince(start) })
    return value
  }
  const flow = timed('read: viewOf()', () => language.view(spec, 'create'))
  for (const backend of backends.values()) await backend.learn?.(flow)
  const placement = timed('policy: place()', () => decide(context, flow))
  if ('error' in placement) throw DpifError.from(placement.error)
  for (const choice of placement.choices) {
    const backend = backends.get(choice.backend) as Backend
    if (backend.objections(flow, choice).length > 0) continue
    for (const { name, nanoseconds } of backend.rehearse?.(flow, choice) ?? [])
      steps.push({ name, backend: choice.backend, microseconds: nanoseconds / 1000 })
  }
  const put = async () => {
    const start = process.hrtime.bigint()
    const result = await operate({ op: 'put', ...spec, mode: 'create' })
    steps.push({
      name: 'send: all of operate(), to the kernel and back',
      microseconds: microsecondsSince(start),
    })
    return result
  }
  const names = portsOf(flow).flatMap((number) => context.facts.port(number)?.name ?? [])
  const { devices } = await surveyor.survey(names)
  const {
    value: result,
    calls,
    untraced,
  } = tracer === undefined ? { value: await put(), ...unseen } : await tracer.during({ roots, devices }, put)
  const living = result.error === undefined ? await look(operate, result, keep) : undefined
  return {
    result,
    policy: context.policy.name,
    placement,
    steps,
    kernel: calls,
    ...(untraced === undefined ? {} : { untraced }),
    ...(living === undefined ? {} : { flow: living }),
  }
}

/** The flow as it lives; it goes after that, unless it is kept. */
async function look(
  operate: TraceParts['operate'],
  { ufid }: OpResult,
  keep: boolean,
): Promise<Flow | undefined> {
  try {
    return (await operate({ op: 'get', ufid })).flow
  } finally {
    const { error } = keep ? { error: undefined } : await operate({ op: 'del', ufid })
    if (error !== undefined && error.code !== 'NOT_FOUND') throw DpifError.from(error)
  }
}

function microsecondsSince(start: bigint): number {
  return Number(process.hrtime.bigint() - start) / 1000
}

const unseen = { calls: [], untraced: 'the kernel of this transport is not that of this machine' }
