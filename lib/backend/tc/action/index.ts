import type { Action, ActionSet } from '../../../../types/action.js'
import type { UnknownAttribute } from '../../../../types/flow.js'
import type { TcAction } from '../../../tc/action/index.js'
import { verdicts } from '../../../tc/action/kind.js'
import { readCt, translateCt, translateCtClear } from './conntrack.js'
import { readSkbedit } from './metadata.js'
import { readMpls, translateAddMpls, translatePopMpls, translatePushMpls } from './mpls.js'
import { readGact, readMirred, translateDrop, translateOutput, translateRecirc } from './output.js'
import { readPolice, translateCheckPktLen, translateMeter } from './police.js'
import { foreign, type Read, Reading } from './reading.js'
import { refused } from './refused.js'
import { readPedit, translateSet, translateSetMasked } from './rewrite.js'
import { readSample, translateClone, translatePsample, translateSample } from './sample.js'
import type { Frame, PortTable } from './surroundings.js'
import { type ActionObjection, type Translate, Translation, type Walk } from './translation.js'
import { translateDecTtl } from './ttl.js'
import { readTunnelKey } from './tunnel.js'
import { readVlan, translatePopEth, translatePopVlan, translatePushEth, translatePushVlan } from './vlan.js'

export { portObjection } from './output.js'
export { type Abilities, type Frame, isTunnel, type MeterTable, type PortTable } from './surroundings.js'
export type { ActionObjection } from './translation.js'

/*
 * OVS actions as TC actions, and back.
 *
 * A translation is exact or an objection. TC acts on the one packet there is, in order, and every action says what happens next:
 * usually PIPE, the following one. What OVS does to copies TC can do only where the copy does not differ. A list that does not end in
 * an output or another chain ends in a drop, since a packet at the end of a filter goes on to openvswitch.
 *
 * Some TC actions are only there for others: csum behind rewrites, release and the packet type before outputs, the drop at the end.
 * They vanish when a filter is read. What is read is spelled as openvswitch itself reports it: a set as a masked set, a conntrack
 * action with its zone. The flow's ufid travels as the cookie of gact, mirred and police, where OVS puts and looks for it
 * (nl_msg_put_flower_acts() in its lib/tc.c).
 */

/** At most this many actions in a filter (TCA_ACT_MAX_PRIO). */
const MAX_ACTIONS = 32

/** What became of a flow's actions, and what stands against it. */
export interface Translated {
  readonly actions: readonly TcAction[]
  readonly objections: readonly ActionObjection[]
  /** What only a device cannot do. */
  readonly strangers: readonly ActionObjection[]
}

export function translateActions(actions: readonly Action[], frame: Frame, ports: PortTable): Translated {
  const translation = new Translation(frame, ports)
  const walk: Walk = (list, path, last) => {
    list.forEach((action, index) => {
      const name = Object.keys(action)[0] as keyof ActionSet
      const place = { path: `${path}[${index}].${name}`, last: last && index === list.length - 1, walk }
      const translate = translators[name] as Translate<unknown> | undefined
      if (translate !== undefined) translate(action[name], translation, place)
      else translation.refuse(place.path, 'NO_TC_ACTION', 'an action nobody knows')
    })
  }
  walk(actions, 'actions', true)
  translation.finish(0)
  const { list, objections, strangers } = translation
  if (list.length > MAX_ACTIONS) {
    translation.refuse('actions', 'TOO_MANY', `${list.length} TC actions; ${MAX_ACTIONS} fit`)
  }
  return { actions: list, objections, strangers }
}

const translators: { readonly [K in keyof ActionSet]-?: Translate<NonNullable<ActionSet[K]>> } = {
  ...refused,
  output: translateOutput,
  set: translateSet,
  pushVlan: translatePushVlan,
  popVlan: translatePopVlan,
  sample: translateSample,
  recirc: translateRecirc,
  pushMpls: translatePushMpls,
  popMpls: translatePopMpls,
  setMasked: translateSetMasked,
  ct: translateCt,
  pushEth: translatePushEth,
  popEth: translatePopEth,
  ctClear: translateCtClear,
  meter: translateMeter,
  clone: translateClone,
  checkPktLen: translateCheckPktLen,
  addMpls: translateAddMpls,
  decTtl: translateDecTtl,
  drop: translateDrop,
  psample: translatePsample,
}

/** TC actions as OVS actions. Those without an OVS form, and the end of a filter that leaves a packet to others, are unknown ones. */
export function readActions(list: readonly TcAction[], ports: PortTable): readonly Action[] {
  const { actions, ended } = new Reading(list, ports, readOne).range(0, list.length)
  return ended ? actions : [...actions, foreign('no end')]
}

const readers: { readonly [K in Exclude<TcAction['kind'], 'other'>]: Read<K> } = {
  csum: () => [],
  ct: readCt,
  gact: readGact,
  mirred: readMirred,
  mpls: readMpls,
  pedit: readPedit,
  police: readPolice,
  sample: readSample,
  skbedit: readSkbedit,
  tunnel_key: readTunnelKey,
  vlan: readVlan,
}

/** Kinds whose readers look at the verdict themselves; behind the others comes the next action, or, as OVS ends a list, none. */
const deciding: ReadonlySet<string> = new Set(['gact', 'mirred', 'police'])

function readOne(action: TcAction, reading: Reading): readonly Action[] {
  if (action.kind === 'other') return [foreign(action.name)]
  const { kind, options } = action
  const { parms, unknown = [] } = options as {
    readonly parms?: { readonly action: number }
    readonly unknown?: readonly UnknownAttribute[]
  }
  const plain = parms !== undefined && unknown.length === 0
  const last = !deciding.has(kind) && parms?.action === verdicts.SHOT
  const next = last || deciding.has(kind) || parms?.action === verdicts.PIPE
  const actions = plain && next ? (readers[kind] as Read<typeof kind>)(action as never, reading) : undefined
  if (actions === undefined) return [foreign(kind)]
  if (last) reading.end()
  return actions
}
