import type { FlowKey } from '../../../types/flow.js'
import { ipv4, ipv6, mac } from '../../netlink/addresses.js'
import { be16, be32, u8 } from '../../netlink/integers.js'

/**
 * What a frame says of itself, as key_extract() reads it (net/openvswitch/flow.c): Ethernet, IPv4, IPv6 without extension headers, ARP,
 * TCP, UDP, ICMP and neighbour discovery without options. Of other types it is the Ethernet header alone. Throws a TypeError on a frame
 * that is shorter than it says.
 */
export function dissect(frame: Uint8Array): FlowKey {
  try {
    if (frame.length < 14) throw new RangeError('no Ethernet header')
    const etherType = be16.take(frame, 12)
    const ethernet = { dst: mac.take(frame, 0), src: mac.take(frame, 6) }
    return { ethernet, etherType, ...layers[etherType]?.(frame) }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new TypeError(`a frame of ${frame.length} bytes is shorter than its headers say`)
  }
}

const layers: Readonly<Record<number, (frame: Uint8Array) => FlowKey>> = {
  0x0800: (frame) => {
    need(frame, 34)
    const proto = u8.take(frame, 23)
    const fragment = be16.take(frame, 20)
    const frag = fragment & 0x1fff ? 2 : fragment & 0x2000 ? 1 : 0
    const [tos, ttl] = [u8.take(frame, 15), u8.take(frame, 22)]
    const key = { src: ipv4.take(frame, 26), dst: ipv4.take(frame, 30), proto, tos, ttl, frag }
    return { ipv4: key, ...(frag === 2 ? {} : transport(frame, 14 + (u8.take(frame, 14) & 15) * 4, proto)) }
  },
  0x86dd: (frame) => {
    need(frame, 54)
    const proto = u8.take(frame, 20)
    const word = be32.take(frame, 14)
    const key = {
      src: ipv6.take(frame, 22),
      dst: ipv6.take(frame, 38),
      label: word & 0xfffff,
      proto,
      tclass: (word >>> 20) & 0xff,
      hlimit: u8.take(frame, 21),
      frag: 0,
    }
    return { ipv6: key, ...transport(frame, 54, proto) }
  },
  0x0806: (frame) => {
    need(frame, 42)
    return {
      arp: {
        op: be16.take(frame, 20),
        sha: mac.take(frame, 22),
        sip: ipv4.take(frame, 28),
        tha: mac.take(frame, 32),
        tip: ipv4.take(frame, 38),
      },
    }
  },
}

function transport(frame: Uint8Array, at: number, proto: number): FlowKey {
  const ports = () => ({ src: be16.take(frame, at), dst: be16.take(frame, at + 2) })
  const kind = () => ({ type: u8.take(frame, at), code: u8.take(frame, at + 1) })
  // biome-ignore format: one row per line
  const readers: Readonly<Record<number, readonly [size: number, read: () => FlowKey]>> = {
    1:   [8,  () => ({ icmp: kind() })],
    6:   [20, () => ({ tcp: ports(), tcpFlags: be16.take(frame, at + 12) & 0xfff })],
    17:  [8,  () => ({ udp: ports() })],
    58:  [8,  () => ({ icmpv6: kind(), ...neighbour(frame, at) })],
    132: [12, () => ({ sctp: ports() })],
  }
  const reader = readers[proto]
  if (reader === undefined) return {}
  need(frame, at + reader[0])
  return reader[1]()
}

function neighbour(frame: Uint8Array, at: number): FlowKey {
  const type = u8.take(frame, at)
  if (type !== 135 && type !== 136) return {}
  need(frame, at + 24)
  return { nd: { target: ipv6.take(frame, at + 8) } }
}

function need(frame: Uint8Array, size: number): void {
  if (frame.length < size) throw new RangeError('cut short')
}
