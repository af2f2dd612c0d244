import {
  type Dpif,
  formatStats,
  formatUfid,
  type Op,
  type OpResult,
  parseActions,
  type ParsedKey,
  parseKey,
  type ParseOptions,
  type PutMode,
  type PutOp,
} from '../index.js'
import { CliError } from './error.js'
import { resultJson, toJson } from './json.js'
import type { Options } from './options.js'
import type { Call } from './verb.js'

/** How many ops go down at once: enough to fill batches, few enough to show how far it is. */
export const CHUNK = 4096

/** Lets text name ports. */
export async function portNumbers(dpif: Dpif): Promise<Required<ParseOptions>> {
  const numbers = new Map((await dpif.ports()).map(({ name, number }) => [name, number]))
  return { portNumber: (name) => numbers.get(name) }
}

/** How flows are printed: as `-m` and `--names` say. */
export async function lineOptions(dpif: Dpif, { more, names }: Options) {
  if (!names) return { verbose: more }
  const byNumber = new Map((await dpif.ports()).map(({ name, number }) => [number, name]))
  return { verbose: more, portName: (number: number) => byNumber.get(number) }
}

/** Opens the datapath a verb is about, does the work and lets go. */
export async function withDatapath(
  { kernel, args, options, verb }: Call,
  work: (dpif: Dpif, rest: readonly string[]) => Promise<void>,
): Promise<void> {
  const [least, most] = verb.takes
  const { datapath, rest } = await kernel.choose(args, most)
  if (rest.length < least) throw new CliError(`usage: hwacc ${verb.name} ${verb.usage}`)
  const dpif = await kernel.open(datapath, options.policy)
  try {
    await work(dpif, rest)
  } finally {
    await dpif.close()
  }
}

/** Reads FLOW; says which of the words is wrong. */
export function readFlow(text: string, ports: ParseOptions): ParsedKey {
  return named('flow', () => parseKey(text, ports))
}

/** A flow and what is to become of it, as an op. */
export function putOp(
  flow: ParsedKey,
  actions: string,
  ports: ParseOptions,
  more: { readonly mode: PutMode; readonly zeroStats: boolean; readonly stats: boolean },
): PutOp {
  return { op: 'put', ...flow, actions: named('actions', () => parseActions(actions, ports)), ...more }
}

/** What identifies a flow: its ufid if the text has one, else its key. */
export function flowName({ ufid, key }: ParsedKey): { readonly ufid: string } | Pick<ParsedKey, 'key'> {
  if (ufid !== undefined) return { ufid }
  if (Object.keys(key).length === 0) throw new CliError('the flow is empty; name its key or its ufid')
  return { key }
}

/** Carries out one op and prints what a caller wants to know of it. */
export async function operateOne(call: Call, dpif: Dpif, op: Op): Promise<void> {
  const { options, out } = call
  const [result] = (await dpif.operate([op])) as [OpResult]
  if (options.json) await out.line(toJson(resultJson(result, call.now())))
  else {
    if (options.verbose && op.op === 'put') for (const line of placementLines(result)) await out.line(line)
    if (result.stats !== undefined) await out.line(formatStats(result.stats, call.now()))
  }
  if (result.error !== undefined) call.fail(result.error.message)
}

/** Where a flow went, and who did not want it. */
export function placementLines({ ufid, backend, error, declined = [] }: OpResult): string[] {
  const refused = declined.map(({ backend, message }) => `  ${backend} declined: ${message}`)
  if (error !== undefined) return refused
  return [`${formatUfid(ufid)} is in ${backend}`, ...refused]
}

function named<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'SYNTAX') {
      throw new CliError(`parsing ${what}: ${error.message}`)
    }
    throw error
  }
}
