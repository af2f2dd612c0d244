import type { FlowKey } from '../../types/flow.js'

/** What the kernel knows about the packet while it looks through actions. */
export interface Packet {
  /** The flow's innermost headers; what the mask leaves open is 0. */
  readonly flow: Flow
  readonly ethernet: boolean
  /** 0 when it is not known. */
  readonly etherType: number
  readonly tagged: boolean
  readonly labels: number
}

/** What actions are judged by, as the match proves it. */
export interface Flow {
  readonly ethernet: boolean
  readonly etherType: number
  /** IP protocol, 0 when open. */
  readonly proto: number
  readonly frag: number
  readonly nsh: FlowKey['nsh']
}

/** TUN_P_ETHERNET: the next protocol of a network service header. */
export const ETHERNET = 3

/** ETH_P_802_2: what has no Ethernet type. */
const NO_TYPE = 4

export function packetOf(key: FlowKey, mask: FlowKey): Packet {
  let [inner, bits] = [key, mask]
  for (let depth = 0; inner.encap !== undefined && depth < 2; depth++) {
    bits = bits.encap ?? {}
    inner = inner.encap
  }
  const etherType = inner.etherType === undefined ? NO_TYPE : bits.etherType ? inner.etherType : 0
  const [ip, ipBits] = [inner.ipv4 ?? inner.ipv6, bits.ipv4 ?? bits.ipv6]
  return {
    flow: {
      ethernet: key.ethernet !== undefined,
      etherType,
      proto: (ip?.proto ?? 0) & (ipBits?.proto ?? 0),
      frag: (ip?.frag ?? 0) & (ipBits?.frag ?? 0),
      nsh: maskedNsh(inner.nsh, bits.nsh),
    },
    ethernet: key.ethernet !== undefined,
    etherType,
    tagged: key.vlan !== undefined && (key.vlan.cfi ?? 1) === 1,
    labels: bits.mpls === undefined ? 0 : (inner.mpls?.length ?? 0),
  }
}

/** The part that is asked for: the next protocol. */
function maskedNsh(nsh: FlowKey['nsh'], bits: FlowKey['nsh']): FlowKey['nsh'] {
  return nsh && { base: { np: (nsh.base?.np ?? 0) & (bits?.base?.np ?? 0) } }
}

export const isMpls = (etherType: number): boolean => etherType === 0x8847 || etherType === 0x8848
export const isIp = (etherType: number): boolean => etherType === 0x0800 || etherType === 0x86dd

/** Before which a label may be pushed: IP, ARP, RARP and labels. */
export const isPushable = (etherType: number): boolean =>
  isIp(etherType) || isMpls(etherType) || etherType === 0x0806 || etherType === 0x8035
