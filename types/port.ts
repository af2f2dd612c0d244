import type { DeviceKind, EswitchPort } from './device.js'

/** What a port is: a device like any other, the datapath's own way into the host, or a tunnel. */
export type PortType = 'netdev' | 'internal' | TunnelType

/**
 * Tunnels whose ends and keys are the flows' (a device in collect-metadata mode): one port carries all of its kind. The ip6 ones have
 * IPv6 outside, the other ones of GRE and ERSPAN have IPv4, and VXLAN and GENEVE have either.
 */
export type TunnelType = 'vxlan' | 'geneve' | 'gre' | 'ip6gre' | 'erspan' | 'ip6erspan'

/** What is said of a tunnel by its device and not by flows. */
export interface TunnelSettings {
  /** UDP port it listens on and sends to unless a flow names another; 4789 of VXLAN and 6081 of GENEVE when left out. */
  readonly dstPort?: number
  /** VXLAN with group policy. */
  readonly gbp?: boolean
}

/**
 * A port of a datapath. Policies see it as it was when the ports were last read: with the first call, with every dump, and when a flow
 * names a port nobody has heard of.
 */
export interface Port extends EswitchPort {
  readonly number: number
  readonly name: string
  readonly type: PortType
  /** Of tunnels. */
  readonly tunnel?: TunnelSettings
  /** Whether the device's packets have no Ethernet header (ARPHRD_NONE). */
  readonly layer3?: true
  /** Of a port of an e-switch: what it stands for, as its `portName` says it; `unknown` where that says nothing. */
  readonly kind?: DeviceKind
  /** Of the network device, in its namespace. */
  readonly ifindex: number
  /**
   * Netlink port ids of the sockets its upcalls go to, by hash; 0 is nowhere. They count with dispatch `per-vport` only. A datapath
   * without the feature `vportPids` tells of the first alone.
   */
  readonly upcallPids?: readonly number[]
  readonly stats?: PortStats
}

/** The vport's own counters (struct ovs_vport_stats). */
export interface PortStats {
  readonly rxPackets: bigint
  readonly txPackets: bigint
  readonly rxBytes: bigint
  readonly txBytes: bigint
  readonly rxErrors: bigint
  readonly txErrors: bigint
  readonly rxDropped: bigint
  readonly txDropped: bigint
}

/** What a datapath is asked to do differently (OVS_DP_F_*). */
export type DatapathFeature = 'unaligned' | 'vportPids' | 'tcRecircSharing' | 'dispatchUpcallPerCpu'

/** A datapath of the openvswitch module. */
export interface Datapath {
  readonly name: string
  /** Of the datapath's own internal device; every request names the datapath by it. */
  readonly ifindex: number
  readonly stats?: DatapathStats
  /**
   * What is switched on. With `tcRecircSharing` a packet that TC leaves in the middle of a recirculation goes on there in openvswitch;
   * only then TC takes flows that recirculate.
   */
  readonly features: readonly DatapathFeature[]
  /** Entries of the mask cache, where the kernel has one. */
  readonly masksCacheSize?: number
}

/** What a datapath is made with, or is changed to. */
export interface DatapathSettings {
  /** All that is to be switched on; the others are off. */
  readonly features?: readonly DatapathFeature[]
  /** Entries of the mask cache on each processor: 0 for none, or a power of two (Linux 5.10; up to 4096 on most kernels). */
  readonly masksCacheSize?: number
}

export interface DatapathStats {
  readonly hit: bigint
  readonly missed: bigint
  readonly lost: bigint
  /** Flows in the kernel table; TC's are not among them. */
  readonly flows: bigint
  readonly maskHit?: bigint
  readonly masks?: number
  readonly cacheHit?: bigint
}

export interface AddPortOptions {
  /**
   * `netdev` (default) attaches a device that exists, of whatever kind; `internal` makes one. A tunnel type makes a device of that
   * kind, or attaches the one of that name if it is the same. A device made here goes with its port; others stay.
   */
  readonly type?: PortType
  /** With a tunnel type only. */
  readonly tunnel?: TunnelSettings
  /** The kernel takes the lowest free number from 1 when left out. */
  readonly number?: number
  /** Brings the device up too, as `ovs-dpctl add-if` does; when that fails, the port is there all the same. Tunnels made here are up. */
  readonly up?: boolean
}

/** What is to be different about a port; what is left out stays. */
export interface SetPortOptions {
  /** A port keeps its type, number and tunnel as long as it is there: another one is refused, the same one is no change. */
  readonly type?: PortType
  readonly number?: number
  readonly tunnel?: TunnelSettings
  /** One or more; `[0]` for nowhere. `upcalls()` sets those of all ports, with dispatch `per-vport`. */
  readonly upcallPids?: readonly number[]
}

/** What has become of a port, whoever did it. */
export interface PortEvent {
  /** `changed`: somebody has set its options (OVS_VPORT_CMD_SET). */
  readonly change: 'added' | 'removed' | 'changed'
  /** As it is now; one that was removed, as it was last known. */
  readonly port: Port
}

/** Events did not fit in the buffer: every port may have come, gone or changed. Look at all of them. */
export interface PortsUnknown {
  readonly change: 'unknown'
}

export type PortChange = PortEvent | PortsUnknown

export interface PortChangesOptions {
  /** Bytes of events that may wait, as the kernel counts them (SO_RCVBUF); from 4 KiB to 1 GiB, 1 MiB when left out. */
  readonly buffer?: number
}

/**
 * The changes of the ports of one datapath, in the order in which the kernel tells of them. Pulls: nothing is read before it is asked
 * for, and memory does not grow while nobody asks. Ends when it is returned from, by `break` or by `return()`, and when its dpif closes; a
 * `next()` that waits meanwhile then answers that it is done. One `next()` at a time. Waiting keeps the process alive.
 */
export interface PortChanges extends AsyncIterableIterator<PortChange> {
  /** Begins to listen now, rather than with the first `next()`: no change after that is missed. */
  start(): Promise<void>
  /** Closes the socket. Idempotent. */
  return(): Promise<IteratorResult<PortChange>>
}

/** The changes of the ports of one datapath, as its kernel tells of them. */
export interface PortChangeControl {
  /** `list` reads the ports. Throws a RangeError on options that make no sense. */
  open(options: PortChangesOptions, list: () => Promise<readonly Port[]>): PortChanges
  /** Ends those there are. */
  close(): Promise<void>
}
