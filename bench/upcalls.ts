import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Dpif, Op, Upcall } from '../lib/index.js'
import { environment } from './environment.js'
import { summarize } from './measure.js'
import type { Options } from './options.js'
import type { Progress } from './progress.js'
import { type Result, SCHEMA } from './result.js'
import { nativeSetup, type Setup } from './setup.js'
import { significant } from './table.js'

/** How long the generator sends in one turn. */
const SECONDS = 2

const generator = fileURLToPath(new URL('./generator.js', import.meta.url))

/** What is done with a batch, and the turns of it. */
interface Way {
  readonly name: string
  readonly answer: (dpif: Dpif, upcalls: readonly Upcall[]) => Promise<unknown>
}

const ways: readonly Way[] = [
  {
    name: 'read, key decoded',
    answer: async (_, upcalls) => upcalls.reduce((sum, { key }) => sum + (key.inPort ?? 0), 0),
  },
  { name: 'answered: put + execute', answer: (dpif, upcalls) => dpif.operate(upcalls.flatMap(answerTo)) },
]

function answerTo({ rawKey, packet, hash }: Upcall): Op[] {
  return [
    { op: 'put', key: rawKey, actions: [{ output: 2 }] },
    { op: 'execute', packet, key: rawKey, hash, actions: [{ output: 2 }] },
  ]
}

/** How many packets without a flow get from the kernel to JavaScript, and how many are lost, when more come than can be answered? */
export async function upcalls(options: Options, progress: Progress): Promise<Result> {
  const setup = await nativeSetup(options)
  const stop = () => void setup.close().then(() => process.exit(130))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const rows: (string | number)[][] = []
    const rates: number[] = []
    for (const way of ways) {
      for (let number = 1; number <= options.repeat; number++) {
        progress.step(`${way.name}, turn ${number} of ${options.repeat}`)
        const { heard, lost, seconds, cpu } = await turn(setup, way)
        if (way === ways.at(-1)) rates.push(heard / seconds)
        const cost = (cpu / heard).toFixed(1)
        rows.push([way.name, significant(heard / seconds), significant(lost / seconds), `${cost} µs`])
      }
    }
    return {
      schema: SCHEMA,
      question: 'upcalls',
      when: new Date().toISOString(),
      command: ['bench', ...process.argv.slice(2)].join(' '),
      options,
      environment: await environment(),
      ours: summarize(rates.map((rate) => 1e9 / rate)),
      rate: summarize(rates),
      beside: [],
      stages: [],
      memory: { peakBytes: process.resourceUsage().maxRSS * 1024 },
      errors: [],
      tables: [
        { title: 'Upcalls', head: ['what is done', 'heard a second', 'lost a second', 'CPU each'], rows },
      ],
      notes: [
        `a generator, a process of its own, sends new connections for ${SECONDS} s a turn, as fast as it can; on one CPU it takes its share of it`,
        'CPU is that of our process, the kernel’s work on its account included',
      ],
    }
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    await setup.close()
    progress.end()
  }
}

export const upcallSteps = (repeat: number): number => ways.length * repeat

async function turn(setup: Setup, { answer }: Way) {
  await setup.empty()
  const dpif = await setup.open()
  const stream = dpif.upcalls()
  await stream.start()
  const child = spawn(process.execPath, [generator, `${setup.inDevices[0]}-p`, String(SECONDS)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  await lines.next()
  const [before, cpuBefore, start] = [await dpif.stats(), process.cpuUsage(), performance.now()]
  let heard = 0
  const ended = once(child, 'exit').then(() => stream.return())
  child.stdin.end('\n')
  for await (const { upcalls: batch } of stream) {
    await answer(dpif, batch)
    heard += batch.length
  }
  await ended
  const { user, system } = process.cpuUsage(cpuBefore)
  const lost = Number((await dpif.stats()).lost - before.lost)
  return { heard, lost, seconds: (performance.now() - start) / 1000, cpu: user + system }
}
