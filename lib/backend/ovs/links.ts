import type { TunnelSettings, TunnelType } from '../../../types/port.js'
import type { Transport } from '../../../types/transport.js'
import {
  extMask,
  type LinkBody,
  type LinkHeader,
  linkFlags,
  linkMessage,
  linkTypes,
} from '../../device/link.js'
import { completeSettings, tunnelInfo, tunnelOf } from '../../device/tunnel.js'
import { DpifError } from '../../errors.js'
import { flags, readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { kernelFailure } from '../failure.js'

/** A device as rtnetlink knows it. */
export interface Link {
  readonly header: LinkHeader
  readonly body: LinkBody
}

/**
 * The devices behind ports. A tunnel is a device of its own that whoever wants the port makes, and takes away again. Ours carry a mark
 * people can see (`ip link` prints it as alias), so that any later process knows them; a device without it is never removed.
 */
export class Links {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * Devices that belong to the datapath whose own device is `master`, by ifindex. A kernel that passes over the wish reports others
   * too.
   */
  async under(
    master: number,
  ): Promise<{ readonly links: ReadonlyMap<number, Link>; readonly whole: boolean }> {
    const links = new Map<number, Link>()
    let whole = true
    const body = { master, extMask: extMask.SKIP_STATS }
    try {
      for await (const page of this.#transport.dump(
        'route',
        request(linkTypes.GETLINK, 0, { ifindex: 0 }, body),
      )) {
        for (const message of messagesOf(page)) {
          const link = readMessage(linkMessage, message)
          links.set(link.header.ifindex, link)
        }
      }
    } catch (error) {
      // Any device that comes or goes interrupts; whoever misses one here asks again.
      if (!(error instanceof DpifError) || error.code !== 'DUMP_INTERRUPTED') throw error
      whole = false
    }
    return { links, whole }
  }

  /**
   * Makes a tunnel that is up, or finds one of that name that is the same. Answers whether it was made. Rejects with EXISTS, BUSY,
   * UNSUPPORTED or NO_PRIVILEGE.
   */
  async makeTunnel(name: string, type: TunnelType, settings: TunnelSettings): Promise<boolean> {
    const attempt = `make ${type} device '${name}'`
    const info = tunnelInfo(type, settings)
    const failure = await this.#send(
      linkTypes.NEWLINK,
      flags.CREATE | flags.EXCL,
      { ifindex: 0 },
      { name, info },
    )
    if (failure !== undefined) {
      const there = await this.#get(name)
      if (there !== undefined && isSame(there, type, settings)) return false
      const hint = there === undefined ? hints[failure.errno] : 'there is another device of that name'
      throw DpifError.from(kernelFailure(attempt, failure, hint === undefined ? {} : { hint }))
    }
    // Packets that openvswitch finds larger than the MTU it drops, while what fits is decided by the route outside (lib/dpif-netlink-rtnl.c
    // in OVS says 65000, too).
    const header = { ifindex: 0, flags: linkFlags.UP, change: linkFlags.UP }
    const problem = await this.#send(linkTypes.NEWLINK, 0, header, { name, mtu: TUNNEL_MTU, alias: MARK })
    if (problem === undefined) return true
    await this.removeNamed(name)
    throw DpifError.from(kernelFailure(attempt, problem, problem.errno === EADDRINUSE ? inUse : {}))
  }

  async bringUp(name: string, ifindex: number): Promise<void> {
    const header = { ifindex, flags: linkFlags.UP, change: linkFlags.UP }
    const failure = await this.#send(linkTypes.NEWLINK, 0, header, {})
    if (failure !== undefined) throw DpifError.from(kernelFailure(`bring device '${name}' up`, failure))
  }

  /** Removes a device. One that is gone already was to go. */
  async remove(name: string, ifindex: number): Promise<void> {
    const failure = await this.#send(linkTypes.DELLINK, 0, { ifindex }, {})
    if (failure !== undefined && failure.errno !== ENODEV)
      throw DpifError.from(kernelFailure(`remove device '${name}'`, failure))
  }

  /** Takes back what was made a moment ago; that it cannot be is no news beside what went wrong. */
  async removeNamed(name: string): Promise<void> {
    await this.#send(linkTypes.DELLINK, 0, { ifindex: 0 }, { name })
  }

  async #get(name: string): Promise<Link | undefined> {
    const { replies } = await this.#transport.exchange(
      'route',
      request(linkTypes.GETLINK, 0, { ifindex: 0 }, { name, extMask: extMask.SKIP_STATS }),
    )
    for (const message of messagesOf(replies)) return readMessage(linkMessage, message)
    return undefined
  }

  async #send(type: number, messageFlags: number, header: LinkHeader, body: LinkBody) {
    const { failures } = await this.#transport.exchange('route', request(type, messageFlags, header, body))
    return failures[0]
  }
}

/** Whether a device was made by {@link Links.makeTunnel}, in whatever process. */
export function isOurs({ body: { alias, info = {} } }: Link): boolean {
  return alias === MARK && tunnelOf(info) !== undefined
}

function isSame({ body: { info = {} } }: Link, type: TunnelType, settings: TunnelSettings): boolean {
  const known = tunnelOf(info)
  const wanted = completeSettings(type, settings)
  return known?.type === type && known.tunnel.dstPort === wanted.dstPort && known.tunnel.gbp === wanted.gbp
}

function request(type: number, messageFlags: number, header: LinkHeader, body: LinkBody): Uint8Array {
  const writer = new Writer(128)
  writeMessage(writer, linkMessage, { type, flags: messageFlags, header, body })
  return writer.take()
}

const MARK = 'dpif-hw-acc'
const TUNNEL_MTU = 65000
const ENODEV = 19
const EADDRINUSE = 98
const inUse = { code: 'BUSY', hint: 'somebody else has the UDP port' } as const

// Which of two errnos it is differs from kind to kind.
const taken = 'a tunnel device of that kind has the UDP port already, or is the only one there can be'
const hints: Readonly<Record<number, string>> = {
  16: taken,
  17: taken,
  95: 'the kernel has no tunnels of that kind',
}
