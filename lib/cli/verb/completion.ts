import { shells } from '../completion.js'
import { CliError } from '../error.js'
import type { Verb } from '../verb.js'

export const completion: Verb = {
  name: 'completion',
  usage: 'bash|zsh',
  summary: 'print what makes the shell complete verbs, options, datapaths and devices',
  details: 'For example: source <(hwacc completion bash)',
  options: [],
  takes: [1, 1],
  writes: false,
  run: async ({ args: [shell = ''], verbs, out }) => {
    const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined
    if (script === undefined)
      throw new CliError(
        `there is no completion for '${shell}'; there is for ${Object.keys(shells).join(', ')}`,
      )
    await out.write(script(verbs))
  },
}
