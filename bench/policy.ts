import { byPort, kernelOnly, type Placement, type Policy, preferTc, tcOnly } from '../lib/index.js'
import { environment } from './environment.js'
import type { Options } from './options.js'
import type { Progress } from './progress.js'
import { type Result, SCHEMA } from './result.js'
import { placeCost, putOnNullKernel } from './stages.js'
import { significant } from './table.js'

/** What does a policy cost: asked in a loop, and as a part of a put? No kernel takes part. */
export async function policy(options: Options, progress: Progress): Promise<Result> {
  const rows: (string | number)[][] = []
  const bare = await putOnNullKernel(options, options.spelling, 'ovs')
  for (const each of candidates) {
    progress.step(each.name)
    const place = await placeCost(options, each)
    const put = await putOnNullKernel(options, options.spelling, 'ovs', each)
    rows.push([each.name, significant(place), significant(put), significant(put - bare)])
  }
  progress.end()
  return {
    schema: SCHEMA,
    question: 'policy',
    when: new Date().toISOString(),
    command: ['bench', ...process.argv.slice(2)].join(' '),
    options,
    environment: await environment(),
    beside: [],
    stages: [],
    memory: { peakBytes: process.resourceUsage().maxRSS * 1024 },
    errors: [],
    tables: [
      {
        title: 'Nanoseconds',
        head: ['policy', 'place()', 'put', 'more than kernel-only'],
        rows,
      },
    ],
    notes: [
      'a put on a kernel that says yes at once; policies that choose TC also pay for the translation there',
      'the best of several turns each, half a second at least',
    ],
  }
}

const inKernel: Placement = { choices: [{ backend: 'ovs' }], reason: 'DNS stays in the kernel' }
const inTc: Placement = { choices: [{ backend: 'tc' }], reason: 'the rest goes to TC' }

/** The ones that come with the library, and one as a user would write it. */
const candidates: readonly Policy[] = [
  kernelOnly(),
  tcOnly(),
  preferTc(),
  byPort({ 1: kernelOnly(), 2: tcOnly() }),
  { name: 'by UDP port', place: ({ key }) => (key.udp?.dst === 53 ? inKernel : inTc) },
]

export const policySteps = candidates.length
