import { readFileSync, writeFileSync } from 'node:fs'
import { compiled, programs } from './baseline.js'
import { codec, codecSteps } from './codec.js'
import { deletion } from './deletion.js'
import { dump } from './dump.js'
import { insertion } from './insertion.js'
import { memory, memorySteps } from './memory.js'
import { modify } from './modify.js'
import { isInside, runInside } from './namespace.js'
import { type Options, parseRequest, type Question, type Request, usage } from './options.js'
import { policy, policySteps } from './policy.js'
import { Progress } from './progress.js'
import { report } from './report.js'
import { type Result, SCHEMA } from './result.js'
import { smoke } from './smoke.js'
import { summary } from './summary.js'
import { sweep } from './sweep.js'
import { upcallSteps, upcalls } from './upcalls.js'
import { UsageError } from './usage-error.js'

// A benchmark of the library against the kernel's own limit: ours and a C program that sends the very same bytes take
// turns, on the same machine, in the same minute. Rates tell of a machine; the ratio of the two tells of the library.
//
// writes.ts and reads.ts are the two ways of measuring, stages.ts says where the time goes, setup.ts makes the place to
// do it in, and each question has a small file of its own.

interface Measurement {
  run(options: Options, progress: Progress): Promise<Result>
  /** Steps of the progress bar. */
  steps(options: Options): number
  /** Whether a kernel takes part. */
  readonly kernel: boolean
}

const measurements: Readonly<Record<Question, Measurement>> = {
  insertion: { run: insertion, steps: ({ repeat }) => repeat + 4, kernel: true },
  deletion: { run: deletion, steps: ({ repeat }) => repeat + 4, kernel: true },
  modify: { run: modify, steps: ({ repeat }) => repeat + 4, kernel: true },
  dump: { run: dump, steps: ({ repeat }) => repeat + 3, kernel: true },
  sweep: { run: sweep, steps: ({ repeat }) => repeat + 3, kernel: true },
  upcalls: { run: upcalls, steps: ({ repeat }) => upcallSteps(repeat), kernel: true },
  policy: { run: policy, steps: () => policySteps, kernel: false },
  codec: { run: codec, steps: () => codecSteps, kernel: false },
  memory: { run: memory, steps: () => memorySteps, kernel: false },
}

/** Exit codes: 0 done, 1 it could not be measured or is too slow, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  const request = parseRequest(args)
  if (needsNamespace(request) && !isInside()) return runInside()
  switch (request.verb) {
    case 'help':
      process.stdout.write(usage)
      return 0
    case 'build':
      for (const program of programs) process.stdout.write(`${compiled(program)}\n`)
      return 0
    case 'report':
      writeFileSync(request.report, report(request.files.map(readResult)))
      process.stderr.write(`wrote ${request.report}\n`)
      return 0
    case 'smoke':
      return smoke(measure, request.json)
    case 'measure': {
      const result = await measure(request.question, request.options)
      if (request.report !== undefined) writeFileSync(request.report, report([result]))
      process.stdout.write(request.json ? `${JSON.stringify(result)}\n` : `${summary(result)}\n`)
      return 0
    }
  }
}

function measure(question: Question, options: Options): Promise<Result> {
  const { run, steps } = measurements[question]
  return run(options, new Progress(steps(options)))
}

/** A real device lives in the namespace we were started in; everything else is made in one of our own. */
function needsNamespace(request: Request): boolean {
  if (request.verb === 'smoke') return true
  if (request.verb !== 'measure' || !measurements[request.question].kernel) return false
  return request.options.port === undefined && request.options.kernel === 'native'
}

function readResult(file: string): Result {
  let result: Partial<Result>
  try {
    result = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`)
  }
  if (result.schema !== SCHEMA) throw new UsageError(`${file} is no result of this benchmark (${SCHEMA})`)
  return result as Result
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`bench: ${message}\n`)
  if (error instanceof UsageError) process.stderr.write('Try --help.\n')
  if (process.env.DPIF_BENCH_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
