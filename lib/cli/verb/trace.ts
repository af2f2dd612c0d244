import { type FlowTrace, formatUfid, type TraceCall } from '../../index.js'
import { placementLines, portNumbers, putOp, readFlow, withDatapath } from '../flows.js'
import { flowJson, resultJson, shapes, toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const trace: Verb = {
  name: 'trace',
  usage: '[DP] FLOW ACTIONS',
  summary:
    'put FLOW and print what that ran through, ours and the kernel’s, with the time spent; then delete it again',
  details:
    "The kernel's functions take root, tracefs and CONFIG_FUNCTION_GRAPH_TRACER; where they cannot be had, the last line but some says why, and " +
    'what the kernel answered is printed all the same. What is changed in tracefs is put back. Functions of modules are printed, and those that lead to them; ' +
    'with --more all of them. Until it is deleted the flow carries packets as any other; --keep leaves it.',
  options: ['policy', 'keep', 'more', 'json'],
  takes: [2, 3],
  writes: true,
  json: `{ result: RESULT, policy, reason, steps: [{ name, backend?, microseconds }, …], kernel: [CALL, …], untraced?, flow?: FLOW, kept },
  CALL: { name, module?, microseconds?, calls: [CALL, …] }, RESULT: ${shapes.result}`,
  run: (call) =>
    withDatapath(call, async (dpif, [flow = '', actions = '']) => {
      const { options, out, fail } = call
      const ports = await portNumbers(dpif)
      const mode = { mode: 'create', zeroStats: false, stats: false } as const
      const { keep } = options
      const traced = await dpif.trace(putOp(readFlow(flow, ports), actions, ports, mode), { keep })
      const kernel = options.more ? traced.kernel : pruned(traced.kernel)
      if (options.json) await out.line(toJson(documentOf({ ...traced, kernel }, keep, call.now())))
      else for (const line of linesOf({ ...traced, kernel }, keep)) await out.line(line)
      if (traced.result.error !== undefined) fail(traced.result.error.message)
    }),
}

function documentOf(traced: FlowTrace, keep: boolean, now: number): object {
  const { result, policy, placement, steps, kernel, untraced, flow } = traced
  return {
    result: resultJson(result, now),
    ...{ policy, reason: placement.reason, steps, kernel },
    ...(untraced === undefined ? {} : { untraced }),
    ...(flow === undefined ? {} : { flow: flowJson(flow, now) }),
    kept: keep && flow !== undefined,
  }
}

function* linesOf(traced: FlowTrace, keep: boolean): Generator<string> {
  const { result, policy, placement, steps, kernel, untraced, flow } = traced
  yield formatUfid(result.ufid)
  yield `policy ${policy}: ${placement.reason}`
  for (const { name, backend, microseconds } of steps)
    yield line(microseconds, 0, backend === undefined ? name : `${backend} ${name}`)
  for (const call of kernel) yield* callLines(call, 0)
  if (untraced !== undefined) yield `the kernel was not watched: ${untraced}`
  yield* placementLines(result)
  if (flow !== undefined) {
    if (flow.backend === 'tc') yield flow.offloaded ? 'in hardware (in_hw)' : 'not in hardware (not_in_hw)'
    yield keep ? 'kept' : 'deleted again'
  }
}

function* callLines({ name, module, microseconds, calls }: TraceCall, depth: number): Generator<string> {
  yield line(microseconds, depth, `${name}()${module === undefined ? '' : ` [${module}]`}`)
  for (const call of calls) yield* callLines(call, depth + 1)
}

const line = (microseconds: number | undefined, depth: number, text: string): string =>
  `${(microseconds?.toFixed(1) ?? '').padStart(10)} us  ${'  '.repeat(depth)}${text}`

/** What is in a module or leads there. A kernel with everything built in tells of no modules: then what people look for. */
function pruned(calls: readonly TraceCall[]): TraceCall[] {
  const some = kept(calls, ({ module }) => module !== undefined)
  return some.length > 0 ? some : kept(calls, ({ name }) => milestones.test(name))
}

function kept(calls: readonly TraceCall[], fits: (call: TraceCall) => boolean): TraceCall[] {
  return calls.flatMap((call) => {
    const inner = kept(call.calls, fits)
    return inner.length > 0 || fits(call) ? [{ ...call, calls: inner }] : []
  })
}

const milestones = /^(tc_|tcf_|fl_|ovs_|flow_|.*_setup_(tc|block|ft)_?.*cb|ingress_|mirred_)/
