import type { AddMpls, PushMpls, PushVlan } from '../../../types/action.js'
import type { NshKey } from '../../../types/flow.js'
import { DpifError } from '../../errors.js'
import type { Codec } from '../../netlink/codec.js'
import { be16, u16 } from '../../netlink/integers.js'
import { eachAttribute } from '../../netlink/reader.js'
import type { Struct } from '../../netlink/struct.js'
import type { Writer } from '../../netlink/writer.js'
import { flowKey } from '../key.js'
import { mplsEntry } from '../mpls.js'
import { nshKey } from '../nsh.js'

const vlanTag = flowKey.row(flowKey.ids.vlan)?.codec as Struct<PushVlan>

/** struct ovs_action_push_vlan: two words, both in network order. */
export const pushVlan: Codec<PushVlan> = {
  size: 4,
  write: (writer, { tpid = 0x8100, ...tci }) => {
    const at = writer.reserve(4)
    be16.put(writer.bytes, at, tpid)
    vlanTag.put(writer.bytes, at + 2, tci)
  },
  read: (bytes, start, end) => {
    checkLength(4, start, end)
    return { tpid: be16.take(bytes, start), ...vlanTag.take(bytes, start + 2) }
  },
  samples: [
    { tpid: 0x8100, vid: 7, pcp: 0, cfi: 1 },
    { tpid: 0x88a8, vid: 4095, pcp: 7, cfi: 1 },
  ],
}

/** struct ovs_action_push_mpls: a label stack entry and an Ethernet type in network order, and padding. */
export const pushMpls: Codec<PushMpls> = {
  size: 8,
  write: (writer, value) => {
    putLabel(writer, value)
  },
  read: (bytes, start, end) => {
    checkLength(8, start, end)
    return takeLabel(bytes, start)
  },
  samples: [
    { label: 100, tc: 3, ttl: 64, bos: 1, etherType: 0x8847 },
    { label: 0xfffff, tc: 7, ttl: 255, bos: 0, etherType: 0x8848 },
  ],
}

/** struct ovs_action_add_mpls: as struct ovs_action_push_mpls, with flags in host order in place of the padding. */
export const addMpls: Codec<AddMpls> = {
  size: 8,
  write: (writer, value) => {
    const at = putLabel(writer, value)
    u16.put(writer.bytes, at + 6, value.flags ?? 0)
  },
  read: (bytes, start, end) => {
    checkLength(8, start, end)
    return { ...takeLabel(bytes, start), flags: u16.take(bytes, start + 6) }
  },
  samples: [
    { label: 100, tc: 3, ttl: 64, bos: 1, etherType: 0x8847, flags: 1 },
    { label: 0, tc: 0, ttl: 0, bos: 0, etherType: 0x8848, flags: 0 },
  ],
}

/** The payload is one OVS_KEY_ATTR_NSH, in which the header's attributes are. */
export const pushNsh: Codec<NshKey> = {
  size: undefined,
  write: (writer, value) => {
    const at = writer.begin(flowKey.ids.nsh)
    nshKey.write(writer, value)
    writer.end(at)
  },
  read: (bytes, start, end) => {
    const found: NshKey[] = []
    eachAttribute(bytes, start, end, (id, from, to) => {
      if (id !== flowKey.ids.nsh) throw new DpifError('BAD_MESSAGE', `attribute ${id} where nsh belongs`)
      found.push(nshKey.read(bytes, from, to))
    })
    const [only] = found
    if (only === undefined || found.length !== 1) {
      throw new DpifError('BAD_MESSAGE', `${found.length} headers to push; it takes one`)
    }
    return only
  },
  samples: nshKey.samples,
}

function putLabel(writer: Writer, { etherType = 0x8847, ...label }: PushMpls): number {
  const at = writer.reserve(8)
  mplsEntry.put(writer.bytes, at, label)
  be16.put(writer.bytes, at + 4, etherType)
  return at
}

function takeLabel(bytes: Uint8Array, start: number): PushMpls {
  return { ...mplsEntry.take(bytes, start), etherType: be16.take(bytes, start + 4) }
}

function checkLength(size: number, start: number, end: number): void {
  if (end - start !== size) throw new DpifError('BAD_MESSAGE', `${end - start} bytes where ${size} belong`)
}
