import {
  type Action,
  DpifError,
  type FlowKey,
  formatActions,
  formatKey,
  parseActions,
  parseKey,
  type ParseOptions,
} from '../../index.js'
import { CliError } from '../error.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const normalizeActions: Verb = {
  name: 'normalize-actions',
  usage: 'FLOW ACTIONS [NAME=NUMBER]...',
  summary: 'print what ACTIONS do to the packets of FLOW, for each stack of tags in turn; needs no kernel',
  details: `Tags that are pushed and popped are no actions any more but what the other actions are done under, and outputs that follow one
another are sorted. So lists that do the same are printed alike. NAME=NUMBER gives a port a name.`,
  options: ['more', 'json'],
  takes: [2, Number.POSITIVE_INFINITY],
  writes: false,
  json: '{ key, groups: [{ tags: [{ tpid, vid, pcp }, …] (outermost first), actions }, …] }',
  run: async ({ args: [flow = '', actions = '', ...names], options, out }) => {
    const ports = portsOf(names)
    const { key } = read('flow', () => parseKey(flow, ports))
    const list = read('actions', () => parseActions(actions, ports))
    const groups = normalize(key, list)
    if (options.json) return out.line(toJson({ key, groups }))
    await out.line(`input flow: ${formatKey(key, undefined, { verbose: options.more })}`)
    if (options.more) await out.line(`input actions: ${formatActions(list)}`)
    // One behind the other on one line, as ovs-dpctl has it.
    const label = labelOf(key)
    for (const { tags, actions } of groups)
      await out.write(`${tagsOf(tags)}${label}${formatActions(actions)}`)
  },
}

interface Tag {
  readonly tpid: number
  readonly vid: number
  readonly pcp: number
}

interface Group {
  readonly tags: readonly Tag[]
  readonly actions: readonly Action[]
}

/** The actions under each stack of tags, in the order of the tags. */
export function normalize(key: FlowKey, actions: readonly Action[]): Group[] {
  let tags = tagsUnder(key)
  const groups = new Map<string, { tags: readonly Tag[]; actions: Action[] }>()
  for (const action of actions) {
    if (action.popVlan !== undefined) tags = tags.slice(1)
    else if (action.pushVlan !== undefined) {
      const { tpid = VLAN, vid = 0, pcp = 0 } = action.pushVlan
      tags = [{ tpid, vid, pcp }, ...tags].slice(0, DEPTH)
    } else {
      const name = orderOf(tags)
      const group = groups.get(name) ?? { tags, actions: [] }
      groups.set(name, group)
      group.actions.push(action)
    }
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => ({ tags: group.tags, actions: outputsSorted(group.actions) }))
}

const VLAN = 0x8100
/** FLOW_MAX_VLAN_HEADERS of OVS. */
const DEPTH = 2

function tagsUnder({ etherType = VLAN, vlan, encap }: FlowKey): Tag[] {
  if (vlan === undefined) return []
  const { vid = 0, pcp = 0 } = vlan
  return [{ tpid: etherType, vid, pcp }, ...(encap === undefined ? [] : tagsUnder(encap))].slice(0, DEPTH)
}

/** Text that sorts as the bytes of the tags in a packet do. */
const orderOf = (tags: readonly Tag[]): string =>
  tags.map(({ tpid, vid, pcp }) => (tpid * 0x10000 + (pcp << 13) + 0x1000 + vid).toString(16)).join(' ')

function outputsSorted(actions: readonly Action[]): Action[] {
  const sorted: Action[] = []
  let outputs: { readonly output: number }[] = []
  const close = () => {
    sorted.push(...outputs.sort((a, b) => a.output - b.output))
    outputs = []
  }
  for (const action of actions) {
    if (action.output !== undefined) outputs.push(action)
    else {
      close()
      sorted.push(action)
    }
  }
  close()
  return sorted
}

function tagsOf(tags: readonly Tag[]): string {
  if (tags.length === 0) return 'no vlan: '
  return tags
    .map(({ tpid, vid, pcp }) => {
      const type = tpid === VLAN ? '' : `tpid=0x${tpid.toString(16).padStart(4, '0')},`
      return `vlan(${type}vid=${vid},pcp=${pcp}): `
    })
    .join('')
}

/** The uppermost label of the flow, which no action here changes the name of. */
function labelOf({ encap, mpls }: FlowKey): string {
  if (encap !== undefined) return labelOf(encap)
  const [top] = mpls ?? []
  if (top === undefined) return 'no mpls: '
  const { label = 0, tc = 0, ttl = 0 } = top
  return `mpls(label=${label},tc=${tc},ttl=${ttl}): `
}

function portsOf(words: readonly string[]): ParseOptions {
  const numbers = new Map(
    words.map((word) => {
      const [, name, number] = /^([^=]{1,15})=(\d{1,5})$/.exec(word) ?? []
      if (name === undefined) throw new CliError(`${word}: expected NAME=NUMBER`)
      return [name, Number(number)] as const
    }),
  )
  return { portNumber: (name) => numbers.get(name) }
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof DpifError) throw new CliError(`parsing ${what}: ${error.message}`)
    throw error
  }
}
