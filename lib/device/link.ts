import type { UnknownAttribute } from '../../types/flow.js'
import { s32, u8, u16, u32 } from '../netlink/integers.js'
import type { MessageForm } from '../netlink/message.js'
import { struct } from '../netlink/struct.js'
import { AttributeSet, string } from '../netlink/table.js'

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
  readonly unknown?: readonly UnknownAttribute[]
}

/** What RTM_*LINK messages look like: the devices of the host. */
export const linkMessage: MessageForm<LinkHeader, LinkBody> & { readonly body: AttributeSet<LinkBody> } = {
  header: struct<LinkHeader>({ family: u8, pad: u8, type: u16, ifindex: s32, flags: u32, change: u32 }),
  // biome-ignore format: one row per line
  body: new AttributeSet<LinkBody>('link', {
    name: { uapi: 'IFLA_IFNAME', id: 3, codec: string, doc: 'Device name.' },
  }),
}

/** RTM_*LINK. */
export const linkTypes = { NEWLINK: 16, GETLINK: 18 } as const

/** IFF_* of linux/if.h. */
export const linkFlags = { UP: 1 } as const
