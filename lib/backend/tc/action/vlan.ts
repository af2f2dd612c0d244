import type { Action, PushVlan } from '../../../../types/action.js'
import type { EthernetKey } from '../../../../types/flow.js'
import { NO_PERCPU_STATS } from '../../../tc/action/index.js'
import { verdicts } from '../../../tc/action/kind.js'
import { type VlanOptions, vlanActions } from '../../../tc/action/vlan.js'
import type { Read } from './reading.js'
import type { Translate, Translation } from './translation.js'

export const translatePushVlan: Translate<PushVlan> = (tag, translation, { path }) => {
  const { tpid: protocol = 0x8100, vid: id = 0, pcp: priority = 0, cfi = 1 } = tag
  if (cfi === 0) translation.refuse(path, 'KERNEL_RULE', 'a tag with the CFI bit clear is none')
  if (protocol !== 0x8100 && protocol !== 0x88a8) {
    translation.refuse(`${path}.tpid`, 'KERNEL_RULE', `0x${protocol.toString(16)} is no type of a VLAN tag`)
  }
  if (id > 0xffe) translation.refuse(`${path}.vid`, 'KERNEL_RULE', `TC pushes no VLAN id ${id}; 0 to 4094`)
  needsEthernet(translation, path)
  translation.packet.tags++
  push(translation, vlanActions.PUSH, { protocol, id, priority })
}

export const translatePopVlan: Translate<true> = (_, translation, { path }) => {
  needsEthernet(translation, path)
  const { packet } = translation
  if (packet.tags > 0) packet.tags--
  push(translation, vlanActions.POP)
}

export const translatePopEth: Translate<true> = (_, translation, { path }) => {
  needsEthernet(translation, path)
  if (translation.packet.tags > 0) {
    translation.refuse(path, 'KERNEL_RULE', 'the Ethernet header of a tagged packet; pop_vlan first')
  }
  translation.packet.ethernet = false
  push(translation, vlanActions.POP_ETH)
}

export const translatePushEth: Translate<EthernetKey> = ({ src, dst }, translation, { path }) => {
  if (translation.packet.ethernet) {
    translation.refuse(path, 'KERNEL_RULE', 'the packet has an Ethernet header; pop_eth first')
  }
  translation.packet.ethernet = true
  push(translation, vlanActions.PUSH_ETH, { ethDst: dst ?? ZERO, ethSrc: src ?? ZERO })
}

const ZERO = '00:00:00:00:00:00'

function needsEthernet(translation: Translation, path: string): void {
  if (!translation.packet.ethernet) {
    translation.refuse(path, 'KERNEL_RULE', 'the packet has no Ethernet header any more')
  }
}

function push(translation: Translation, vlanAction: number, more: Omit<VlanOptions, 'parms'> = {}): void {
  const options = { parms: { action: verdicts.PIPE, vlanAction }, ...more }
  translation.push({ kind: 'vlan', options, flags: NO_PERCPU_STATS })
}

/** What each sort of vlan action is in openvswitch; it has no word for changing a tag in place. */
const readers: Readonly<Record<number, (options: VlanOptions) => Action>> = {
  [vlanActions.POP]: () => ({ popVlan: true }),
  [vlanActions.PUSH]: ({ protocol = 0x8100, id = 0, priority = 0 }) => {
    return { pushVlan: { tpid: protocol, vid: id, pcp: priority, cfi: 1 } }
  },
  [vlanActions.POP_ETH]: () => ({ popEth: true }),
  [vlanActions.PUSH_ETH]: ({ ethSrc = ZERO, ethDst = ZERO }) => ({ pushEth: { src: ethSrc, dst: ethDst } }),
}

export const readVlan: Read<'vlan'> = ({ options }) => {
  const action = readers[options.parms?.vlanAction ?? 0]?.(options)
  return action && [action]
}
