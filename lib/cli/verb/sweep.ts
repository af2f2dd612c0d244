import type { AuditFinding, Dpif } from '../../index.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'
import { findingShape } from './audit.js'

export const sweep: Verb = {
  name: 'sweep',
  usage: 'DP',
  summary:
    'take away what audit marks for it: copies, orphans and empty qdiscs of ours; with --dry-run, print it only',
  details:
    'Of a flow in both backends the copy stays that is where the policy wants it. Filters of others, and qdiscs that may be theirs, stay.',
  options: ['policy', 'dry-run', 'json'],
  takes: [1, 1],
  writes: true,
  json: `[${findingShape}, …], those that are gone, or would be`,
  run: async ({ args, options, kernel, out }) => {
    const { datapath } = await kernel.choose(args, 1)
    const dpif = await kernel.open(datapath, options.policy)
    try {
      let count = 0
      for await (const finding of options.dryRun ? sweepable(dpif) : dpif.tidy()) {
        if (options.json) await out.write(`${count === 0 ? '[' : ',\n'}${toJson(finding)}`)
        else await out.line(`${options.dryRun ? 'would sweep' : 'swept'} ${finding.kind}: ${finding.message}`)
        count++
      }
      if (options.json) await out.line(count === 0 ? '[]' : ']')
    } finally {
      await dpif.close()
    }
  },
}

async function* sweepable(dpif: Dpif): AsyncGenerator<AuditFinding> {
  for await (const finding of dpif.audit()) if (finding.sweepable) yield finding
}
