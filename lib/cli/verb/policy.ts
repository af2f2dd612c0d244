import { type Choice, type Placement, policies, RulesError, rules, rulesSchema } from '../../index.js'
import { CliError } from '../error.js'
import { readText } from '../file.js'
import { toJson } from '../json.js'
import { policyFor, problemLines } from '../policy.js'
import { readPorts, type SimulatedGroup, type Simulation, simulate } from '../simulate.js'
import type { Call, Verb } from '../verb.js'

export const policyVerb: Verb = {
  name: 'policy',
  usage: 'check FILE | simulate POLICY --flows=FILE [--ports=FILE] | schema',
  summary:
    'check a document that is a policy, or tell where a policy would send the flows of a dump; no kernel is asked',
  details: `POLICY is the name of a document, or one of
${Object.values(policies)
  .map(({ usage }) => `  ${usage}`)
  .join('\n')}
A policy behind a plus is the one that is asked where the first has nothing against TC.
check ends with exit code 1 when something is wrong, and names each mistake with line, column and field. simulate puts the flows in the order
of the lines into empty tables, and counts them; with -v or --json it tells of each. schema prints the JSON Schema of documents.`,
  options: ['flows', 'ports', 'verbose', 'json'],
  takes: [1, 2],
  writes: false,
  json: `check: { file, name?, rules: [{ name, line, choices, reason, waitsFor? }, …], unresolved: [NAME, …], problems: [{ line?, column?, path, message }, …] }
  simulate: { policy, groups: [{ rule?, choices: [{ backend, skip? }, …], reason, waitsFor?, flows }, …],
  flows: [{ line, ufid?, flow, now?, rule?, choices, reason, waitsFor? }, …], unread: [{ line, message }, …], unknownPorts: [NAME, …] }`,
  run: async (call) => {
    const [what = '', ...words] = call.args
    const shape = Object.hasOwn(shapes, what) ? shapes[what] : undefined
    if (shape === undefined)
      throw new CliError(`'${what}' is nothing to do with a policy; there are check, simulate and schema`)
    if (words.length !== shape.takes)
      throw new CliError(`usage: hwacc policy ${what} ${shape.usage}`.trimEnd())
    for (const option of ['flows', 'ports'] as const) {
      if (call.options[option] !== undefined && what !== 'simulate')
        throw new CliError(`'policy ${what}' has no option --${option}; use hwacc help policy`)
    }
    await shape.run(call, words[0] ?? '')
  },
}

interface Shape {
  readonly usage: string
  /** How many words follow. */
  readonly takes: number
  readonly run: (call: Call, word: string) => Promise<void>
}

const shapes: Readonly<Record<string, Shape>> = {
  check: { usage: 'FILE', takes: 1, run: check },
  simulate: { usage: 'POLICY --flows=FILE [--ports=FILE]', takes: 1, run: simulateFile },
  schema: {
    usage: '',
    takes: 0,
    run: async ({ out }) => out.line(JSON.stringify(rulesSchema(), undefined, 2)),
  },
}

async function check({ io, options, out, fail }: Call, file: string): Promise<void> {
  const text = await readText(file, io)
  try {
    const { name, rules: all, unresolved } = rules(text)
    if (options.json) {
      const list = all.map(({ name, line, placement }) => ({ name, line, ...placement }))
      return out.line(toJson({ file, name, rules: list, unresolved, problems: [] }))
    }
    await out.line(`policy ${name}: ${all.length} rules, the default among them`)
    for (const { name, line, placement } of all) {
      await out.line(`  ${line === undefined ? '' : `line ${line}: `}${name} -> ${wordsOf(placement)}`)
    }
    for (const each of unresolved) {
      await out.line(`  e-switch ${each} is looked up when a datapath is opened`)
    }
  } catch (error) {
    if (!(error instanceof RulesError)) throw error
    if (options.json) await out.line(toJson({ file, rules: [], unresolved: [], problems: error.problems }))
    for (const line of problemLines(file, error)) fail(line)
  }
}

async function simulateFile({ io, options, out, fail }: Call, text: string): Promise<void> {
  const { flows, ports } = options
  if (flows === undefined) throw new CliError("'policy simulate' needs --flows=FILE, lines of dump-flows")
  const policy = await policyFor(text, io, async () => ({}))
  const known = ports === undefined ? [] : readPorts(await readText(ports, io), ports)
  const result = simulate(policy, await readText(flows, io), known)
  if (options.json) await out.line(toJson(documentOf(policy.name, result)))
  else for (const line of linesOf(policy.name, result, options.verbose)) await out.line(line)
  for (const { line, message } of result.unread)
    fail(`${flows === '-' ? 'stdin' : flows}:${line}: ${message}`)
}

function documentOf(policy: string, { flows, groups, unread, unknownPorts }: Simulation): object {
  return {
    policy,
    groups: groups.map(({ rule, placement, flows }) => ({ rule, ...placement, flows })),
    flows: flows.map(({ placement, ...rest }) => ({ ...rest, ...placement })),
    unread,
    unknownPorts,
  }
}

function* linesOf(policy: string, { flows, groups, unknownPorts }: Simulation, each: boolean) {
  yield `${flows.length} flows, policy ${policy}`
  const width = Math.max(5, ...groups.map(({ flows }) => String(flows).length))
  const rows = groups.map(
    (group) => [String(group.flows).padStart(width), wordsOf(group.placement), whyOf(group)] as const,
  )
  const middle = Math.max(0, ...rows.map(([, words]) => words.length))
  for (const [count, words, why] of rows) yield `  ${count}  ${words.padEnd(middle)}  ${why}`
  const moving = flows.filter(
    ({ now, placement }) => now !== undefined && now !== placement.choices[0]?.backend,
  )
  if (moving.length > 0) yield `${moving.length} of them are elsewhere in the dump`
  if (unknownPorts.length > 0)
    yield `nothing but the name is known of port ${unknownPorts.join(', ')}: what is about types and devices does not fit; --ports tells`
  if (!each) return
  for (const { line, flow, placement } of flows)
    yield `${line}: ${flow} -> ${wordsOf(placement)}: ${placement.reason}`
}

const whyOf = ({ placement: { reason }, flows }: SimulatedGroup): string =>
  flows === 0 ? `${reason} (no flow came here)` : reason

function wordsOf({ choices, waitsFor }: Placement): string {
  const words = choices.map(({ backend, skip }: Choice) =>
    skip === undefined ? backend : `${backend} skip_${skip}`,
  )
  return `${words.join(', ')}${waitsFor === undefined ? '' : `, waits for ${waitsFor}`}`
}
