import { openDpif } from '../lib/index.js'
import { drive, type Errors } from './drive.js'
import { environment } from './environment.js'
import { memoryInUse } from './measure.js'
import { NullKernel, nullPorts } from './null-kernel.js'
import type { Options } from './options.js'
import type { Progress } from './progress.js'
import { type Result, SCHEMA } from './result.js'
import { policyFor } from './setup.js'
import { specs } from './spelling.js'
import { prime } from './stages.js'
import { formatCount, significant } from './table.js'

const PARTS = 10

/**
 * What does the library remember of the flows it has put? They are made, put and forgotten by us, so what stays is the
 * library's. The kernel is one that says yes at once; what a real one keeps is its own affair.
 */
export async function memory(options: Options, progress: Progress): Promise<Result> {
  const { flows } = options
  const errors: Errors = new Map()
  const dpif = await openDpif({
    datapath: nullPorts[0],
    policy: policyFor(options),
    transport: new NullKernel(),
  })
  await prime(dpif)
  const make = (base: number) => async (from: number, to: number) =>
    (await specs(options, { from: base + from, to: base + to }, { inPorts: [1], outPort: 2 })).map(
      (flow) => ({ op: 'put', ...flow }) as const,
    )
  // Code is compiled and tables are warm before the first look.
  const first = Math.min(1000, flows)
  await drive(dpif, first, make(0), options, errors)
  const before = memoryInUse()
  const rows: (string | number)[][] = []
  let bytes = 0
  for (let part = 0; part < PARTS; part++) {
    progress.step(`${formatCount(((part + 1) * flows) / PARTS)} flows`)
    const from = first + Math.round((part * (flows - first)) / PARTS)
    const to = first + Math.round(((part + 1) * (flows - first)) / PARTS)
    await drive(dpif, to - from, make(from), options, errors)
    const now = memoryInUse()
    const [heap, external] = [now.heap - before.heap, now.external - before.external]
    bytes = (heap + external) / (to - first)
    rows.push([formatCount(to), formatCount(heap), formatCount(external), significant(bytes)])
  }
  progress.end()
  await dpif.close()
  return {
    schema: SCHEMA,
    question: 'memory',
    when: new Date().toISOString(),
    command: ['bench', ...process.argv.slice(2)].join(' '),
    options,
    environment: await environment(),
    beside: [],
    stages: [],
    memory: { peakBytes: process.resourceUsage().maxRSS * 1024 },
    bytesPerFlow: bytes,
    errors: [...errors].map(([reason, count]) => ({ reason, count })),
    tables: [
      {
        title: `Bytes that stay, ${options.backend}`,
        head: ['flows', 'heap', 'external', 'bytes a flow'],
        rows,
      },
    ],
    notes: [
      'after a garbage collection; the flows themselves, strings of their ufids apart, are not held by anybody',
    ],
  }
}

export const memorySteps = PARTS
