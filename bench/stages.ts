import {
  type DeviceFacts,
  type Dpif,
  type Facts,
  type FlowHistory,
  kernelOnly,
  type Op,
  openDpif,
  type Outcome,
  type Policy,
  type Port,
  tcOnly,
} from '../lib/index.js'
import { drive } from './drive.js'
import { best } from './measure.js'
import { NullKernel, nullPorts } from './null-kernel.js'
import type { Options, Spelling } from './options.js'
import { type Ends, generate, profileNamed } from './profiles.js'
import type { Stage } from './result.js'
import { policyFor } from './setup.js'
import { type Spec, specs } from './spelling.js'

// Where the time goes, told from outside. The library is run on a kernel that says yes at once, with less and less to do;
// what the difference costs is what the part costs. No clock runs inside the library, so nothing is slowed down by looking.

const AT_MOST = 20_000
const ends: Ends = { inPorts: [1], outPort: 2 }

/** What a put costs, part by part; `ours` is what it took on the real kernel. */
export async function putStages(options: Options, ours: number): Promise<Stage[]> {
  const { backend, spelling } = options
  const target = backend === 'tc' ? 'tc' : 'ovs'
  const bare = await putOnNullKernel(options, 'raw', 'ovs')
  const typed = await putOnNullKernel(options, 'typed', target)
  const own = spelling === 'typed' ? typed : await putOnNullKernel(options, spelling, target)
  const policy = await placeCost(options)
  const clean = spelling === 'raw' && target === 'ovs'
  const encode = clean ? 0 : Math.max(0, typed - bare)
  const read = clean ? 0 : Math.max(0, own - typed)
  const stages: Stage[] = [
    { name: 'policy', ns: policy, how: 'place(), called in a loop' },
    {
      name: 'bookkeeping',
      ns: Math.max(0, (clean ? own : bare) - policy),
      how: 'a put of raw attributes to openvswitch on the null kernel, less the policy: reading ops, plans, results',
    },
  ]
  if (spelling !== 'typed')
    stages.push({ name: `read ${spelling}`, ns: read, how: `${spelling} less typed, on the null kernel` })
  stages.push(
    target === 'tc'
      ? {
          name: 'translate and encode',
          ns: encode,
          how: 'typed to TC less raw to openvswitch, on the null kernel',
        }
      : { name: 'encode', ns: encode, how: 'typed less raw, to openvswitch on the null kernel' },
  )
  return [...stages, waiting(ours, stages)]
}

/** For what is not a put: the library as a whole, and the rest. */
export async function opStages(options: Options, ours: number, toOp: (flow: Spec) => Op): Promise<Stage[]> {
  const count = Math.min(options.flows, AT_MOST)
  const flows = await specs(options, { from: 0, to: count }, ends)
  let dpif: Dpif | undefined
  const ns = await best(
    count,
    async () => {
      await drive(
        dpif as Dpif,
        count,
        async (from, to) => flows.slice(from, to).map(toOp),
        options,
        new Map(),
      )
    },
    async () => {
      dpif = await openNull(policyFor(options))
      const make = async (from: number, to: number) =>
        flows.slice(from, to).map((flow): Op => ({ op: 'put', ...flow }))
      await drive(dpif, count, make, options, new Map())
    },
  )
  const stages = [{ name: 'library', ns, how: 'the same ops on the null kernel' }]
  return [...stages, waiting(ours, stages)]
}

function waiting(ours: number, stages: readonly Stage[]): Stage {
  const known = stages.reduce((sum, { ns }) => sum + ns, 0)
  return {
    name: 'kernel',
    ns: Math.max(0, ours - known),
    how: 'what is left of the real turns: the kernel, system calls, the way to and from the thread',
  }
}

/** Nanoseconds of one put on the null kernel. */
export async function putOnNullKernel(
  options: Pick<Options, 'flows' | 'profile' | 'masks' | 'shared' | 'batch' | 'skip'>,
  spelling: Spelling,
  backend: 'ovs' | 'tc',
  policy: Policy = backend === 'tc' ? tcOnly() : kernelOnly(),
): Promise<number> {
  const count = Math.min(options.flows, AT_MOST)
  const flows = await specs({ ...options, spelling }, { from: 0, to: count }, ends)
  const batches: Op[][] = []
  for (let at = 0; at < count; at += options.batch) {
    batches.push(flows.slice(at, at + options.batch).map((flow) => ({ op: 'put', ...flow })))
  }
  let dpif: Dpif | undefined
  return best(
    count,
    async () => {
      for (const batch of batches) {
        for (const { error } of await (dpif as Dpif).operate(batch)) {
          if (error !== undefined) throw new Error(`a put on the null kernel failed: ${error.message}`)
        }
      }
    },
    async () => {
      dpif = await openNull(policy)
    },
  )
}

async function openNull(policy: Policy): Promise<Dpif> {
  const dpif = await openDpif({ datapath: nullPorts[0], policy, transport: new NullKernel() })
  await prime(dpif)
  return dpif
}

/** What the first call has to find out is found out. */
export async function prime(dpif: Dpif): Promise<void> {
  await dpif.get({ ufid: '00000000-0000-0000-0000-000000000000' })
}

/**
 * What a policy is asked: about a flow that is new (`new`) or lives in openvswitch and was measured (`again`), or about a new one with
 * all that it hears until the flow is gone (`life`).
 */
export type Asked = 'new' | 'again' | 'life'

/** Nanoseconds of one `place()`, in a life with the hooks. */
export async function placeCost(
  options: Pick<Options, 'flows' | 'profile' | 'masks' | 'shared' | 'backend' | 'skip'>,
  policy: Policy = policyFor(options),
  asked: Asked = 'new',
): Promise<number> {
  const count = Math.min(options.flows, AT_MOST)
  const puts = generate(profileNamed(options.profile), { from: 0, to: count }, ends, options).map((flow) => ({
    mode: asked === 'again' ? ('upsert' as const) : ('create' as const),
    ...flow,
  }))
  const outcomes = puts.map(({ ufid }): Outcome => ({ ufid, cause: 'put', backend: 'tc', declined: [] }))
  const facts = factsOfTwoPorts()
  let choices = 0
  const ns = await best(count * ROUNDS, () => {
    for (let round = 0; round < ROUNDS; round++) {
      for (let index = 0; index < count; index++) {
        const put = puts[index] as (typeof puts)[number]
        choices += policy.place(put, facts).choices.length
        if (asked !== 'life') continue
        policy.placed?.(put, outcomes[index] as Outcome, facts)
        policy.removed?.(put.ufid, 'tc', 'del')
      }
    }
  })
  // Looked at, so that the loop cannot be optimised away.
  if (choices === 0) throw new Error('the policy chose nothing')
  return ns
}

/** Ports of one e-switch with room, and flows that are in openvswitch and fast. */
function factsOfTwoPorts(): Facts {
  const switchId = 'a1b2c3d4e5f6'
  const ports = nullPorts.map(
    (name, number): Port => ({ number, name, type: 'netdev', ifindex: number + 7, switchId }),
  )
  const device: DeviceFacts = { switchId, flows: 1000 }
  const history: FlowHistory = { backend: 'ovs', packetsPerSecond: 5000, bytesPerSecond: 5e6, since: 0 }
  return {
    port: (number) => ports[number],
    location: () => 'ovs',
    device: () => device,
    history: () => history,
    refusals: () => [],
    now: () => performance.now(),
  }
}

const ROUNDS = 20
