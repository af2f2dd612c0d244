import type { Action, ActionSet } from '../../types/action.js'
import type { ActionKind } from '../../types/rules.js'

/** What an action is called in policies: the word of ovs-dpctl. */
// biome-ignore format: one row per line
const kindOf = {
  output:      'output',
  userspace:   'userspace',
  set:         'set',
  pushVlan:    'push_vlan',
  popVlan:     'pop_vlan',
  sample:      'sample',
  recirc:      'recirc',
  hash:        'hash',
  pushMpls:    'push_mpls',
  popMpls:     'pop_mpls',
  setMasked:   'set',
  ct:          'ct',
  trunc:       'trunc',
  pushEth:     'push_eth',
  popEth:      'pop_eth',
  ctClear:     'ct_clear',
  pushNsh:     'push_nsh',
  popNsh:      'pop_nsh',
  meter:       'meter',
  clone:       'clone',
  checkPktLen: 'check_pkt_len',
  addMpls:     'add_mpls',
  decTtl:      'dec_ttl',
  drop:        'drop',
  psample:     'psample',
  unknown:     'unknown',
} as const satisfies Readonly<Record<keyof ActionSet, ActionKind>>

/** Every kind there is. */
export const actionKinds: readonly ActionKind[] = [...new Set(Object.values(kindOf))]

const bitOfName: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(kindOf).map(([name, kind]) => [name, 1 << actionKinds.indexOf(kind)]),
)
const DROP = 1 << actionKinds.indexOf('drop')

/** A set of kinds, as bits. Throws a TypeError on what is none. */
export function kindBits(kinds: readonly ActionKind[]): number {
  let bits = 0
  for (const kind of kinds) {
    const at = actionKinds.indexOf(kind)
    if (at < 0) throw new TypeError(`'${kind}' is no kind of action; there are ${actionKinds.join(', ')}`)
    bits |= 1 << at
  }
  return bits
}

/** The kinds of a flow's actions, and of those within them. A flow that does nothing drops. */
export function kindsOf(actions: readonly Action[]): number {
  return actions.length === 0 ? DROP : bitsOf(actions)
}

function bitsOf(actions: readonly Action[]): number {
  let bits = 0
  for (let index = 0; index < actions.length; index++) {
    const action = actions[index] as Action
    for (const name in action) bits |= bitOfName[name] ?? 0
    if ((bits & NESTING) !== 0) {
      for (const nested of nestedIn(action)) bits |= bitsOf(nested)
    }
  }
  return bits
}

const NESTING = kindBits(['clone', 'sample', 'check_pkt_len', 'dec_ttl'])
const none: readonly (readonly Action[])[] = []

/** The lists of actions an action carries out. */
export function nestedIn({ clone, sample, checkPktLen, decTtl }: Action): readonly (readonly Action[])[] {
  if (clone !== undefined) return [clone]
  if (sample !== undefined) return [sample.actions ?? []]
  if (checkPktLen !== undefined) return [checkPktLen.greater ?? [], checkPktLen.lessEqual ?? []]
  if (decTtl !== undefined) return [decTtl.action ?? []]
  return none
}
