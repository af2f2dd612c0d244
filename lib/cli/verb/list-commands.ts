import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const listCommands: Verb = {
  name: 'list-commands',
  usage: '',
  summary: 'print the names of all verbs and their arguments',
  options: ['json'],
  takes: [0, Number.POSITIVE_INFINITY],
  writes: false,
  json: '[{ name, usage, summary }, …]',
  run: async ({ verbs, out, options }) => {
    if (options.json)
      return out.line(toJson(verbs.map(({ name, usage, summary }) => ({ name, usage, summary }))))
    await out.line('The available commands are:')
    for (const { name, usage } of verbs) await out.line(`  ${name.padEnd(23)} ${usage}`)
  },
}
