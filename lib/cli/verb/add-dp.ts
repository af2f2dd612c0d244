import { addPorts } from '../ports.js'
import type { Verb } from '../verb.js'

export const addDp: Verb = {
  name: 'add-dp',
  usage: 'DP [IFACE...]',
  summary: 'make datapath DP, with IFACEs as ports',
  details: 'IFACE is NAME[,type=TYPE][,port_no=N], as for add-if.',
  options: ['features'],
  takes: [1, Number.POSITIVE_INFINITY],
  writes: true,
  run: async (call) => {
    const [name = '', ...interfaces] = call.args
    await call.kernel.create(name, call.options.features)
    if (interfaces.length > 0) await addPorts(call, name, interfaces)
  },
}
