import { parseArgs } from 'node:util'
import { CliError } from './error.js'

interface OptionRow {
  readonly type: 'boolean' | 'string'
  readonly short?: string
  readonly argument?: string
  readonly text: string
  /** Understood by verbs that do not list it, too: ovs-dpctl takes its options everywhere, and scripts rely on it. */
  readonly everywhere?: true
}

/** Every option there is. Help is printed from these rows. */
// biome-ignore format: one row per line
export const optionRows = {
  more:         { type: 'boolean', short: 'm', everywhere: true, text: 'dumps: everything the kernel knows, with names; puts: where the flow went, and why' },
  verbose:      { type: 'boolean', short: 'v', everywhere: true, text: 'puts: where the flow went, and why' },
  statistics:   { type: 'boolean', short: 's', everywhere: true, text: 'counters: of ports in show, of the flow before it changed in mod-flow and del-flow' },
  names:        { type: 'boolean', everywhere: true, text: 'ports by name; the default with -m' },
  'no-names':   { type: 'boolean', everywhere: true, text: 'ports by number; the default without -m' },
  clear:        { type: 'boolean', everywhere: true, text: 'counters start again at 0' },
  'may-create': { type: 'boolean', everywhere: true, text: 'create the flow if it is not there' },
  policy:       { type: 'string', argument: 'POLICY', text: 'where flows go: prefer-tc (default) or another of hwacc help policy, or the name of a document (with a slash, or ending in .yaml, .yml or .json)' },
  features:     { type: 'string', argument: 'LIST', text: 'what a new datapath has: unaligned, vportPids, tcRecircSharing, dispatchUpcallPerCpu, with commas between; tcRecircSharing where the kernel can when left out' },
  count:        { type: 'string', argument: 'N', text: 'end after that many' },
  flows:        { type: 'string', argument: 'FILE', text: 'lines of dump-flows, of hwacc or ovs-dpctl; - is stdin' },
  ports:        { type: 'string', argument: 'FILE', text: 'the ports there are, as hwacc show --json or hwacc show prints them' },
  json:         { type: 'boolean', text: 'one JSON document instead of lines' },
  'dry-run':    { type: 'boolean', text: 'print what would be done' },
  keep:         { type: 'boolean', text: 'leave the flow in place' },
  'read-only':  { type: 'boolean', everywhere: true, text: 'refuse verbs that change anything' },
  timeout:      { type: 'string', short: 't', argument: 'SECONDS', everywhere: true, text: 'give up after that long' },
  help:         { type: 'boolean', short: 'h', everywhere: true, text: 'print help' },
  version:      { type: 'boolean', short: 'V', everywhere: true, text: 'print the version' },
} satisfies Readonly<Record<string, OptionRow>>

export type OptionName = keyof typeof optionRows

/** The options of one call. */
export interface Options {
  /** `-m`. */
  readonly more: boolean
  /** `-m` or `-v`. */
  readonly verbose: boolean
  readonly statistics: boolean
  /** Whether ports are printed by name. */
  readonly names: boolean
  readonly clear: boolean
  readonly mayCreate: boolean
  readonly policy?: string
  readonly features?: string
  readonly count?: number
  readonly flows?: string
  readonly ports?: string
  readonly json: boolean
  readonly dryRun: boolean
  readonly keep: boolean
  readonly readOnly: boolean
  readonly timeoutMs?: number
  readonly help: boolean
  readonly version: boolean
  /** Those that were named. */
  readonly given: ReadonlySet<OptionName>
}

/** Splits the words of a call into options, which may stand anywhere, and the rest. Throws a {@link CliError}. */
export function parseOptions(argv: readonly string[]): { options: Options; words: string[] } {
  const { values, positionals: words, tokens } = split(argv)
  const given = new Set(
    tokens.flatMap((token) => (token.kind === 'option' ? [token.name as OptionName] : [])),
  )
  const more = given.has('more')
  // As in ovs-dpctl, the last word counts.
  const naming = [...tokens].reverse().find(({ kind, ...token }) => {
    return kind === 'option' && 'name' in token && (token.name === 'names' || token.name === 'no-names')
  })
  const options: Options = {
    more,
    verbose: more || given.has('verbose'),
    statistics: given.has('statistics'),
    names: naming === undefined ? more : 'name' in naming && naming.name === 'names',
    clear: given.has('clear'),
    mayCreate: given.has('may-create'),
    ...(typeof values.policy === 'string' ? { policy: values.policy } : {}),
    ...(typeof values.features === 'string' ? { features: values.features } : {}),
    ...(typeof values.count === 'string' ? { count: wholeNumber(values.count) } : {}),
    ...(typeof values.flows === 'string' ? { flows: values.flows } : {}),
    ...(typeof values.ports === 'string' ? { ports: values.ports } : {}),
    json: given.has('json'),
    dryRun: given.has('dry-run'),
    keep: given.has('keep'),
    readOnly: given.has('read-only'),
    ...(typeof values.timeout === 'string' ? { timeoutMs: milliseconds(values.timeout) } : {}),
    help: given.has('help'),
    version: given.has('version'),
    given,
  }
  return { options, words }
}

function split(argv: readonly string[]) {
  try {
    return parseArgs({
      args: argv.filter((word) => !logging.test(word)),
      options: optionRows,
      allowPositionals: true,
      tokens: true,
    })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code?.startsWith('ERR_PARSE_ARGS') !== true) throw error
    // The first sentence; what follows is advice for programmers.
    const sentence = message.replace(/\. .*/s, '')
    throw new CliError(`${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}; use --help for help`)
  }
}

/** How ovs-dpctl is told what to log, and where. Nothing is logged here. */
const logging = /^(-v[^=-].*|--verbose=.*|--log-file(=.*)?|--syslog-(method|target)=.*)$/s

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value))
    throw new CliError(`'${text}' is not a whole number above 0`)
  return value
}

function milliseconds(seconds: string): number {
  const value = Number(seconds)
  if (!(value > 0 && value < 2_000_000)) throw new CliError(`'${seconds}' is not a number of seconds above 0`)
  return value * 1000
}
