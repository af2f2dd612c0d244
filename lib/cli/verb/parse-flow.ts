import { DpifError, formatActions, formatKey, formatUfid, parseFlowLine, parseKey } from '../../index.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const parseFlow: Verb = {
  name: 'parse-flow',
  usage: 'FLOW...',
  summary: 'read each FLOW and print it as dump-flows would; needs no kernel',
  details:
    'FLOW may be a whole line of dump-flows; its counters are dropped. -m shows what is not matched as well.',
  options: ['more', 'json'],
  takes: [1, Number.POSITIVE_INFINITY],
  writes: false,
  json: '[{ ufid?, key, mask, actions? }, …]',
  run: async ({ args, options, out, fail }) => {
    const documents: object[] = []
    for (const text of args) {
      try {
        const flow = text.includes('actions:')
          ? parseFlowLine(text)
          : { ...parseKey(text), actions: undefined }
        const { ufid, key, mask, actions } = flow
        documents.push({ ...flow })
        if (options.json) continue
        const parts = ufid === undefined ? [] : [formatUfid(ufid)]
        if (Object.keys(key).length > 0) parts.push(formatKey(key, mask, { verbose: options.more }))
        if (actions !== undefined) parts.push(`actions:${formatActions(actions)}`)
        await out.line(parts.join(', '))
      } catch (error) {
        if (!(error instanceof DpifError)) throw error
        fail(`parsing flow: ${error.message}`)
      }
    }
    if (options.json) await out.line(toJson(documents))
  },
}
