import type { Action } from '../../../types/action.js'
import type { FlowKey } from '../../../types/flow.js'
import type { Port } from '../../../types/port.js'
import { csumFlags } from '../../tc/action/csum.js'
import { NO_PERCPU_STATS, type TcAction } from '../../tc/action/index.js'
import { verdicts } from '../../tc/action/kind.js'
import { directions } from '../../tc/action/mirred.js'
import { fieldFrom, headerTypes, type PeditKey, peditFields, peditKeys } from '../../tc/action/pedit.js'
import { vlanActions } from '../../tc/action/vlan.js'
import { layersOf } from '../../tc/match.js'
import type { Objection } from '../../tc/objections.js'

/** What the translation wants to know of the datapath. */
export interface PortTable {
  byNumber(number: number): Port | undefined
  byIfindex(ifindex: number): Port | undefined
}

/** The match the actions stand behind, and the cookie that names the flow. */
export interface Frame {
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly cookie: Uint8Array
}

/** At most this many actions in a filter (TCA_ACT_MAX_PRIO). */
const MAX_ACTIONS = 32

/**
 * OVS actions as TC actions. The flow's ufid travels as the cookie of gact and mirred, where OVS puts and looks for it
 * (nl_msg_put_flower_acts() in lib/tc.c); a list that does not end in an output ends in a drop, which carries it then.
 */
export function translateActions(
  actions: readonly Action[],
  frame: Frame,
  ports: PortTable,
): { readonly actions: readonly TcAction[]; readonly objections: readonly Objection[] } {
  const list: TcAction[] = []
  const objections: Objection[] = []
  let rewritten: PeditKey[] = []
  // One csum action mends what a run of rewrites broke.
  const mend = () => {
    const updateFlags = checksumsOf(rewritten, frame, objections)
    if (updateFlags !== 0) {
      list.push({
        kind: 'csum',
        options: { parms: { action: verdicts.PIPE, updateFlags } },
        flags: NO_PERCPU_STATS,
      })
    }
    rewritten = []
  }
  actions.forEach((action, index) => {
    const path = `actions[${index}].${Object.keys(action)[0]}`
    const writes = rewriteOf(action)
    if (writes !== undefined) {
      const keys = translateSet(writes, frame, path, objections)
      if (keys.length === 0) return
      rewritten.push(...keys)
      list.push({
        kind: 'pedit',
        options: { parms: { action: verdicts.PIPE, keys }, headers: keys.map(({ header }) => header) },
      })
      return
    }
    mend()
    const translated = translateOne(action, index === actions.length - 1, frame, ports)
    if ('problem' in translated) objections.push({ code: translated.code, path, problem: translated.problem })
    else list.push(translated)
  })
  mend()
  if (!isFinal(list.at(-1))) list.push(drop(frame.cookie))
  if (list.length > MAX_ACTIONS) {
    objections.push({
      code: 'UNSUPPORTED_ACTION',
      path: 'actions',
      problem: `${list.length} TC actions; ${MAX_ACTIONS} fit`,
    })
  }
  return { actions: list, objections }
}

/** Whether nothing comes after an action; a packet that is only mirrored would go on to openvswitch. */
function isFinal(action: TcAction | undefined): boolean {
  return (
    action?.kind === 'gact' || (action?.kind === 'mirred' && action.options.parms?.action === verdicts.STOLEN)
  )
}

function drop(cookie: Uint8Array): TcAction {
  return { kind: 'gact', options: { parms: { action: verdicts.SHOT } }, cookie, flags: NO_PERCPU_STATS }
}

type Refused = Pick<Objection, 'code' | 'problem'>

function translateOne(
  action: Action,
  last: boolean,
  { cookie }: Frame,
  ports: PortTable,
): TcAction | Refused {
  if (action.output !== undefined) return translateOutput(action.output, last, cookie, ports)
  if (action.drop !== undefined) return drop(cookie)
  if (action.popVlan) {
    return {
      kind: 'vlan',
      options: { parms: { action: verdicts.PIPE, vlanAction: vlanActions.POP } },
      flags: NO_PERCPU_STATS,
    }
  }
  if (action.pushVlan) {
    const { tpid: protocol = 0x8100, vid: id = 0, pcp: priority = 0, cfi = 1 } = action.pushVlan
    if (cfi === 0) return { code: 'UNSUPPORTED_ACTION', problem: 'a tag with the CFI bit clear is none' }
    const parms = { action: verdicts.PIPE, vlanAction: vlanActions.PUSH }
    return { kind: 'vlan', options: { parms, protocol, id, priority }, flags: NO_PERCPU_STATS }
  }
  return { code: 'UNSUPPORTED_ACTION', problem: 'TC has no such action here' }
}

function translateOutput(
  number: number,
  last: boolean,
  cookie: Uint8Array,
  ports: PortTable,
): TcAction | Refused {
  const port = ports.byNumber(number)
  if (port === undefined) return { code: 'NO_PORT', problem: `no port ${number} on this datapath` }
  const objection = portObjection(port)
  if (objection !== undefined) return { code: 'PORT_NOT_IN_TC', problem: objection }
  const parms = {
    action: last ? verdicts.STOLEN : verdicts.PIPE,
    eaction: last ? directions.EGRESS_REDIR : directions.EGRESS_MIRROR,
    ifindex: port.ifindex,
  }
  return { kind: 'mirred', options: { parms }, cookie, flags: NO_PERCPU_STATS }
}

/** Why a port can be neither end of a TC flow. What a host sends into an internal port does not pass its ingress hook. */
export function portObjection(port: Port): string | undefined {
  return port.type === 'netdev'
    ? undefined
    : `port ${port.number} (${port.name}) is of type ${port.type}; TC flows need netdev ports`
}

interface Rewrite {
  readonly key: FlowKey
  /** Absent for a set of the whole header. */
  readonly mask?: FlowKey
}

function rewriteOf(action: Action): Rewrite | undefined {
  return action.set === undefined ? action.setMasked : { key: action.set }
}

function translateSet(
  { key, mask }: Rewrite,
  frame: Frame,
  path: string,
  objections: Objection[],
): PeditKey[] {
  const [attribute, value] = Object.entries(key)[0] ?? []
  const bits = mask === undefined ? undefined : (mask as Record<string, unknown>)[attribute ?? '']
  const refuse = (part: string, problem: string) =>
    objections.push({ code: 'UNSUPPORTED_ACTION', path: `${path}.${part}`, problem })
  const fields = peditFields.filter((field) => field.attribute === attribute)
  if (fields.length === 0) {
    refuse(attribute ?? '?', 'TC cannot rewrite it here')
    return []
  }
  const rest = new Map(typeof value === 'object' ? Object.entries(value as object) : [['', value]])
  const keys: PeditKey[] = []
  for (const field of fields) {
    const part = field.part ?? ''
    const whole = mask === undefined ? field.codec.ones : undefined
    const partMask = whole ?? partOf(bits, part) ?? field.codec.zero
    keys.push(...peditKeys(field, rest.get(part) ?? field.codec.zero, partMask))
    rest.delete(part)
  }
  for (const [part, wanted] of rest) {
    // Parts without a field may be written only when writing them changes nothing.
    const same = mask === undefined ? isMatched(frame, attribute ?? '', part, wanted) : !partOf(bits, part)
    if (!same) refuse(`${attribute}.${part}`, 'TC cannot rewrite it')
  }
  return keys
}

const partOf = (value: unknown, part: string): unknown =>
  part === '' ? value : (value as Record<string, unknown> | undefined)?.[part]

function isMatched({ key, mask }: Frame, attribute: string, part: string, value: unknown): boolean {
  const inner = layersOf(key, mask)
  const held = partOf((inner.key as Record<string, unknown>)[attribute], part) ?? 0
  const bits = partOf((inner.mask as Record<string, unknown>)[attribute], part)
  return Boolean(bits) && held === (value ?? 0)
}

// IP protocol ⇄ what csum has to mend; the others' checksums do not cover what is rewritten (csum_update_flag() in OVS's lib/tc.c).
const checksumOf: Readonly<Record<number, number>> = {
  1: 0,
  2: 0,
  4: 0,
  6: csumFlags.TCP,
  17: csumFlags.UDP,
  47: 0,
  58: csumFlags.ICMP,
  132: 0,
}

/** The csum flags a run of rewrites needs, 0 for none. */
function checksumsOf(keys: readonly PeditKey[], frame: Frame, objections: Objection[]): number {
  const l3 = keys.filter(({ header }) => header !== headerTypes.ETH)
  if (l3.length === 0) return 0
  const { key, mask } = layersOf(frame.key, frame.mask)
  const name = key.ipv6 === undefined ? 'ipv4' : 'ipv6'
  const proto = mask[name]?.proto === 0xff ? key[name]?.proto : undefined
  const l4 = proto === undefined ? undefined : checksumOf[proto]
  if (l4 === undefined) {
    const problem =
      'the checksum behind a rewritten header can only be mended when its IP protocol is matched and known'
    objections.push({ code: 'UNSUPPORTED_ACTION', path: `${name}.proto`, problem })
    return 0
  }
  if (l4 !== 0 && !(mask[name]?.frag === 0xff && !key[name]?.frag)) {
    const problem = 'the checksum of a fragment cannot be mended; match frag=no'
    objections.push({ code: 'UNSUPPORTED_ACTION', path: `${name}.frag`, problem })
  }
  return l4 | (keys.some(({ header }) => header === headerTypes.IP4) ? csumFlags.IPV4HDR : 0)
}

/** TC actions as OVS actions. Those without an OVS form are left as unknown ones. */
export function readActions(list: readonly TcAction[], ports: PortTable): readonly Action[] {
  return list.flatMap((action) => readOne(action, ports))
}

function readOne(action: TcAction, ports: PortTable): Action[] {
  switch (action.kind) {
    case 'gact':
    case 'csum':
      return []
    case 'mirred': {
      const { ifindex } = action.options.parms ?? { ifindex: 0 }
      const port = ports.byIfindex(ifindex)
      return [port === undefined ? foreign(`mirred to ifindex ${ifindex}`) : { output: port.number }]
    }
    case 'vlan': {
      const { parms, protocol = 0x8100, id = 0, priority = 0 } = action.options
      if (parms?.vlanAction === vlanActions.POP) return [{ popVlan: true }]
      if (parms?.vlanAction === vlanActions.PUSH)
        return [{ pushVlan: { tpid: protocol, vid: id, pcp: priority, cfi: 1 } }]
      return [foreign('vlan')]
    }
    case 'pedit':
      return readPedit(action.options.parms?.keys ?? [], action.options.headers ?? [])
    default:
      return [foreign(action.name)]
  }
}

/** Stands for an action OVS has no word for: attribute 0 with its name as the payload. */
function foreign(name: string): Action {
  return { unknown: [{ id: 0, data: new TextEncoder().encode(name) }] }
}

function readPedit(words: readonly Omit<PeditKey, 'header'>[], headers: readonly number[]): Action[] {
  const keys = words.map((word, index) => ({ ...word, header: headers[index] ?? 0 }))
  const found = new Map<string, { key: Record<string, unknown>; mask: Record<string, unknown> }>()
  for (const field of peditFields) {
    const { attribute, part } = field
    const written = fieldFrom(field, keys)
    const seen = found.get(attribute)
    if (written === undefined && seen === undefined) {
      if (part === undefined || !peditFields.some((f) => f.attribute === attribute && fieldFrom(f, keys)))
        continue
    }
    const { key, mask } = seen ?? { key: {}, mask: {} }
    key[part ?? ''] = written?.value ?? field.codec.zero
    mask[part ?? ''] = written?.mask ?? field.codec.zero
    found.set(attribute, { key, mask })
  }
  return [...found].map(([attribute, { key, mask }]) => {
    const spread = (value: Record<string, unknown>): FlowKey => ({
      [attribute]: '' in value ? value[''] : value,
    })
    return { setMasked: { key: spread(key), mask: spread(mask) } }
  })
}
