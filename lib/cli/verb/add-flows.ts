import { runFlowFile } from '../flow-file.js'
import { withDatapath } from '../flows.js'
import { shapes } from '../json.js'
import type { Verb } from '../verb.js'

export const fileDetails = `FILE has a line [add|modify|delete] FLOW [ACTIONS] for each flow; - is stdin, and # begins a comment. Lines of dump-flows can be
pasted. A line that is wrong is named as FILE:LINE, and the others are done.`

export const fileShape = `[{ line, ...${shapes.result} }, …]`

export const addFlows: Verb = {
  name: 'add-flows',
  usage: '[DP] FILE',
  summary: 'add the flows in FILE',
  details: fileDetails,
  options: ['policy', 'verbose', 'more', 'json'],
  takes: [1, 2],
  writes: true,
  json: fileShape,
  run: (call) => withDatapath(call, (dpif, [file = '']) => runFlowFile(call, dpif, file, 'add')),
}
