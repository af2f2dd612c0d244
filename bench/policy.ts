import {
  abstain,
  allOf,
  byPort,
  capacity,
  denyComplex,
  elephants,
  firstOf,
  kernelOnly,
  match,
  type Placement,
  type Policy,
  preferTc,
  rules,
  sameSwitch,
  tcOnly,
  tenants,
  when,
} from '../lib/index.js'
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
    const again = await placeCost(options, each, 'again')
    const life = await placeCost(options, each, 'life')
    const put = await putOnNullKernel(options, options.spelling, 'ovs', each)
    rows.push([each.name, ...[place, again, life, put, put - bare].map(significant)])
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
        head: ['policy', 'place()', 'asked again', 'place() and hooks', 'put', 'more than kernel-only'],
        rows,
      },
    ],
    notes: [
      'a put on a kernel that says yes at once; policies that choose TC also pay for the translation there',
      'asked again: about a flow of openvswitch that was measured; hooks: placed() and removed() as well',
      'the best of several turns each, half a second at least',
    ],
  }
}

const inKernel: Placement = { choices: [{ backend: 'ovs' }], reason: 'DNS stays in the kernel' }
const inTc: Placement = { choices: [{ backend: 'tc' }], reason: 'the rest goes to TC' }

/** Ten rules as of a small cloud, of which flows of the benchmark reach the last. */
const document = `
version: 1
tenants:
  blue: { ports: [1, web0, web1], limit: 100000000 }
  green: { ports: [db0, db1] }
rules:
  - match: { tenant: green, protocol: tcp, destinationPort: 5432 }
    backend: tc
  - match: { port: uplink0 }
    backend: [tc, ovs]
  - match: { packets: some, source: 203.0.113.0/24, destinationPort: [80, 443] }
    backend: ovs
  - match: { actions: drop }
    backend: tc
  - match: { actions: [ct, meter, userspace] }
    backend: ovs
  - match: { tunnel: { type: vxlan, id: [7, 8, 9] } }
    backend: tc
  - match: { protocol: icmp }
    backend: ovs
  - match: { etherType: [arp, lldp] }
    backend: ovs
  - match: { source: fd00::/8 }
    backend: ovs
  - match: { tenant: blue, destination: [192.0.2.0/24, 198.51.100.0/24] }
    backend: ovs
default: { backend: [tc, ovs], limit: 100000000 }
`

/** The ones that come with the library, and one as a user would write it. */
const candidates: readonly Policy[] = [
  kernelOnly(),
  tcOnly(),
  preferTc(),
  byPort({ 1: kernelOnly(), 2: tcOnly() }),
  sameSwitch(),
  denyComplex(),
  capacity({ flows: 1_000_000, reserve: 1000 }),
  elephants(),
  tenants({ flows: 1_000_000, borrow: true, tenants: { blue: { ports: [1], share: 0.5 } } }),
  when(match({ protocol: 'udp', destinationPort: 53 }), kernelOnly(), preferTc()),
  firstOf(denyComplex({}, abstain()), sameSwitch({}, abstain()), preferTc()),
  allOf(sameSwitch(), denyComplex(), capacity({ flows: 1_000_000 })),
  rules(document),
  { name: 'by UDP port', place: ({ key }) => (key.udp?.dst === 53 ? inKernel : inTc) },
]

export const policySteps = candidates.length
