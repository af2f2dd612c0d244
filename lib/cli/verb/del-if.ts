import { eachPort } from '../ports.js'
import type { Verb } from '../verb.js'

export const delIf: Verb = {
  name: 'del-if',
  usage: 'DP IFACE...',
  summary: 'detach each IFACE, a name or a number, from DP',
  options: [],
  takes: [2, Number.POSITIVE_INFINITY],
  writes: true,
  run: async (call) => {
    const [name = '', ...ports] = call.args
    await eachPort(call, name, ports, (dpif, port) =>
      dpif.delPort(/^[0-9]+$/.test(port) ? Number(port) : port),
    )
  },
}
