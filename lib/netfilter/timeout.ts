import type {
  IcmpTimeouts,
  TcpTimeouts,
  TimeoutPolicy,
  TimeoutProtocol,
  UdpTimeouts,
} from '../../types/conntrack.js'
import type { UnknownAttribute } from '../../types/flow.js'
import { be16, be32, u8 } from '../netlink/integers.js'
import type { MessageForm } from '../netlink/message.js'
import { AttributeSet, bytes, string } from '../netlink/table.js'
import { Writer } from '../netlink/writer.js'
import { addressFamilies, type NetfilterHeader, netfilterHeader } from './message.js'

export interface TimeoutBody {
  readonly name?: string
  readonly l3proto?: number
  readonly l4proto?: number
  readonly data?: Uint8Array
  readonly unknown?: readonly UnknownAttribute[]
}

// biome-ignore format: one row per line
export const tcpTimeouts = new AttributeSet<TcpTimeouts>('tcp', {
  synSent: { uapi: 'CTA_TIMEOUT_TCP_SYN_SENT', id: 1, codec: be32, doc: 'Seconds.' },
  synRecv: { uapi: 'CTA_TIMEOUT_TCP_SYN_RECV', id: 2, codec: be32, doc: 'Seconds.' },
  established: { uapi: 'CTA_TIMEOUT_TCP_ESTABLISHED', id: 3, codec: be32, doc: 'Seconds.' },
  finWait: { uapi: 'CTA_TIMEOUT_TCP_FIN_WAIT', id: 4, codec: be32, doc: 'Seconds.' },
  closeWait: { uapi: 'CTA_TIMEOUT_TCP_CLOSE_WAIT', id: 5, codec: be32, doc: 'Seconds.' },
  lastAck: { uapi: 'CTA_TIMEOUT_TCP_LAST_ACK', id: 6, codec: be32, doc: 'Seconds.' },
  timeWait: { uapi: 'CTA_TIMEOUT_TCP_TIME_WAIT', id: 7, codec: be32, doc: 'Seconds.' },
  close: { uapi: 'CTA_TIMEOUT_TCP_CLOSE', id: 8, codec: be32, doc: 'Seconds.' },
  synSent2: { uapi: 'CTA_TIMEOUT_TCP_SYN_SENT2', id: 9, codec: be32, doc: 'Seconds.' },
  retransmit: { uapi: 'CTA_TIMEOUT_TCP_RETRANS', id: 10, codec: be32, doc: 'Seconds.' },
  unack: { uapi: 'CTA_TIMEOUT_TCP_UNACK', id: 11, codec: be32, doc: 'Seconds.' },
})

// biome-ignore format: one row per line
export const udpTimeouts = new AttributeSet<UdpTimeouts>('udp', {
  single: { uapi: 'CTA_TIMEOUT_UDP_UNREPLIED', id: 1, codec: be32, doc: 'Seconds.' },
  multiple: { uapi: 'CTA_TIMEOUT_UDP_REPLIED', id: 2, codec: be32, doc: 'Seconds.' },
})

// ICMPv6 has the same number for it.
// biome-ignore format: one row per line
export const icmpTimeouts = new AttributeSet<IcmpTimeouts>('icmp', {
  first: { uapi: 'CTA_TIMEOUT_ICMP_TIMEOUT', id: 1, codec: be32, doc: 'Seconds.' },
})

/** Timeout policies, as messages of subsystem CTNETLINK_TIMEOUT have them (linux/netfilter/nfnetlink_cttimeout.h). */
export const timeoutMessage: MessageForm<NetfilterHeader, TimeoutBody> & {
  readonly body: AttributeSet<TimeoutBody>
} = {
  header: netfilterHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<TimeoutBody>('timeout', {
    name: { uapi: 'CTA_TIMEOUT_NAME', id: 1, codec: string, doc: 'What it is called, 31 bytes at most.' },
    l3proto: { uapi: 'CTA_TIMEOUT_L3PROTO', id: 2, codec: be16, doc: 'AF_*.' },
    l4proto: { uapi: 'CTA_TIMEOUT_L4PROTO', id: 3, codec: u8, doc: 'IP protocol.' },
    data: { uapi: 'CTA_TIMEOUT_DATA', id: 4, nested: true, codec: bytes, doc: 'Timeouts of the protocol.' },
  }),
}

/** One of the objects a policy is made of. */
export interface TimeoutObject {
  readonly protocol: TimeoutProtocol
  readonly suffix: string
  readonly l3proto: number
  readonly l4proto: number
  readonly timeouts: AttributeSet<object>
}

const { INET, INET6 } = addressFamilies
const tcp = tcpTimeouts as AttributeSet<object>
const udp = udpTimeouts as AttributeSet<object>
const icmp = icmpTimeouts as AttributeSet<object>

/** All six, in the order in which OVS sets them; the names are OVS's, so that each finds the other's. */
// biome-ignore format: one row per line
export const timeoutObjects: readonly TimeoutObject[] = [
  { protocol: 'tcp',  suffix: 'tcp4',   l3proto: INET,  l4proto: 6,  timeouts: tcp },
  { protocol: 'udp',  suffix: 'udp4',   l3proto: INET,  l4proto: 17, timeouts: udp },
  { protocol: 'icmp', suffix: 'icmp4',  l3proto: INET,  l4proto: 1,  timeouts: icmp },
  { protocol: 'tcp',  suffix: 'tcp6',   l3proto: INET6, l4proto: 6,  timeouts: tcp },
  { protocol: 'udp',  suffix: 'udp6',   l3proto: INET6, l4proto: 17, timeouts: udp },
  { protocol: 'icmp', suffix: 'icmpv6', l3proto: INET6, l4proto: 58, timeouts: icmp },
]

export const timeoutName = (id: number, { suffix }: TimeoutObject): string => `ovs_tp_${id}_${suffix}`

/**
 * What the object of a timeout policy is called: what a flow's `ct(timeout=…)` names.
 *
 * ```ts
 * actions: `ct(commit,timeout=${timeoutPolicyName(1, 'tcp', 4)})`
 * ```
 */
export function timeoutPolicyName(id: number, protocol: TimeoutProtocol, version: 4 | 6): string {
  const l3proto = version === 4 ? INET : INET6
  const found = timeoutObjects.find((object) => object.protocol === protocol && object.l3proto === l3proto)
  if (found === undefined) throw new TypeError(`no timeouts of ${protocol} below IP version ${version}`)
  return timeoutName(id, found)
}

/** What makes an object of a policy, or changes it. */
export function timeoutBody(policy: TimeoutPolicy, object: TimeoutObject): TimeoutBody {
  const { protocol, l3proto, l4proto, timeouts } = object
  const data = timeouts.encode(new Writer(64), policy[protocol] ?? {})
  return { name: timeoutName(policy.id, object), l3proto, l4proto, data }
}

/** The number of the policy an object belongs to, and what it says; undefined of one that is not ours. */
export function timeoutOf({ name = '', l3proto, l4proto, data }: TimeoutBody): TimeoutPolicy | undefined {
  const id = Number(/^ovs_tp_([0-9]{1,10})_/.exec(name)?.[1] ?? Number.NaN)
  const object = timeoutObjects.find((known) => known.l3proto === l3proto && known.l4proto === l4proto)
  if (object === undefined || name !== timeoutName(id, object) || data === undefined) return undefined
  return { id, [object.protocol]: object.timeouts.read(data, 0, data.length) }
}
