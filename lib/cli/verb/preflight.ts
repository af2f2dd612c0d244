import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const preflightVerb: Verb = {
  name: 'preflight',
  usage: 'PORT...',
  summary: 'print what keeps flows on PORTs out of hardware, and the command that mends it',
  details:
    'The exit code is 1 when all flows of a port are kept out. Nothing stays changed but modules that are loaded.',
  options: ['json'],
  takes: [1, Number.POSITIVE_INFINITY],
  // For a moment only, but it does.
  writes: true,
  json: `{ ready, findings: [{ reason, effect: "all"|"some"|"none" (flows it is about), port?, message, mend? }, …] }`,
  run: async ({ args, kernel, out, options, fail }) => {
    const { ready, findings } = await kernel.preflight(args)
    if (options.json) await out.line(toJson({ ready, findings }))
    else {
      if (findings.length === 0) await out.line('nothing is known to keep flows out of hardware')
      for (const { reason, effect, message, mend } of findings) {
        await out.line(`${message} (${reason}; ${effects[effect]})`)
        if (mend !== undefined) await out.line(`    ${mend}`)
      }
    }
    if (!ready) fail(`flows on ${args.join(', ')} do not get into hardware as things are`)
  },
}

const effects = { all: 'all flows', some: 'some flows', none: 'for information' } as const
