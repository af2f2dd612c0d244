import { type Action, DpifError, formatActions, parseActions } from '../../index.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const parseActionsVerb: Verb = {
  name: 'parse-actions',
  usage: 'ACTIONS...',
  summary: 'read each ACTIONS and print it as dump-flows would; needs no kernel',
  options: ['json'],
  takes: [1, Number.POSITIVE_INFINITY],
  writes: false,
  json: '[[ACTION, …], …]',
  run: async ({ args, options, out, fail }) => {
    const documents: Action[][] = []
    for (const text of args) {
      try {
        const actions = parseActions(text)
        documents.push(actions)
        if (!options.json) await out.line(formatActions(actions))
      } catch (error) {
        if (!(error instanceof DpifError)) throw error
        fail(`parsing actions: ${error.message}`)
      }
    }
    if (options.json) await out.line(toJson(documents))
  },
}
