import {
  type Dpif,
  formatFlow,
  formatKey,
  kernelOnly,
  openDpif,
  parseActions,
  parseKey,
  tcOnly,
} from '../lib/index.js'
import { environment } from './environment.js'
import { best } from './measure.js'
import { NullKernel, nullPorts } from './null-kernel.js'
import type { Options } from './options.js'
import { type Ends, generate, profileNamed } from './profiles.js'
import type { Progress } from './progress.js'
import { type Result, SCHEMA } from './result.js'
import { putOnNullKernel } from './stages.js'
import { significant } from './table.js'

const AT_MOST = 20_000
const ends: Ends = { inPorts: [1], outPort: 2 }

/** What do the bytes and the text of a flow cost, each way? No kernel takes part. */
export async function codec(options: Options, progress: Progress): Promise<Result> {
  const count = Math.min(options.flows, AT_MOST)
  const flows = generate(profileNamed(options.profile), { from: 0, to: count }, ends, options)
  const rows: (string | number)[][] = []
  const add = (name: string, ns: number, bytes?: number) =>
    rows.push([name, significant(ns), significant(1e3 / ns), bytes === undefined ? '' : Math.round(bytes)])

  progress.step('encoding')
  const raw = await putOnNullKernel(options, 'raw', 'ovs')
  add('put of raw attributes to openvswitch', raw)
  add('put of typed objects to openvswitch', await putOnNullKernel(options, 'typed', 'ovs'))
  add('put of text to openvswitch', await putOnNullKernel(options, 'text', 'ovs'))
  add('put of typed objects to TC', await putOnNullKernel(options, 'typed', 'tc'))

  for (const [name, policy, protocol] of [
    ['openvswitch', kernelOnly(), 'generic'],
    ['TC', tcOnly(), 'route'],
  ] as const) {
    progress.step(`decoding from ${name}`)
    const kernel = new NullKernel({ keep: true })
    const dpif = await openDpif({ datapath: nullPorts[0], policy, transport: kernel })
    for (let at = 0; at < count; at += options.batch) {
      await dpif.operate(flows.slice(at, at + options.batch).map((flow) => ({ op: 'put', ...flow })))
    }
    kernel.freeze()
    const size = kernel.kept(protocol).reduce((sum, page) => sum + page.length, 0) / count
    add(`terse dump from ${name}`, await best(count, () => readCounters(dpif)), size)
    add(`dump from ${name}, decoded`, await best(count, () => readAll(dpif)), size)
    add(`dump from ${name}, as text`, await best(count, () => readText(dpif)), size)
    await dpif.close()
  }

  progress.step('text')
  const keys = flows.map(({ key, mask }) => formatKey(key, mask))
  const length = keys.reduce((sum, text) => sum + text.length, 0) / count
  let seen = 0
  const parse = () => {
    for (const text of keys) seen += parseKey(text).key.inPort ?? 0
  }
  const format = () => {
    for (const { key, mask } of flows) seen += formatKey(key, mask).length
  }
  add('parse a key', await best(count, parse), length)
  add('format a key', await best(count, format), length)
  add(
    'parse actions',
    await best(count, () => {
      for (let turn = 0; turn < count; turn++)
        seen += parseActions('set(eth(src=02:aa:00:00:00:01)),2').length
    }),
  )
  if (seen === 0) throw new Error('nothing was looked at')
  progress.end()
  return {
    schema: SCHEMA,
    question: 'codec',
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
        title: `${profileNamed(options.profile).title}; ${count} flows`,
        head: ['what', 'ns a flow', 'millions a second', 'bytes'],
        rows,
      },
    ],
    notes: [
      'on a kernel that says yes at once and dumps what it was given',
      'the best of several turns each, half a second at least',
    ],
  }
}

export const codecSteps = 4

async function readCounters(dpif: Dpif): Promise<void> {
  let seen = 0
  for await (const { ufid, stats } of dpif.dump({ terse: true })) seen += ufid.length + stats.used
  check(seen)
}

async function readAll(dpif: Dpif): Promise<void> {
  let seen = 0
  for await (const { key, mask, actions, stats } of dpif.dump()) {
    seen += actions.length + stats.used + (key.inPort ?? 0) + (mask.inPort ?? 0)
  }
  check(seen)
}

async function readText(dpif: Dpif): Promise<void> {
  let seen = 0
  for await (const flow of dpif.dump()) seen += formatFlow(flow, { now: 0, verbose: true }).length
  check(seen)
}

/** Looked at, so that no loop can be optimised away. */
function check(seen: number): void {
  if (seen === 0) throw new Error('the null kernel dumped nothing')
}
