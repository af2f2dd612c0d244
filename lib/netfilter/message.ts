import { be16, u8 } from '../netlink/integers.js'
import { struct } from '../netlink/struct.js'

/** struct nfgenmsg (linux/netfilter/nfnetlink.h): how every message of netfilter begins. */
export interface NetfilterHeader {
  /** AF_*: of the addresses in the message; 0 where there are none. */
  readonly family?: number
  readonly version?: number
  readonly resource?: number
}

export const netfilterHeader = struct<NetfilterHeader>({ family: u8, version: u8, resource: be16 })

/** AF_*. */
export const addressFamilies = { INET: 2, INET6: 10 } as const

/** NFNL_SUBSYS_*: the upper byte of a message's type. */
export const subsystems = { CTNETLINK: 1, CTNETLINK_TIMEOUT: 8 } as const

/** IPCTNL_MSG_CT_*: the lower byte of types of connections. Answers are of NEW. */
export const connectionCommands = { NEW: 0, GET: 1, DELETE: 2 } as const

/** IPCTNL_MSG_TIMEOUT_*. */
export const timeoutCommands = { NEW: 0, GET: 1, DELETE: 2 } as const

/** The type of messages of a subsystem. */
export const typeOf = (subsystem: keyof typeof subsystems, command: number): number =>
  (subsystems[subsystem] << 8) | command
