import { type FlowSpec, formatActions, formatKey, kernelOnly, openDpif } from '../lib/index.js'
import { NullKernel, nullPorts, rawFlows } from './null-kernel.js'
import type { Options } from './options.js'
import { type BenchFlow, type Ends, generate, profileNamed, type Range } from './profiles.js'

/** A flow in some spelling, named. */
export type Spec = FlowSpec & { readonly ufid: string }

/** Flows `from` up to `to`, in the spelling that was asked for. */
export async function specs(
  options: Pick<Options, 'profile' | 'masks' | 'shared' | 'spelling'>,
  range: Range,
  ends: Ends,
): Promise<readonly Spec[]> {
  const flows = generate(profileNamed(options.profile), range, ends, options)
  if (options.spelling === 'typed') return flows
  return options.spelling === 'raw' ? inBytes(flows) : flows.map(inText)
}

function inText({ ufid, key, mask, actions }: BenchFlow) {
  return { ufid, key: formatKey(key, mask), actions: formatActions(actions) || 'drop' }
}

/** What the library itself writes for openvswitch, caught on a kernel that says yes to everything. */
async function inBytes(flows: readonly BenchFlow[]) {
  const transport = new NullKernel({ keep: true })
  const dpif = await openDpif({ datapath: nullPorts[0], policy: kernelOnly(), transport })
  for (let at = 0; at < flows.length; at += BATCH) {
    const results = await dpif.operate(flows.slice(at, at + BATCH).map((flow) => ({ op: 'put', ...flow })))
    const error = results.find((result) => result.error !== undefined)?.error
    if (error !== undefined) throw new Error(`cannot spell flows in raw attributes: ${error.message}`)
  }
  await dpif.close()
  const raw = transport.kept('generic').flatMap(rawFlows)
  return flows.map(({ ufid }, index) => ({ ufid, ...(raw[index] as (typeof raw)[number]) }))
}

const BATCH = 1024
