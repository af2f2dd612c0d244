import { DpifError, type DumpType, formatFlow } from '../../index.js'
import { CliError } from '../error.js'
import { lineOptions } from '../flows.js'
import { flowJson, shapes, toJson } from '../json.js'
import type { Verb } from '../verb.js'

const types: readonly DumpType[] = ['ovs', 'tc', 'offloaded', 'non-offloaded']

export const dumpFlows: Verb = {
  name: 'dump-flows',
  usage: '[DP] [type=TYPE[,TYPE]...]',
  summary: 'print the flows of DP, from TC and from openvswitch',
  details: `TYPE is ${types.join(', ')} or all. The lines are those of ovs-dpctl, and add-flows reads them.`,
  options: ['more', 'names', 'no-names', 'json'],
  takes: [0, 3],
  writes: false,
  json: `[FLOW, …], FLOW: ${shapes.flow}`,
  run: async ({ args, options, kernel, out, now }) => {
    const { wanted, rest } = split(args)
    const { datapath } = await kernel.choose(rest, 1)
    const dpif = await kernel.open(datapath)
    try {
      const format = options.json ? {} : await lineOptions(dpif, options)
      let separator = ''
      if (options.json) await out.write('[')
      try {
        for await (const flow of dpif.dump({ types: wanted })) {
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

function split(args: readonly string[]): { readonly wanted: DumpType[]; readonly rest: string[] } {
  const wanted: DumpType[] = []
  const rest: string[] = []
  let all = false
  for (const word of args) {
    const [, key, value = ''] = /^(type|filter|pmd)=(.*)$/s.exec(word) ?? []
    if (key === undefined) rest.push(word)
    else if (key !== 'type')
      throw new CliError(`${key}= is not supported; dump all flows and search the lines`)
    for (const name of key === 'type' ? value.split(',') : []) {
      if (name === 'all') all = true
      else if ((types as readonly string[]).includes(name)) wanted.push(name as DumpType)
      else throw new CliError(`'${name}' is no type of flow; there are ${types.join(', ')} and all`)
    }
  }
  if (rest.length > 1) throw new CliError(`dump-flows takes one datapath, not '${rest.join(' ')}'`)
  return { wanted: all ? [] : wanted, rest }
}
