import { runFlowFile } from '../flow-file.js'
import { withDatapath } from '../flows.js'
import type { Verb } from '../verb.js'
import { fileDetails, fileShape } from './add-flows.js'

export const modFlows: Verb = {
  name: 'mod-flows',
  usage: '[DP] FILE',
  summary: 'change the flows in FILE',
  details: fileDetails,
  options: ['may-create', 'clear', 'policy', 'verbose', 'more', 'json'],
  takes: [1, 2],
  writes: true,
  json: fileShape,
  run: (call) => withDatapath(call, (dpif, [file = '']) => runFlowFile(call, dpif, file, 'modify')),
}
