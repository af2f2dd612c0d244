import { parseArgs } from 'node:util'
import { profileNamed, type ProfileName } from './profiles.js'
import { UsageError } from './usage-error.js'

export const questions = [
  'insertion',
  'deletion',
  'modify',
  'dump',
  'sweep',
  'upcalls',
  'policy',
  'codec',
  'memory',
] as const
export type Question = (typeof questions)[number]

export type Target = 'ovs' | 'tc' | 'both'
export type Spelling = 'typed' | 'raw' | 'text'

/** What was asked for, with the defaults filled in. */
export interface Options {
  readonly backend: Target
  readonly flows: number
  readonly profile: ProfileName
  readonly masks: number
  /** Ops in a call of `operate()`. */
  readonly batch: number
  /** Calls of `operate()` that are under way at the same time. */
  readonly depth: number
  readonly lanes: number
  readonly skip: 'sw' | 'hw' | 'none'
  readonly spelling: Spelling
  readonly repeat: number
  /** Whether flows of one mask are given one and the same mask object. */
  readonly shared: boolean
  /** A real device to use instead of a virtual one. */
  readonly port?: string
  /** Where flows output to; without it flows on a real device drop. */
  readonly peer?: string
  /** `null` puts the library on a kernel that says yes at once. */
  readonly kernel: 'native' | 'null'
  /** What one message costs on the null kernel, in microseconds. */
  readonly costUs: number
  readonly limit: boolean
  /** Flows for the programs beside us; 0 leaves them out. */
  readonly beside: number
}

/** What to do, as the command line says it. */
export type Request =
  | { readonly verb: 'help' }
  | { readonly verb: 'build' }
  | { readonly verb: 'smoke'; readonly json: boolean }
  | { readonly verb: 'report'; readonly files: readonly string[]; readonly report: string }
  | {
      readonly verb: 'measure'
      readonly question: Question
      readonly options: Options
      readonly json: boolean
      readonly report?: string
    }

export const usage = `usage: npm run --silent bench -- QUESTION [OPTION]...
       npm run --silent bench -- report RESULT.json... --report FILE.html
       npm run --silent bench -- smoke | build

QUESTION    insertion, deletion, modify, dump, sweep, upcalls, policy, codec or memory
            smoke: a short run that fails on gross regressions; build: compiles the programs in bench/baseline

What to measure
  --backend ovs|tc|both   where the flows go (ovs); both: every other flow, for dump and sweep
  --flows N               flows in the table (100000; memory: 1000000)
  --profile P             l2, 5tuple, encap, rewrite or ct (5tuple)
  --masks M               distinct masks (1)
  --spelling S            typed, raw or text (typed)
  --skip sw|hw|none       TC: where a flow must not go (hw without --port, none with it)
  --port DEV              a real device; without it: veths in a network namespace of our own
  --peer DEV              with --port: where flows output to; without it they drop

How
  --batch B               ops in a call of operate() (4096)
  --depth D               calls under way at once (2)
  --lanes L               sockets for TC (1)
  --repeat R              turns that count; one more warms up (5)
  --shared                flows of one mask share one mask object; each has its own otherwise
  --kernel native|null    null: a kernel that says yes at once, so only the library is measured
  --cost US               what a message costs on the null kernel (0)
  --no-limit              without the C programs (no compiler needed)
  --beside N              flows for ovs-dpctl, tc -batch and OVS's way beside us (10000; 0: none)

What comes out
  --json                  one JSON object on stdout and nothing else
  --report FILE.html      a page to read and to pass on
`

const flags = {
  backend: { type: 'string', default: 'ovs' },
  flows: { type: 'string' },
  profile: { type: 'string', default: '5tuple' },
  masks: { type: 'string', default: '1' },
  batch: { type: 'string', default: '4096' },
  depth: { type: 'string', default: '2' },
  lanes: { type: 'string', default: '1' },
  skip: { type: 'string' },
  spelling: { type: 'string', default: 'typed' },
  repeat: { type: 'string', default: '5' },
  shared: { type: 'boolean', default: false },
  port: { type: 'string' },
  peer: { type: 'string' },
  kernel: { type: 'string', default: 'native' },
  cost: { type: 'string', default: '0' },
  'no-limit': { type: 'boolean', default: false },
  beside: { type: 'string', default: '10000' },
  json: { type: 'boolean', default: false },
  report: { type: 'string' },
  smoke: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Reads the command line. Throws a UsageError that says what is wrong and what would be right. */
export function parseRequest(args: readonly string[]): Request {
  const { values, positionals } = read(args)
  const [verb, ...rest] = positionals
  if (values.help) return { verb: 'help' }
  if (values.smoke || verb === 'smoke') return { verb: 'smoke', json: values.json }
  if (verb === 'build') return { verb }
  if (verb === 'report') {
    if (rest.length === 0) throw new UsageError('report needs the JSON files of one or more runs')
    if (values.report === undefined) throw new UsageError('report needs --report FILE.html to write to')
    return { verb, files: rest, report: values.report }
  }
  const question = oneOf('question', verb ?? '', questions)
  if (rest.length > 0) throw new UsageError(`'${rest[0]}' is one word too many; one question at a time`)
  const options = optionsOf(question, values)
  return {
    verb: 'measure',
    question,
    options,
    json: values.json,
    ...(values.report === undefined ? {} : { report: values.report }),
  }
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function optionsOf(question: Question, values: ReturnType<typeof read>['values']): Options {
  const { port, peer } = values
  if (peer !== undefined && port === undefined) throw new UsageError('--peer goes with --port')
  const backend = oneOf('--backend', values.backend, ['ovs', 'tc', 'both'])
  if (backend === 'both' && question !== 'dump' && question !== 'sweep') {
    throw new UsageError('--backend both is for dump and sweep; a put goes to one backend')
  }
  const kernel = oneOf('--kernel', values.kernel, ['native', 'null'])
  if (backend === 'both' && port !== undefined)
    throw new UsageError('--backend both needs two ports; leave out --port')
  if (kernel === 'null' && (question === 'dump' || question === 'sweep' || question === 'upcalls')) {
    throw new UsageError(`${question} asks a kernel; codec measures reading without one`)
  }
  if (question === 'upcalls' && port !== undefined)
    throw new UsageError('upcalls has a generator at the far end of a veth; leave out --port')
  const profile = profileNamed(values.profile)
  const masks = count('--masks', values.masks, 1, profile.maxMasks)
  const flows = count('--flows', values.flows ?? (question === 'memory' ? '1000000' : '100000'), 1, 1 << 24)
  return {
    backend,
    flows,
    profile: profile.name,
    masks,
    batch: count('--batch', values.batch, 1, 1 << 20),
    depth: count('--depth', values.depth, 1, 1024),
    lanes: count('--lanes', values.lanes, 1, 16),
    skip: oneOf('--skip', values.skip ?? (port === undefined ? 'hw' : 'none'), ['sw', 'hw', 'none']),
    spelling: oneOf('--spelling', values.spelling, ['typed', 'raw', 'text']),
    repeat: count('--repeat', values.repeat, 1, 1000),
    shared: values.shared,
    kernel,
    costUs: count('--cost', values.cost, 0, 1e6),
    limit: !values['no-limit'],
    beside: count('--beside', values.beside, 0, 1 << 24),
    ...(port === undefined ? {} : { port }),
    ...(peer === undefined ? {} : { peer }),
  }
}

function oneOf<const T extends string>(name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value)
  if (found === undefined)
    throw new UsageError(`'${value}' is no ${name.replace('--', '')}; there are ${choices.join(', ')}`)
  return found
}

function count(name: string, value: string, min: number, max: number): number {
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < min || number > max)
    throw new UsageError(`${name} ${value}: a whole number from ${min} to ${max} is needed`)
  return number
}
