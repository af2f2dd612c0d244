import { s32, u8, u16 } from '../netlink/integers.js'
import { HEADER_SIZE } from '../netlink/message.js'
import { struct } from '../netlink/struct.js'

/** genlmsghdr, then struct ovs_header: how every message of the openvswitch families begins. */
export interface OvsHeader {
  readonly cmd: number
  readonly version: number
  readonly reserved?: number
  /** Ifindex of the datapath's own device; 0 where a name is given instead. */
  readonly dpIfindex: number
}

export const ovsHeader = struct<OvsHeader>({ cmd: u8, version: u8, reserved: u16, dpIfindex: s32 })

/** Where a message's attributes begin: behind nlmsghdr, genlmsghdr and ovs_header. */
export const HEADERS = HEADER_SIZE + ovsHeader.size

/** The commands datapath, vport and flow have in common. NEW makes, SET changes what is there. */
export const commands = { NEW: 1, DEL: 2, GET: 3, SET: 4 } as const
