import { runFlowFile } from '../flow-file.js'
import { withDatapath } from '../flows.js'
import type { Verb } from '../verb.js'
import { fileDetails, fileShape } from './add-flows.js'

export const delFlows: Verb = {
  name: 'del-flows',
  usage: '[DP] [FILE]',
  summary: 'delete the flows in FILE, or all: those of DP in openvswitch, and ours in TC',
  details: fileDetails,
  options: ['policy', 'verbose', 'more', 'json'],
  takes: [0, 2],
  writes: true,
  json: `${fileShape}; without FILE nothing is printed`,
  run: (call) =>
    withDatapath(call, (dpif, [file]) => {
      return file === undefined ? dpif.flush() : runFlowFile(call, dpif, file, 'delete')
    }),
}
