import { CliError } from '../error.js'
import { type OptionName, optionRows } from '../options.js'
import type { Verb } from '../verb.js'

export const help: Verb = {
  name: 'help',
  usage: '[VERB]',
  summary: 'print all verbs, or everything about one',
  options: [],
  takes: [0, 1],
  writes: false,
  run: async ({ args: [name], verbs, out }) => {
    if (name === undefined) return out.write(overview(verbs))
    const verb = verbs.find((candidate) => candidate.name === name)
    if (verb === undefined) throw new CliError(`unknown command '${name}'; use --help for help`)
    await out.write(about(verb))
  },
}

function overview(verbs: readonly Verb[]): string {
  const rows = verbs.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary] as const)
  return `hwacc: flows of an Open vSwitch datapath, in openvswitch and in TC
usage: hwacc [OPTIONS] VERB [ARG...]
${table(rows)}
DP may be left out where it is in brackets, while there is one datapath only. It may be written system@DP.

options:
${optionTable(Object.keys(optionRows) as OptionName[])}
Verbs and lines are those of ovs-dpctl. See hwacc help VERB for the shape of what --json prints.
`
}

function about({ name, usage, summary, details, options, json }: Verb): string {
  const everywhere: OptionName[] = ['read-only', 'timeout', 'help']
  return [
    `usage: hwacc ${`${name} [OPTIONS] ${usage}`.trim()}`,
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    ...(details === undefined ? [] : [details]),
    '',
    'options:',
    optionTable([...options, ...everywhere]).trimEnd(),
    ...(json === undefined ? [] : ['', '--json prints:', `  ${json}`, JSON_NOTES]),
    '',
  ].join('\n')
}

const JSON_NOTES = `Numbers beyond 2^53 are strings, bytes are hex digits. key, mask and actions are spelled as in the library's types.
STATS: { packets, bytes, idleMs (null: never used), tcpFlags }; FAILURE: { code, message, errno?, backend?, kernel?, path? }.`

function optionTable(names: readonly OptionName[]): string {
  return table(
    names.map((name) => {
      const row: { short?: string; argument?: string; text: string } = optionRows[name]
      const short = row.short === undefined ? '    ' : `-${row.short}, `
      return [`${short}--${name}${row.argument === undefined ? '' : `=${row.argument}`}`, row.text]
    }),
  )
}

function table(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')
}
