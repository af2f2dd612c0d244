import type { Transport } from '../../types/transport.js'
import { auditCases } from './conformance/audit.js'
import { batchCases } from './conformance/batch.js'
import { chainCases } from './conformance/chains.js'
import { conntrackCases } from './conformance/conntrack.js'
import { datapathCases } from './conformance/datapath.js'
import { type Case, Lab } from './conformance/lab.js'
import { dumpCases } from './conformance/dump.js'
import { foreignCases } from './conformance/foreign.js'
import { identityCases } from './conformance/identity.js'
import { lifetimeCases } from './conformance/lifetime.js'
import { moveCases } from './conformance/move.js'
import { placementCases } from './conformance/placement.js'
import { policyCases } from './conformance/policy.js'
import { portCases } from './conformance/ports.js'
import { putCases } from './conformance/put.js'
import { sampleCases } from './conformance/samples.js'
import { statsCases } from './conformance/stats.js'
import { sweepCases } from './conformance/sweep.js'
import { executeCases } from './conformance/execute.js'
import { tunnelCases } from './conformance/tunnels.js'
import { upcallCases } from './conformance/upcalls.js'

/**
 * What every kernel behind a {@link Transport} has to do in the same way, real or simulated, as many small named cases.
 *
 * A case gets a datapath of its own, uses it as any user would, and throws when something is not as promised. Most cases are there
 * once for each backend, since a flow is to behave alike wherever it lives. The cases are grouped by question, one file each in
 * `conformance/`; `lab.ts` there is what they stand on.
 *
 * Nothing here knows a test runner:
 *
 * ```ts
 * for (const { name, run } of conformance({ fresh })) t.test(name, run)
 * ```
 */
export function conformance(setup: ConformanceSetup): readonly ConformanceCase[] {
  return groups.flat().map(({ name, run }) => ({
    name,
    run: async () => {
      const lab = new Lab(await setup.fresh())
      try {
        await run(lab)
      } finally {
        await lab.dispose()
      }
    },
  }))
}

/** How cases come by a kernel. */
export interface ConformanceSetup {
  /** A datapath without flows, for one case. */
  fresh(): Promise<ConformanceKernel>
}

/** A datapath to try things on. */
export interface ConformanceKernel {
  readonly transport: Transport
  /** Name of the datapath. */
  readonly datapath: string
  /** At least three, all of type netdev, with nothing hanging on them. */
  readonly ports: readonly { readonly number: number; readonly name: string }[]
  /** Makes `frame` arrive on a port, `count` times. Counters may follow a moment later. */
  send(port: number, frame: Uint8Array, count: number): Promise<void>
  /** Removes everything, whatever a case has left behind. */
  dispose(): Promise<void>
}

/** One thing a kernel has to do. */
export interface ConformanceCase {
  /** A sentence. */
  readonly name: string
  /** Rejects with an AssertionError when it does not. */
  run(): Promise<void>
}

const groups: readonly (readonly Case[])[] = [
  datapathCases,
  putCases,
  statsCases,
  sampleCases,
  identityCases,
  batchCases,
  dumpCases,
  sweepCases,
  moveCases,
  placementCases,
  chainCases,
  policyCases,
  foreignCases,
  lifetimeCases,
  auditCases,
  tunnelCases,
  executeCases,
  upcallCases,
  portCases,
  conntrackCases,
]
