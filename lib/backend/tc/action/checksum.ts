import type { FlowKey } from '../../../../types/flow.js'
import { csumFlags } from '../../../tc/action/csum.js'
import { headerTypes, type PeditKey } from '../../../tc/action/pedit.js'
import type { Translation } from './translation.js'

// IP protocol ⇄ what csum has to mend where an address is rewritten; the others' checksums do not cover it. What openvswitch leaves
// broken or we do not know has no row.
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

/** Whether a word lies in what the checksum of the next header covers: addresses and ports. */
function isCovered({ header, offset }: PeditKey): boolean {
  if (header === headerTypes.IP4) return offset >= 12
  if (header === headerTypes.IP6) return offset >= 8
  return header === headerTypes.TCP || header === headerTypes.UDP
}

/** The csum flags a run of rewrites needs, 0 for none. */
export function checksumsOf(
  keys: readonly PeditKey[],
  { key, mask }: { readonly key: FlowKey; readonly mask: FlowKey },
  translation: Translation,
): number {
  const header = keys.some((word) => (word.header & 0xffff) === headerTypes.IP4) ? csumFlags.IPV4HDR : 0
  if (!keys.some(isCovered)) return header
  const name = key.ipv6 === undefined ? 'ipv4' : 'ipv6'
  const proto = mask[name]?.proto === 0xff ? key[name]?.proto : undefined
  const l4 = proto === undefined ? undefined : checksumOf[proto]
  if (l4 === undefined) {
    const problem =
      'the checksum behind a rewritten header can only be mended when its IP protocol is matched and known'
    translation.refuse(`${name}.proto`, 'UNKNOWN_CHECKSUM', problem)
    return 0
  }
  if (l4 !== 0 && !(mask[name]?.frag === 0xff && !key[name]?.frag)) {
    const problem = 'the checksum of a fragment cannot be mended; match frag=no'
    translation.refuse(`${name}.frag`, 'UNKNOWN_CHECKSUM', problem)
  }
  return l4 | header
}
