import type { Codec } from './codec.js'
import { u8, u16, u32 } from './integers.js'
import type { MessageForm } from './message.js'
import { eachAttribute } from './reader.js'
import { struct } from './struct.js'
import { AttributeSet, string } from './table.js'

/** struct genlmsghdr. */
export interface GenlHeader {
  readonly cmd?: number
  readonly version?: number
  readonly reserved?: number
}

export const genlHeader = struct<GenlHeader>({ cmd: u8, version: u8, reserved: u16 })

/** A generic netlink family: how it is found, and what its messages say. */
export interface Family<Header, Body> extends MessageForm<Header, Body> {
  /** What the kernel calls it; its number is looked up once by `transport/family.ts`. */
  readonly name: string
  /** What brings it, for those whose kernel lacks it; a module of openvswitch when left out. */
  readonly origin?: string
  readonly version: number
  readonly commands: Readonly<Record<string, number>>
}

/** CTRL_ATTR_*: as much of the controller as a look-up needs. */
export interface ControlBody {
  readonly familyId?: number
  readonly familyName?: string
  readonly groups?: readonly MulticastGroup[]
}

/** CTRL_ATTR_MCAST_GRP_*: where a family tells of changes. */
export interface MulticastGroup {
  readonly name?: string
  readonly id?: number
}

// biome-ignore format: one row per line
export const multicastGroup = new AttributeSet<MulticastGroup>('group', {
  name: { uapi: 'CTRL_ATTR_MCAST_GRP_NAME', id: 1, codec: string, doc: 'The name it is found by.' },
  id: { uapi: 'CTRL_ATTR_MCAST_GRP_ID', id: 2, codec: u32, doc: 'The number sockets join.' },
})

/** One attribute for each group, numbered from 1. */
const groups: Codec<readonly MulticastGroup[]> = {
  size: undefined,
  write: (writer, list) => {
    for (const [index, group] of list.entries()) {
      const at = writer.begin(index + 1)
      multicastGroup.write(writer, group)
      writer.end(at)
    }
  },
  read: (bytes, start, end) => {
    const list: MulticastGroup[] = []
    eachAttribute(bytes, start, end, (_, from, to) => list.push(multicastGroup.read(bytes, from, to)))
    return list
  },
  samples: [[], [{ name: 'ovs_vport', id: 7 }]],
}

/** The family that knows the others (linux/genetlink.h). Its own number is fixed. */
export const GENL_ID_CTRL = 16
export const controller: Family<GenlHeader, ControlBody> = {
  name: 'nlctrl',
  version: 1,
  commands: { NEWFAMILY: 1, GETFAMILY: 3 },
  header: genlHeader,
  body: new AttributeSet<ControlBody>('ctrl', {
    familyId: {
      uapi: 'CTRL_ATTR_FAMILY_ID',
      id: 1,
      codec: u16,
      doc: 'The number messages carry as their type.',
    },
    familyName: { uapi: 'CTRL_ATTR_FAMILY_NAME', id: 2, codec: string, doc: 'The name it is found by.' },
    groups: { uapi: 'CTRL_ATTR_MCAST_GROUPS', id: 7, codec: groups, doc: 'Where it tells of changes.' },
  }) satisfies Codec<ControlBody>,
}
