import { addPorts } from '../ports.js'
import type { Verb } from '../verb.js'

export const addIf: Verb = {
  name: 'add-if',
  usage: 'DP IFACE...',
  summary: 'attach each IFACE to DP as a port',
  details: `IFACE is NAME[,type=TYPE][,port_no=N][,dst_port=N][,exts=gbp]. TYPE is system (default: a device that exists), internal (made
now), or a tunnel whose ends and keys flows say: vxlan, geneve, gre, ip6gre, erspan, ip6erspan. A tunnel's device NAME is made, and
goes with its port, unless it is there already. dst_port is the UDP port of vxlan and geneve, exts=gbp the group policy of vxlan;
key, local_ip and remote_ip may be said to be flow. The device is brought up.`,
  options: [],
  takes: [2, Number.POSITIVE_INFINITY],
  writes: true,
  run: async (call) => {
    const [name = '', ...interfaces] = call.args
    await addPorts(call, name, interfaces)
  },
}
