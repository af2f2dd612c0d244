import { fromInput } from '../error.js'
import { eachPort, parseInterface } from '../ports.js'
import type { Verb } from '../verb.js'

export const setIf: Verb = {
  name: 'set-if',
  usage: 'DP IFACE...',
  summary: 'change the settings of ports; the kernel lets none of them be another',
  details: `IFACE is as in add-if. A port keeps type, number, dst_port and exts as long as it is there: what it has already is accepted,
anything else is refused.`,
  options: [],
  takes: [2, Number.POSITIVE_INFINITY],
  writes: true,
  run: async (call) => {
    const [name = '', ...interfaces] = call.args
    await eachPort(call, name, interfaces, async (dpif, text) => {
      const { name: port, type, number, tunnel } = parseInterface(text)
      const options = {
        ...(type === undefined ? {} : { type }),
        ...(number === undefined ? {} : { number }),
        ...(tunnel === undefined ? {} : { tunnel }),
      }
      await fromInput(() => dpif.setPort(port, options))
    })
  },
}
