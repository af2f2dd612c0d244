import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

/** One finding, as --json prints it. */
export const findingShape = `{ kind, message, ufid?, device?, sweepable }`

export const audit: Verb = {
  name: 'audit',
  usage: '[DP]',
  summary:
    'print what is not as it should be around the flows of DP: orphans, duplicates, shadows, leftovers',
  details:
    'Nothing is changed. Filters of others are named, and never touched by any verb. `sweep` takes away what is marked so.',
  options: ['policy', 'json'],
  takes: [0, 1],
  writes: false,
  json: `[${findingShape}, …], kind: "DUPLICATE"|"ORPHAN"|"FOREIGN_FILTER"|"SHADOW"|"EMPTY_QDISC"|"SUSPECT"|"UNFINISHED"`,
  run: async ({ args, options, kernel, out }) => {
    const { datapath } = await kernel.choose(args, 1)
    const dpif = await kernel.open(datapath, options.policy)
    try {
      let count = 0
      for await (const finding of dpif.audit()) {
        if (options.json) await out.write(`${count === 0 ? '[' : ',\n'}${toJson(finding)}`)
        else await out.line(`${finding.kind}: ${finding.message}${finding.sweepable ? ' (sweep)' : ''}`)
        count++
      }
      if (options.json) await out.line(count === 0 ? '[]' : ']')
      else if (count === 0) await out.line('nothing was found')
    } finally {
      await dpif.close()
    }
  },
}
