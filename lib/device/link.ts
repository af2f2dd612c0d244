import type { UnknownAttribute } from '../../types/flow.js'
import { s32, u8, u16, u32 } from '../netlink/integers.js'
import type { MessageForm } from '../netlink/message.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, bytes, string } from '../netlink/table.js'

/** struct ifinfomsg (linux/rtnetlink.h). */
export interface LinkHeader {
  readonly family?: number
  readonly pad?: number
  readonly type?: number
  readonly ifindex: number
  /** IFF_*; only the bits of `change` count in a request. */
  readonly flags?: number
  readonly change?: number
}

export interface LinkBody {
  readonly name?: string
  readonly mtu?: number
  /** Ifindex of the device it belongs to; in a dump request, those that belong to it are wanted. */
  readonly master?: number
  readonly info?: LinkInfo
  /** Free text people can give a device; at most 255 bytes. */
  readonly alias?: string
  readonly extMask?: number
  /** Of ports of an e-switch: what names the port, what names the port's e-switch, and what the port is called on it. */
  readonly physPortId?: Uint8Array
  readonly physSwitchId?: Uint8Array
  readonly physPortName?: string
  /** What the device is made of, for example `0000:08:00.0` on bus `pci`. */
  readonly parentName?: string
  readonly parentBus?: string
  readonly unknown?: readonly UnknownAttribute[]
}

/** What a device is a kind of, and what that kind says of itself. */
export interface LinkInfo {
  readonly kind?: string
  readonly data?: Uint8Array
  readonly unknown?: readonly UnknownAttribute[]
}

// biome-ignore format: one row per line
export const linkInfo = new AttributeSet<LinkInfo>('info', {
  kind: { uapi: 'IFLA_INFO_KIND', id: 1, codec: string, doc: 'What `ip link add type` calls it.' },
  data: { uapi: 'IFLA_INFO_DATA', id: 2, codec: bytes, doc: 'Attributes of the kind.' },
})

/** What RTM_*LINK messages look like: the devices of the host. */
export const linkMessage: MessageForm<LinkHeader, LinkBody> & { readonly body: AttributeSet<LinkBody> } = {
  header: struct<LinkHeader>({ family: u8, pad: u8, type: u16, ifindex: s32, flags: u32, change: u32 }),
  // biome-ignore format: one row per line
  body: new AttributeSet<LinkBody>('link', {
    name: { uapi: 'IFLA_IFNAME', id: 3, codec: string, doc: 'Device name.' },
    mtu: { uapi: 'IFLA_MTU', id: 4, codec: u32, doc: 'Largest packet, in bytes.' },
    master: { uapi: 'IFLA_MASTER', id: 10, codec: u32, doc: 'Ifindex of the device it belongs to.' },
    info: { uapi: 'IFLA_LINKINFO', id: 18, codec: linkInfo, doc: 'What kind it is.' },
    alias: { uapi: 'IFLA_IFALIAS', id: 20, codec: string, doc: 'Free text.' },
    extMask: { uapi: 'IFLA_EXT_MASK', id: 29, codec: u32, doc: 'What an answer is to have or to leave out.' },
    physPortId: { uapi: 'IFLA_PHYS_PORT_ID', id: 34, codec: bytes, doc: 'Names a port of a NIC.' },
    physPortName: { uapi: 'IFLA_PHYS_PORT_NAME', id: 38, codec: string, doc: 'What the port is called on its e-switch.' },
    physSwitchId: { uapi: 'IFLA_PHYS_SWITCH_ID', id: 36, codec: bytes, doc: 'Names the e-switch it is a port of.' },
    parentName: { uapi: 'IFLA_PARENT_DEV_NAME', id: 56, codec: string, since: '5.14', doc: 'What it is made of.' },
    parentBus: { uapi: 'IFLA_PARENT_DEV_BUS_NAME', id: 57, codec: string, since: '5.14', doc: 'On which bus that is.' },
  }),
}

/** RTM_*LINK. */
export const linkTypes = { NEWLINK: 16, DELLINK: 17, GETLINK: 18 } as const

/** Bits of `extMask`: answers without counters are a third of the size. */
export const extMask = { SKIP_STATS: 8 } as const

/** ARPHRD_* of linux/if_arp.h: what `type` says of a device whose packets have no header of their own. */
export const linkLayers = { NONE: 0xfffe } as const

/** IFF_* of linux/if.h. */
export const linkFlags = { UP: 1 } as const
