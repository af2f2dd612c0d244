/**
 * A flow's 128-bit identity in the form OVS prints it, without the `ufid:` prefix and in lower case:
 * `3f2a9c10-0000-4000-8000-0123456789ab`.
 *
 * OVS prints four 32-bit words in host order, so on little-endian hosts the bytes inside each word are reversed
 * relative to the netlink attribute and to the cookie that `tc -s filter` shows (`odp_format_ufid()` in OVS).
 */
export type Ufid = string

/**
 * The four 32-bit words a ufid stands for, in the order OVS prints them, each as a signed integer: what tables are searched by and
 * messages are written from.
 */
export interface FlowWords {
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
}

/** A ufid with its words, so that the text is read once. */
export interface FlowId extends FlowWords {
  readonly ufid: Ufid
}

/** `00:11:22:33:44:55`. */
export type Mac = string
/** `10.0.0.1`; as a mask `255.255.255.0`. */
export type Ipv4Address = string
/** `fe80::1`; as a mask `ffff:ffff::`. */
export type Ipv6Address = string

export interface EthernetKey {
  readonly src?: Mac
  readonly dst?: Mac
}

/** A VLAN tag. As a mask: the bits of each part that count. */
export interface VlanKey {
  /** 12 bits. */
  readonly vid?: number
  /** 3 bits. */
  readonly pcp?: number
  /** "A tag is present": the bit the kernel wants set in every key and mask of a tagged packet. 1 when left out. */
  readonly cfi?: number
}

export interface Ipv4Key {
  readonly src?: Ipv4Address
  readonly dst?: Ipv4Address
  readonly proto?: number
  /** The whole TOS byte, DSCP and ECN. */
  readonly tos?: number
  readonly ttl?: number
  /** 0 no fragment, 1 first fragment, 2 later fragment (enum ovs_frag_type). */
  readonly frag?: number
}

export interface Ipv6Key {
  readonly src?: Ipv6Address
  readonly dst?: Ipv6Address
  /** 20 bits. */
  readonly label?: number
  readonly proto?: number
  readonly tclass?: number
  readonly hlimit?: number
  /** 0 no fragment, 1 first fragment, 2 later fragment. */
  readonly frag?: number
}

export interface PortsKey {
  readonly src?: number
  readonly dst?: number
}

export interface IcmpKey {
  readonly type?: number
  readonly code?: number
}

export interface ArpKey {
  readonly sip?: Ipv4Address
  readonly tip?: Ipv4Address
  readonly op?: number
  readonly sha?: Mac
  readonly tha?: Mac
}

/** Neighbour discovery: what a solicitation (type 135) or an advertisement (136) says. */
export interface NdKey {
  readonly target?: Ipv6Address
  /** Source link-layer address option. */
  readonly sll?: Mac
  /** Target link-layer address option. */
  readonly tll?: Mac
}

/** One entry of an MPLS label stack, the 32 bits as they are on the wire. */
export interface MplsKey {
  /** 20 bits. */
  readonly label?: number
  /** 3 bits. */
  readonly tc?: number
  readonly ttl?: number
  /** Bottom of stack. */
  readonly bos?: number
}

/** The addresses and ports with which a connection began, before NAT. */
export interface CtTuple4Key {
  readonly src?: Ipv4Address
  readonly dst?: Ipv4Address
  readonly tpSrc?: number
  readonly tpDst?: number
  readonly proto?: number
}

/** As {@link CtTuple4Key}. */
export interface CtTuple6Key {
  readonly src?: Ipv6Address
  readonly dst?: Ipv6Address
  readonly tpSrc?: number
  readonly tpDst?: number
  readonly proto?: number
}

/** The fixed part of a network service header. */
export interface NshBaseKey {
  readonly flags?: number
  /** 6 bits. */
  readonly ttl?: number
  readonly mdtype?: number
  /** Next protocol. */
  readonly np?: number
  /** Service path, 24 bits. */
  readonly spi?: number
  /** Service index. */
  readonly si?: number
}

/** The four context words of a network service header of type 1. */
export interface NshContextKey {
  readonly c1?: number
  readonly c2?: number
  readonly c3?: number
  readonly c4?: number
}

/** One property per `OVS_NSH_KEY_ATTR_*`. */
export interface NshKey {
  readonly base?: NshBaseKey
  readonly md1?: NshContextKey
  /** The TLVs of type 2, as they are on the wire. */
  readonly md2?: Uint8Array
  readonly unknown?: readonly UnknownAttribute[]
}

/** One property per `OVS_VXLAN_EXT_*`. */
export interface VxlanKey {
  /** Group policy: the id in the lower 16 bits, the flags in bits 16 to 23. */
  readonly gbp?: number
  readonly unknown?: readonly UnknownAttribute[]
}

/**
 * The tunnel a packet came through, or is to go through. One property per `OVS_TUNNEL_KEY_ATTR_*`; a flag is matched by being there,
 * in the key (set or not) and in the mask (counts or not).
 */
export interface TunnelKey {
  /** VNI or GRE key, 64 bits. That it is there is the flag OVS calls `key`. */
  readonly id?: bigint
  readonly src?: Ipv4Address
  readonly dst?: Ipv4Address
  readonly tos?: number
  /** The kernel requires it in a key and in a set. */
  readonly ttl?: number
  /** Don't fragment. */
  readonly df?: true
  readonly csum?: true
  /** Operations and maintenance: GENEVE's O bit. */
  readonly oam?: true
  /** GENEVE options as they are on the wire; `geneveOptions()` takes them apart. In a mask the length of an option is 0x1f. */
  readonly geneve?: Uint8Array
  /** Outer UDP ports. */
  readonly tpSrc?: number
  readonly tpDst?: number
  readonly vxlan?: VxlanKey
  readonly ipv6Src?: Ipv6Address
  readonly ipv6Dst?: Ipv6Address
  /** struct erspan_metadata: 4 bytes of version in host order, then index (1) or timestamp, sgt, direction and hardware id (2). */
  readonly erspan?: Uint8Array
  /** `OVS_TUNNEL_KEY_ATTR_IPV4_INFO_BRIDGE`. OVS itself takes the number for GTP-U options, which the kernel does not have. */
  readonly ipv4InfoBridge?: true
  readonly unknown?: readonly UnknownAttribute[]
}

/** OVS's userspace notion of what a packet begins with. The kernel refuses it; an L3 packet is one without `ethernet`. */
export interface PacketTypeKey {
  readonly ns?: number
  readonly id?: number
}

/** OVS's userspace extension of neighbour discovery. The kernel refuses it. */
export interface NdExtensionsKey {
  readonly reserved?: number
  readonly optionsType?: number
}

/** An attribute this version has no row for, kept so that it survives a round trip. */
export interface UnknownAttribute {
  /** Attribute number, without the NESTED and BYTEORDER flags. */
  readonly id: number
  /** The payload, without header and padding. */
  readonly data: Uint8Array
}

/**
 * What a packet looks like, as openvswitch sees it: one property per `OVS_KEY_ATTR_*`. The same shape serves as a mask, where a
 * set bit counts and a clear bit does not.
 *
 * A property that is absent is an attribute that is not sent. In a compound property a part left out is 0, in a key as in a mask.
 *
 * A tagged packet carries what follows the tag in `encap`:
 * `{ etherType: 0x8100, vlan: { vid: 7 }, encap: { etherType: 0x0800, ipv4: {…} } }`.
 */
export interface FlowKey {
  readonly recircId?: number
  readonly dpHash?: number
  readonly skbPriority?: number
  /** Datapath port number. */
  readonly inPort?: number
  readonly tunnel?: TunnelKey
  readonly skbMark?: number
  /** Conntrack state bits: new 1, est 2, rel 4, rpl 8, inv 0x10, trk 0x20, snat 0x40, dnat 0x80. */
  readonly ctState?: number
  readonly ctZone?: number
  readonly ctMark?: number
  /** 128-bit conntrack label. */
  readonly ctLabels?: bigint
  readonly ctTuple4?: CtTuple4Key
  readonly ctTuple6?: CtTuple6Key
  readonly packetType?: PacketTypeKey
  readonly ethernet?: EthernetKey
  /** Absent for 802.2 frames. The outer tag's type (0x8100, 0x88a8) when `vlan` is there. */
  readonly etherType?: number
  readonly vlan?: VlanKey
  readonly encap?: FlowKey
  readonly ipv4?: Ipv4Key
  readonly ipv6?: Ipv6Key
  /** Bits of extension headers seen (kernel ≥ 5.18 sends it with every IPv6 flow). */
  readonly ipv6Exthdrs?: number
  readonly tcp?: PortsKey
  /** 12 bits. The kernel requires it beside `tcp`. */
  readonly tcpFlags?: number
  readonly udp?: PortsKey
  readonly icmp?: IcmpKey
  readonly icmpv6?: IcmpKey
  readonly arp?: ArpKey
  readonly sctp?: PortsKey
  readonly nd?: NdKey
  readonly ndExtensions?: NdExtensionsKey
  /** Label stack, outermost first; the kernel matches up to three. */
  readonly mpls?: readonly MplsKey[]
  readonly nsh?: NshKey
  readonly unknown?: readonly UnknownAttribute[]
}

/** Counters of a flow. */
export interface FlowStats {
  readonly packets: bigint
  /** Bytes, with the Ethernet header, wherever they were counted. */
  readonly bytes: bigint
  /**
   * When a packet last hit the flow: milliseconds on CLOCK_MONOTONIC, 0 for never. Where TC does not say it, because the dump is terse or
   * the device keeps no times, a time no packet came after: that of the sweep that saw the counters move, else now.
   */
  readonly used: number
  /** OR of the TCP flags seen (low 8 bits). TC keeps none: there, those seen before the flow came to it. */
  readonly tcpFlags: number
  /** What of that a device has counted; the rest was software. Only of a flow that is in hardware (TCA_STATS_BASIC_HW, Linux 5.4). */
  readonly hardware?: { readonly packets: bigint; readonly bytes: bigint }
}

/** Key and mask as a flow's match; without a mask every attribute of the key is matched exactly. */
export interface Match {
  readonly key: FlowKey
  readonly mask?: FlowKey
}
