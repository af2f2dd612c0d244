/** The kinds of vport the kernel knows (enum ovs_vport_type). */
export type PortType = 'netdev' | 'internal' | 'gre' | 'vxlan' | 'geneve'

/** A port of a datapath. */
export interface Port {
  readonly number: number
  readonly name: string
  readonly type: PortType
  /** Of the network device, in its namespace. */
  readonly ifindex: number
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
  /** `netdev` (default) attaches a device that exists; `internal` makes one. */
  readonly type?: PortType
  /** The kernel takes the lowest free number from 1 when left out. */
  readonly number?: number
  /** Brings the device up too, as `ovs-dpctl add-if` does; when that fails, the port is there all the same. */
  readonly up?: boolean
}
