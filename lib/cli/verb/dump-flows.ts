import { DpifError, type DumpType, formatFlow } from '../../index.js'
import { CliError } from '../error.js'
import { parseFilter } from '../filter.js'
import { lineOptions, portNumbers } from '../flows.js'
import { flowJson, shapes, toJson } from '../json.js'
import type { Verb } from '../verb.js'

const types: readonly DumpType[] = ['ovs', 'tc', 'offloaded', 'non-offloaded']

export const dumpFlows: Verb = {
  name: 'dump-flows',
  usage: '[DP] [type=TYPE[,TYPE]...] [filter=FILTER]',
  summary: 'print the flows of DP, from TC and from openvswitch',
  details: `TYPE is ${types.join(', ')} or all. The lines are those of ovs-dpctl, and add-flows reads them. FILTER is a flow of OpenFlow, for
example tcp,nw_dst=10.0.0.1,tp_dst=80: printed is what such packets may meet. pmd=N is for datapaths in userspace: no flow here has one.`,
  options: ['more', 'names', 'no-names', 'json'],
  takes: [0, 6],
  writes: false,
  json: `[FLOW, …], FLOW: ${shapes.flow}`,
  run: async ({ args, options, kernel, out, now }) => {
    const { wanted, filter, ofThread, rest } = split(args)
    const { datapath } = await kernel.choose(rest, 1)
    const dpif = await kernel.open(datapath)
    try {
      const format = options.json ? {} : await lineOptions(dpif, options)
      const passes =
        filter === undefined ? () => true : parseFilter(filter, (await portNumbers(dpif)).portNumber)
      let separator = ''
      if (options.json) await out.write('[')
      try {
        for await (const flow of dpif.dump({ types: wanted })) {
          if (ofThread || !passes(flow)) continue
          const text = options.json
            ? `${separator}${toJson(flowJson(flow, now()))}`
            : `${formatFlow(flow, { ...format, now: now() })}\n`
          separator = ',\n'
          // Waiting only when there is something to wait for keeps large dumps quick.
          const room = out.write(text)
          if (room !== undefined) await room
          if (out.closed) return
        }
      } catch (error) {
        if (error instanceof DpifError) throw new CliError(`dumping flows: ${error.message}`)
        throw error
      } finally {
        if (options.json) await out.write(']\n')
      }
    } finally {
      await dpif.close()
    }
  },
}

interface Words {
  readonly wanted: DumpType[]
  readonly filter?: string
  /** Only flows of one thread of a datapath in userspace. */
  readonly ofThread: boolean
  readonly rest: string[]
}

function split(args: readonly string[]): Words {
  const wanted: DumpType[] = []
  const rest: string[] = []
  let all = false
  let filter: string | undefined
  let ofThread = false
  for (const word of args) {
    const [, key, value = ''] = /^(type|filter|pmd)=(.*)$/s.exec(word) ?? []
    if (key === undefined) rest.push(word)
    else if (key === 'filter') {
      if (filter !== undefined) throw new CliError('dump-flows takes one filter')
      filter = value
    } else if (key === 'pmd') {
      if (!/^-?\d+/.test(value)) throw new CliError(`'${value}' is no number of a thread`)
      ofThread = true
    }
    for (const name of key === 'type' ? value.split(',') : []) {
      if (name === 'all') all = true
      else if ((types as readonly string[]).includes(name)) wanted.push(name as DumpType)
      else throw new CliError(`'${name}' is no type of flow; there are ${types.join(', ')} and all`)
    }
  }
  if (rest.length > 1) throw new CliError(`dump-flows takes one datapath, not '${rest.join(' ')}'`)
  return { wanted: all ? [] : wanted, ...(filter === undefined ? {} : { filter }), ofThread, rest }
}
