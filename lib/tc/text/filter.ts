import { type FlowerBody, filterFlags } from '../flower.js'
import { type NameOf, sayActions } from './action.js'
import { sayMatch } from './match.js'
import { hexOf, Phrase, protocolName } from './phrase.js'

/** Where a filter hangs, as `tc` is told. */
export interface FilterPlace {
  readonly ifindex: number
  /** Ethernet type. */
  readonly protocol: number
  /** Left out, the kernel chooses one. */
  readonly prio?: number
  /** Left out or 0, the kernel chooses one. */
  readonly handle?: number
  readonly chain?: number
}

/**
 * The command of `tc` (iproute2 6.1) that puts the same filter on the ingress of its device, which has to have a qdisc there
 * (`tc qdisc add dev DEV ingress`). What `tc` has no words for comes first, a line each, and then every line begins with `#`, so that
 * nobody puts a filter that says less by mistake.
 */
export function formatFilter(
  place: FilterPlace,
  { unknown = [], flags = 0, actions = [] }: FlowerBody,
  nameOf: NameOf,
): string {
  const phrase = new Phrase()
  const { ifindex, protocol, prio, handle, chain } = place
  const quotedName: NameOf = (index) => quoted(nameOf(index))
  const device = quotedName(ifindex)
  if (device === undefined) phrase.lack(`the device ${ifindex}, whose name nobody knows`)
  phrase.say('tc', 'filter', 'add', 'dev', device ?? ifindex, 'ingress', 'protocol', protocolName(protocol))
  if (prio) phrase.say('pref', prio)
  if (handle) phrase.say('handle', hexOf(handle))
  if (chain) phrase.say('chain', chain)
  phrase.say('flower')
  sayMatch(unknown, phrase)
  if (flags & filterFlags.SKIP_HW) phrase.say('skip_hw')
  if (flags & filterFlags.SKIP_SW) phrase.say('skip_sw')
  sayActions(actions, phrase, quotedName)
  const command = phrase.words.join(' ')
  if (phrase.lacks.length === 0) return command
  return [...phrase.lacks.map((lack) => `# tc has no words for ${lack}`), `# ${command}`].join('\n')
}

/** A device may be called almost anything. */
function quoted(name: string | undefined): string | undefined {
  return name === undefined || /^[\w.:@+-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`
}
