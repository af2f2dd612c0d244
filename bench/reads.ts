import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Dpif } from '../lib/index.js'
import { Baseline, compiled } from './baseline.js'
import { isInstalled } from './beside.js'
import { drive, type Errors } from './drive.js'
import { environment } from './environment.js'
import { calm, settleHeap, ratios, summarize, warmUps } from './measure.js'
import type { Options, Question } from './options.js'
import type { Progress } from './progress.js'
import { type Beside, type Result, SCHEMA, type Stage } from './result.js'
import { checkLanes, nativeSetup, type Setup, system } from './setup.js'
import { specs } from './spelling.js'
import { prime } from './stages.js'

// A dump and a sweep are measured alike: a full table is read again and again, in turns with a C program that asks the
// kernel for the same and only receives.

/** A way of reading the whole table. */
export interface Read {
  readonly question: Extract<Question, 'dump' | 'sweep'>
  readonly what: string
  /** Reads every flow, and answers how many there were. */
  read(dpif: Dpif): Promise<number>
  /** The program people use for it. */
  readonly beside?: readonly [program: string, ...args: string[]]
}

export async function measureReads(read: Read, options: Options, progress: Progress): Promise<Result> {
  checkLanes(options)
  if (options.limit) compiled('receive')
  const setup = await nativeSetup(options)
  const stop = () => void setup.close().then(() => process.exit(130))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    return await measure(read, options, setup, progress)
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    await setup.close()
    progress.end()
  }
}

async function measure(read: Read, options: Options, setup: Setup, progress: Progress): Promise<Result> {
  const { flows, repeat } = options
  const errors: Errors = new Map()
  progress.step('filling the table')
  await setup.empty()
  const dpif = await setup.open()
  await prime(dpif)
  const make = async (from: number, to: number) =>
    (await specs(options, { from, to }, setup.ends)).map((flow) => ({ op: 'put', ...flow }) as const)
  await drive(dpif, flows, make, options, errors)
  await calm()

  progress.step('warming up')
  let found = 0
  const requests = await setup.transport.dumpsDuring(async () => {
    found = await read.read(dpif)
  })
  for (let turn = 1; turn < warmUps(flows); turn++) await read.read(dpif)
  // The ports and their devices are listed before every dump; the flows are what it is about.
  const args = requests
    .filter(({ protocol, request }) =>
      protocol === 'route' ? !isLinkList(request) : !isPortList(requests, request),
    )
    .flatMap(({ protocol, request }, index) => {
      const file = path.join(setup.folder, `dump${index}.bin`)
      writeFileSync(file, request)
      return [protocol, file]
    })
  const notes = found === flows ? [] : [`${found} of ${flows} flows were read`]
  const ours: { readonly ns: number; readonly user: number; readonly system: number }[] = []
  const limits: number[] = []
  const program = options.limit ? new Baseline('receive', args) : undefined
  try {
    for (let turn = 0; turn < repeat; turn++) {
      progress.step(`turn ${turn + 1} of ${repeat}`)
      settleHeap()
      await calm()
      const cpu = process.cpuUsage()
      const start = performance.now()
      await read.read(dpif)
      const ns = (performance.now() - start) * 1e6
      ours.push({ ns: ns / found, ...process.cpuUsage(cpu) })
      if (program !== undefined) {
        if (turn === 0) await program.turn()
        // The collector's threads clean up after us, and that is not the program's to pay for.
        await calm()
        const result = await program.turn()
        limits.push(result.ns / found)
        if (turn === 0 && result.messages < found)
          notes.push(`the C program received ${result.messages} messages for ${found} flows`)
      }
    }
  } finally {
    program?.end()
  }
  const mine = summarize(ours.map(({ ns }) => ns))
  progress.step('others beside us')
  const beside = await besides(read, options, setup, found, mine.median, notes)
  const offloaded = await countOffloaded(dpif)
  const limit = limits.length === 0 ? undefined : summarize(limits)
  const cpu = (pick: (turn: (typeof ours)[number]) => number) => summarize(ours.map(pick)).median / 1e6
  return {
    schema: SCHEMA,
    question: read.question,
    when: new Date().toISOString(),
    command: ['bench', ...process.argv.slice(2)].join(' '),
    options,
    environment: await environment(options.port, setup.transport),
    ours: mine,
    rate: summarize(mine.turns.map((ns) => 1e9 / ns)),
    ...(limit === undefined
      ? {}
      : {
          limit: {
            what: 'the same dumps from C, received and thrown away',
            ns: limit,
            ratio: ratios(limits, mine.turns),
          },
        }),
    beside,
    stages: limit === undefined ? [] : stagesOf(mine.median, limit.median),
    cpu: { userSeconds: cpu(({ user }) => user), kernelSeconds: cpu(({ system }) => system) },
    memory: { peakBytes: process.resourceUsage().maxRSS * 1024 },
    inHw: offloaded / found,
    errors: [...errors].map(([reason, count]) => ({ reason, count })),
    notes: [`a turn ${read.what}`, ...notes],
  }
}

function stagesOf(ours: number, limit: number): Stage[] {
  return [
    { name: 'library', ns: Math.max(0, ours - limit), how: 'ours less the C program that only receives' },
    { name: 'kernel', ns: Math.min(ours, limit), how: 'the C program that only receives' },
  ]
}

/** Dumps of ports carry the number of another family than those of flows, which come last. */
function isPortList(
  requests: readonly { readonly protocol: string; readonly request: Uint8Array }[],
  request: Uint8Array,
): boolean {
  const last = requests.findLast(({ protocol }) => protocol === 'generic')
  return last === undefined || typeOf(last.request) !== typeOf(request)
}

/** RTM_GETLINK. */
const isLinkList = (request: Uint8Array): boolean => typeOf(request) === 18

const typeOf = (request: Uint8Array): number => (request[4] ?? 0) + 256 * (request[5] ?? 0)

async function countOffloaded(dpif: Dpif): Promise<number> {
  let count = 0
  for await (const _ of dpif.dump({ terse: true, types: ['offloaded'] })) count++
  return count
}

async function besides(
  read: Read,
  { repeat, beside }: Options,
  { datapath }: Setup,
  flows: number,
  ours: number,
  notes: string[],
): Promise<Beside[]> {
  if (read.beside === undefined || beside === 0) return []
  const [program, ...args] = read.beside
  const name = `${program} ${args.join(' ')}`
  if (!isInstalled(program)) {
    notes.push(`${program} is not installed here`)
    return []
  }
  try {
    const turns: number[] = []
    for (let turn = 0; turn < Math.min(3, repeat); turn++) {
      const start = performance.now()
      await system(program, [...args, datapath], { maxBuffer: 1 << 30 })
      turns.push(((performance.now() - start) * 1e6) / flows)
    }
    const ns = summarize(turns)
    return [{ name, flows, ns, faster: ns.median / ours }]
  } catch (error) {
    notes.push(`${name} could not take part: ${String(error).split('\n')[0]}`)
    return []
  }
}
