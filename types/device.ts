/**
 * Whose business it is where packets go: `legacy` leaves it to the NIC, which forwards by MAC address, and no flow gets into it.
 * `switchdev` leaves it to flows, and every port of the e-switch has a device of its own on the host.
 */
export type EswitchMode = 'legacy' | 'switchdev'

/**
 * What a device stands for: the cable of an e-switch (`uplink`); the physical, virtual or sub-function at the other end, for which it is
 * the representor (`pf`, `vf`, `sf`); a tunnel; a port of an e-switch of which nobody says more (`unknown`); or nothing of the kind.
 */
export type DeviceKind = 'uplink' | 'pf' | 'vf' | 'sf' | 'tunnel' | 'unknown' | 'other'

/** ethtool's hw-tc-offload: switched on or off, on without a way to switch it off, or not there (`off [fixed]` in ethtool). */
export type HwTcOffload = 'on' | 'off' | 'fixed' | 'absent'

/** Which port of an e-switch a device is. */
export interface EswitchPort {
  /** IFLA_PHYS_SWITCH_ID in hex digits: ports of one e-switch, whatever driver says so, have the same. */
  readonly switchId?: string
  /** IFLA_PHYS_PORT_NAME, for example `p0` or `pf0vf3`. */
  readonly portName?: string
}

/** A network device of the host, as far as it matters to offload. What the kernel does not tell is left out. */
export interface NetDevice extends EswitchPort {
  readonly name: string
  readonly ifindex: number
  readonly kind: DeviceKind
  /** IFLA_PHYS_PORT_ID in hex digits. */
  readonly portId?: string
  /** The device of devlink it belongs to, as `devlink` writes it: `pci/0000:08:00.0`. */
  readonly devlink?: string
  /** Number of the port among those of `devlink`. */
  readonly portIndex?: number
  /** Number of the physical, virtual or sub-function it represents. */
  readonly pf?: number
  readonly vf?: number
  readonly sf?: number
  /** Number of the controller that has the function, where there are several. */
  readonly controller?: number
  /** Whether the function is on another host than this (DEVLINK_ATTR_PORT_EXTERNAL). */
  readonly external?: true
  readonly hwTcOffload?: HwTcOffload
}

/** A device of devlink that has an e-switch. */
export interface Eswitch {
  /** As `devlink` writes it: `pci/0000:08:00.0`. */
  readonly name: string
  /** Left out where the kernel does not say, for example to those without CAP_NET_ADMIN. */
  readonly mode?: EswitchMode
  readonly driver?: string
  /** Version that is running. */
  readonly firmware?: string
  readonly switchId?: string
  /** Names of the devices that are its ports, by their number. */
  readonly ports: readonly string[]
}

/** Why flows stay out of hardware. A closed list; `lib/backend/device/preflight.ts` has a row for each. */
export type PreflightReason =
  /** Two of the ports are on different e-switches. */
  | 'DIFFERENT_SWITCHES'
  /** A filter that is no flow sees packets before flows do. */
  | 'FOREIGN_FILTER'
  /** The e-switch takes no flows: its mode is legacy. */
  | 'LEGACY_MODE'
  /** The device is neither an uplink nor a representor. */
  | 'NOT_ON_ESWITCH'
  | 'NO_DEVICE'
  /** The kernel's flower is older than Linux 6.1 and cannot match something. */
  | 'NO_FEATURE'
  /** The kernel lacks a module and cannot load it. */
  | 'NO_MODULE'
  | 'NO_PRIVILEGE'
  /** There is no ingress qdisc; one is made with the first flow. */
  | 'NO_QDISC'
  /** The driver has no hw-tc-offload. */
  | 'OFFLOAD_ABSENT'
  | 'OFFLOAD_OFF'

/** How many flows a finding is about: all of them, those that need what is missing, or none, when it is only worth knowing. */
export type PreflightEffect = 'all' | 'some' | 'none'

/** One thing that keeps flows out of hardware. */
export interface PreflightFinding {
  readonly reason: PreflightReason
  readonly effect: PreflightEffect
  /** The port it is about; left out when it is about the whole host. */
  readonly port?: string
  /** One sentence. */
  readonly message: string
  /** The command that mends it, where one does. */
  readonly mend?: string
}

/** What `preflight` answers. */
export interface Preflight {
  /** Whether nothing is known that keeps all flows of a port out of hardware. */
  readonly ready: boolean
  readonly findings: readonly PreflightFinding[]
}
