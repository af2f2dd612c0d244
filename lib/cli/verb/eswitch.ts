import type { Eswitch } from '../../index.js'
import { CliError } from '../error.js'
import { toJson } from '../json.js'
import type { Call, Verb } from '../verb.js'

export const eswitch: Verb = {
  name: 'eswitch',
  usage: 'show [DEV] | set DEV MODE',
  summary: 'print the e-switches and their mode, or set one to MODE, legacy or switchdev',
  details: 'DEV is what devlink calls it, for example pci/0000:08:00.0, or the name of one of its ports.',
  options: ['json'],
  takes: [1, 3],
  writes: ([what]) => what === 'set',
  json: '[{ name, mode?: "legacy"|"switchdev", driver?, firmware?, switchId?, ports: [NAME, …] }, …]',
  run: async (call) => {
    const [what = '', ...words] = call.args
    const calls = Object.hasOwn(shapes, what) ? shapes[what] : undefined
    if (calls === undefined)
      throw new CliError(`'${what}' is nothing to do with an e-switch; there are show and set`)
    if (!calls.takes.includes(words.length)) throw new CliError(`usage: hwacc eswitch ${what} ${calls.usage}`)
    const found = await calls.run(call, words)
    if (call.options.json) return call.out.line(toJson(found))
    for (const one of found) for (const line of linesOf(one)) await call.out.line(line)
  },
}

interface Shape {
  readonly usage: string
  /** How many words may follow. */
  readonly takes: readonly number[]
  readonly run: (call: Call, words: readonly string[]) => Promise<readonly Eswitch[]>
}

const shapes: Readonly<Record<string, Shape>> = {
  show: {
    usage: '[DEV]',
    takes: [0, 1],
    run: async ({ kernel }, [device]) => {
      const all = await kernel.eswitches()
      if (device === undefined) return all
      const found = all.filter(({ name, ports }) => name === device || ports.includes(device))
      if (found.length > 0) return found
      const known = all.length === 0 ? 'there are none' : `there is ${all.map(({ name }) => name).join(', ')}`
      throw new CliError(`'${device}' is no e-switch and no port of one; ${known}`)
    },
  },
  set: {
    usage: 'DEV MODE',
    takes: [2],
    run: async ({ kernel }, [device = '', mode = '']) => [await kernel.setEswitchMode(device, mode)],
  },
}

function* linesOf({ name, mode, driver = '?', firmware, switchId, ports }: Eswitch) {
  yield `${name}: mode ${mode ?? '?'}`
  yield `  driver: ${driver}${firmware === undefined ? '' : ` firmware: ${firmware}`}`
  if (switchId !== undefined) yield `  switch: ${switchId}`
  for (const port of ports) yield `  port: ${port}`
}
