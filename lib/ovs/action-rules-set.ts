import type { FlowKey } from '../../types/flow.js'
import { Writer } from '../netlink/writer.js'
import { isIp, isMpls, type Packet } from './action-rules-packet.js'
import { flowKey } from './key.js'
import { tunnelViolations } from './rules-tunnel.js'

type Report = (path: string, problem: string) => void
type Header = keyof FlowKey & string
/** What is wrong about a header with this packet, if anything. */
type Judge = (packet: Packet) => string | undefined

const anything: Judge = () => undefined
const transport =
  (name: string, proto: number): Judge =>
  ({ etherType, flow }) =>
    isIp(etherType) && flow.proto === proto
      ? undefined
      : `set(${name}()) needs a match on IP and, exactly, on protocol ${proto}`

/** The headers that can be set, and what the match has to prove (validate_set(), net/openvswitch/flow_netlink.c). */
const settable: { readonly [K in Header]?: Judge } = {
  skbPriority: anything,
  skbMark: anything,
  ctMark: anything,
  ctLabels: anything,
  tunnel: anything,
  ethernet: ({ ethernet }) => (ethernet ? undefined : 'the packet has no Ethernet header'),
  ipv4: ({ etherType }) =>
    etherType === 0x0800 ? undefined : 'set(ipv4()) needs an exact match on eth_type(0x0800)',
  ipv6: ({ etherType }) =>
    etherType === 0x86dd ? undefined : 'set(ipv6()) needs an exact match on eth_type(0x86dd)',
  tcp: transport('tcp', 6),
  udp: transport('udp', 17),
  sctp: transport('sctp', 132),
  mpls: ({ etherType }) =>
    isMpls(etherType) ? undefined : 'set(mpls()) needs an exact match on eth_type(0x8847) or 0x8848',
  // Some kernels take it and some do not; that is for them to say.
  nsh: anything,
}

/** What the kernel refuses in set() of a whole header, and with a mask in that of a part of one. */
export function setViolations(key: FlowKey, mask: FlowKey | undefined, packet: Packet, say: Report): void {
  const verb = mask === undefined ? 'set' : 'setMasked'
  const [name] = Object.keys(key) as Header[]
  if (name === undefined || name === 'unknown') return
  const judge = settable[name]
  if (judge === undefined) return say(`${verb}.${name}`, `${name} cannot be set`)
  const problem = judge(packet)
  if (problem !== undefined) say(`${verb}.${name}`, problem)
  if (name === 'tunnel') {
    if (mask !== undefined) return say(`${verb}.tunnel`, 'a tunnel is set as a whole')
    tunnelViolations(key.tunnel, undefined, (path, problem) => say(`${verb}.${path}`, problem))
  }
  if (name === 'ipv4' || name === 'ipv6') {
    // The kernel compares with what the match proves; a match on everything else leaves 0.
    for (const part of ['proto', 'frag'] as const) {
      const value = key[name]?.[part] ?? 0
      const changed = mask === undefined ? value !== packet.flow[part] : (mask[name]?.[part] ?? 0) !== 0
      if (changed) say(`${verb}.${name}.${part}`, `${part} cannot be changed`)
    }
  }
  if (mask !== undefined && spills(name, key, mask))
    say(`${verb}.${name}`, 'the value has bits that the mask does not have')
}

function spills(name: Header, key: FlowKey, mask: FlowKey): boolean {
  const [value, bits] = [encoded(name, key), encoded(name, mask)]
  return value.some((byte, index) => (byte & ~(bits[index] ?? 0)) !== 0)
}

function encoded(name: Header, key: FlowKey): Uint8Array {
  const writer = new Writer(64)
  flowKey.write(writer, { [name]: key[name] })
  // Behind the header of the attribute.
  return writer.view().subarray(4)
}
