import { headerTypes, type PeditKey } from '../../../tc/action/pedit.js'
import type { Translation } from './translation.js'

/** Ethernet type, or IP protocol, of the header a word is counted from. */
const needs: Readonly<Record<number, { readonly etherType?: number; readonly proto?: number }>> = {
  [headerTypes.IP4]: { etherType: 0x0800 },
  [headerTypes.IP6]: { etherType: 0x86dd },
  [headerTypes.TCP]: { proto: 6 },
  [headerTypes.UDP]: { proto: 17 },
}

/** Whether pedit looks for a header where it is; it does not look what it finds there. */
export function isFound({ header }: PeditKey, translation: Translation, path: string): boolean {
  const { packet, inner } = translation
  const { etherType, proto } = needs[header & 0xffff] ?? {}
  const before = translation.objections.length
  if (!packet.ethernet && header === headerTypes.ETH) {
    translation.refuse(path, 'KERNEL_RULE', 'the packet has no Ethernet header any more')
  }
  if (header === headerTypes.ETH) return translation.objections.length === before
  needsIp(translation, path, etherType)
  if (proto !== undefined) {
    const name = inner.key.ipv6 === undefined ? 'ipv4' : 'ipv6'
    if (inner.mask[name]?.proto !== 0xff || inner.key[name]?.proto !== proto) {
      translation.refuse(path, 'UNPROVEN', `needs an exact match on IP protocol ${proto}`)
    }
  }
  return translation.objections.length === before
}

/** TC takes for the network header what follows the first tag, whatever it is. */
export function needsIp(translation: Translation, path: string, etherType?: number): void {
  const { packet } = translation
  const fits = etherType === undefined ? isIp(packet.etherType) : packet.etherType === etherType
  if (!fits) {
    const wanted =
      etherType === undefined ? '0x0800 or 0x86dd' : `0x${etherType.toString(16).padStart(4, '0')}`
    translation.refuse(path, 'UNPROVEN', `needs a packet of Ethernet type ${wanted}`)
  }
  if (packet.tags > 1) {
    translation.refuse(path, 'NO_TC_ACTION', 'TC does not find the IP header behind two VLAN tags')
  }
}

const isIp = (etherType: number | undefined): boolean => etherType === 0x0800 || etherType === 0x86dd
