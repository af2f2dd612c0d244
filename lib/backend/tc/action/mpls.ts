import type { Action, AddMpls, PushMpls } from '../../../../types/action.js'
import type { MplsKey } from '../../../../types/flow.js'
import { verdicts } from '../../../tc/action/kind.js'
import { type MplsOptions, mplsActions } from '../../../tc/action/mpls.js'
import type { Read } from './reading.js'
import type { Rewrite } from './rewrite.js'
import type { Translate, Translation } from './translation.js'

/** The parts of a label, and what TC does not take. */
const parts: readonly { name: keyof MplsKey; ones: number; never?: number }[] = [
  { name: 'label', ones: 0xfffff, never: 3 },
  { name: 'tc', ones: 7 },
  { name: 'ttl', ones: 0xff, never: 0 },
  { name: 'bos', ones: 1 },
]

export const translatePushMpls: Translate<PushMpls> = (label, translation, { path }) => {
  if (!translation.packet.ethernet || translation.packet.tags > 0) {
    translation.refuse(path, 'KERNEL_RULE', 'a label goes into an Ethernet frame without a VLAN tag')
  }
  pushLabel(mplsActions.PUSH, label, translation, path)
}

/** With flag 1 it is push_mpls by another name. */
export const translateAddMpls: Translate<AddMpls> = ({ flags = 0, ...label }, translation, place) => {
  if (flags === 1) {
    translatePushMpls(label, translation, place)
    return
  }
  const { packet } = translation
  if (flags !== 0) translation.refuse(`${place.path}.flags`, 'NO_TC_ACTION', `flags ${flags}; 0 or 1`)
  if (!packet.ethernet || packet.tags > 0) {
    translation.refuse(place.path, 'KERNEL_RULE', 'a label goes before an Ethernet frame without a VLAN tag')
  }
  packet.ethernet = false
  pushLabel(mplsActions.MAC_PUSH, label, translation, place.path)
}

export const translatePopMpls: Translate<number> = (protocol, translation, { path }) => {
  const { packet } = translation
  if (!isMpls(packet.etherType))
    translation.refuse(path, 'UNPROVEN', 'needs a packet of an MPLS Ethernet type')
  if (packet.tags > 0 || !packet.ethernet) {
    translation.refuse(path, 'KERNEL_RULE', 'a label comes out of an Ethernet frame without a VLAN tag')
  }
  if (protocol < 0x600 || protocol === ETH_P_TEB) {
    translation.refuse(path, 'KERNEL_RULE', `0x${protocol.toString(16)} is no Ethernet type to be left with`)
  }
  // What is behind the label is the caller's word only; openvswitch believes it after a recirculation.
  packet.etherType = isMpls(protocol) ? protocol : undefined
  push(translation, { protocol }, mplsActions.POP)
}

/** Each part of the outermost label is written as a whole or not at all. */
export const translateSetMpls: Translate<Rewrite> = ({ value, bits }, translation, { path }) => {
  const [label = {}] = value as readonly MplsKey[]
  const mask = (bits as readonly MplsKey[] | undefined)?.[0]
  const options: { -readonly [K in keyof MplsKey]: number } = {}
  if ((value as readonly MplsKey[]).length !== 1)
    translation.refuse(path, 'KERNEL_RULE', 'one label is set at a time')
  if (!isMpls(translation.packet.etherType) || translation.packet.tags > 1) {
    translation.refuse(path, 'UNPROVEN', 'needs a packet of an MPLS Ethernet type, with at most one VLAN tag')
  }
  for (const { name, ones } of parts) {
    const wanted = bits === undefined ? ones : (mask?.[name] ?? 0)
    if (wanted === 0) continue
    if (wanted !== ones)
      translation.refuse(`${path}.${name}`, 'PARTIAL_MASK', 'TC writes all bits of it or none')
    options[name] = label[name] ?? 0
  }
  if (Object.keys(options).length === 0) return
  checkParts(options, translation, path)
  push(translation, options, mplsActions.MODIFY)
}

function pushLabel(mplsAction: number, label: PushMpls, translation: Translation, path: string): void {
  const { etherType: protocol = 0, label: number = 0, tc = 0, ttl = 0, bos = 0 } = label
  const options = { label: number, tc, ttl, bos }
  checkParts(options, translation, path)
  if (!isMpls(protocol)) {
    translation.refuse(
      `${path}.etherType`,
      'KERNEL_RULE',
      'a label makes an Ethernet type of 0x8847 or 0x8848',
    )
  }
  translation.packet.etherType = protocol
  push(translation, { protocol, ...options }, mplsAction)
}

function checkParts(options: MplsKey, translation: Translation, path: string): void {
  for (const { name, never, ones } of parts) {
    const value = options[name]
    if (value === undefined) continue
    if (value === never)
      translation.refuse(`${path}.${name}`, 'KERNEL_RULE', `TC does not take ${name} ${never}`)
    if (value > ones)
      translation.refuse(`${path}.${name}`, 'VALUE_TOO_LARGE', `${name} ${value} is over ${ones}`)
  }
}

function push(translation: Translation, options: Omit<MplsOptions, 'parms'>, mplsAction: number): void {
  translation.push({ kind: 'mpls', options: { parms: { action: verdicts.PIPE, mplsAction }, ...options } })
}

const isMpls = (etherType: number | undefined): boolean => etherType === 0x8847 || etherType === 0x8848
const ETH_P_TEB = 0x6558

/** What each sort of mpls action is in openvswitch; its dec_ttl is for IP only. */
const readers: Readonly<Record<number, (options: MplsOptions) => Action | undefined>> = {
  [mplsActions.PUSH]: (options) => {
    const pushMpls = readLabel(options)
    return pushMpls && { pushMpls }
  },
  [mplsActions.MAC_PUSH]: (options) => {
    const label = readLabel(options)
    return label && { addMpls: { ...label, flags: 0 } }
  },
  [mplsActions.POP]: ({ protocol }) => (protocol === undefined ? undefined : { popMpls: protocol }),
  [mplsActions.MODIFY]: (options) => {
    const key: Record<string, number> = {}
    const mask: Record<string, number> = {}
    for (const { name, ones } of parts) {
      key[name] = options[name] ?? 0
      mask[name] = options[name] === undefined ? 0 : ones
    }
    return { setMasked: { key: { mpls: [key] }, mask: { mpls: [mask] } } }
  },
}

/** Where a pushed label leaves something out, the kernel fills it in from the packet. */
function readLabel({ protocol, label, tc, ttl, bos }: MplsOptions): PushMpls | undefined {
  if (protocol === undefined || label === undefined || ttl === undefined || bos === undefined)
    return undefined
  return { label, tc: tc ?? 0, ttl, bos, etherType: protocol }
}

export const readMpls: Read<'mpls'> = ({ options }) => {
  const action = readers[options.parms?.mplsAction ?? 0]?.(options)
  return action && [action]
}
