import { addPorts } from '../ports.js'
import type { Verb } from '../verb.js'

export const addIf: Verb = {
  name: 'add-if',
  usage: 'DP IFACE...',
  summary: 'attach each IFACE to DP as a port',
  details: `IFACE is NAME[,type=TYPE][,port_no=N]. TYPE is system (default: a device that exists), internal (made now), or the
kernel's own gre, vxlan or geneve. The device is brought up.`,
  options: [],
  takes: [2, Number.POSITIVE_INFINITY],
  writes: true,
  run: async (call) => {
    const [name = '', ...interfaces] = call.args
    await addPorts(call, name, interfaces)
  },
}
