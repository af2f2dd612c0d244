import type { DeviceKind, EswitchMode } from '../../types/device.js'
import type { UnknownAttribute } from '../../types/flow.js'
import { type Family, type GenlHeader, genlHeader } from '../netlink/genl.js'
import { u16, u32, u8 } from '../netlink/integers.js'
import { AttributeSet, bytes, string } from '../netlink/table.js'

/** What devlink says of a device, of one of its ports, and of its e-switch. */
export interface DevlinkBody {
  readonly busName?: string
  readonly devName?: string
  readonly portIndex?: number
  readonly portIfindex?: number
  /** One of {@link eswitchModes}. */
  readonly eswitchMode?: number
  /** One of {@link portFlavours}. */
  readonly portFlavour?: number
  readonly portNumber?: number
  readonly pf?: number
  readonly vf?: number
  readonly sf?: number
  readonly controller?: number
  /** 1 when the function is on another host. */
  readonly external?: number
  readonly driver?: string
  readonly param?: Uint8Array
  readonly paramName?: string
  readonly unknown?: readonly UnknownAttribute[]
}

/** One of several versions in an INFO_GET; the set of them repeats. */
export interface DevlinkVersion {
  readonly name?: string
  readonly value?: string
  readonly unknown?: readonly UnknownAttribute[]
}

/** DEVLINK_ATTR_INFO_VERSION_RUNNING, which an answer has for each part of the firmware, and what is in it. */
export const RUNNING = { uapi: 'DEVLINK_ATTR_INFO_VERSION_RUNNING', id: 101 } as const
// biome-ignore format: one row per line
export const devlinkVersion = new AttributeSet<DevlinkVersion>('version', {
  name: { uapi: 'DEVLINK_ATTR_INFO_VERSION_NAME', id: 103, codec: string, doc: 'Which part it is the version of.' },
  value: { uapi: 'DEVLINK_ATTR_INFO_VERSION_VALUE', id: 104, codec: string, doc: 'The version.' },
})

/** Generic netlink family devlink (linux/devlink.h): NICs with an e-switch, among others. */
export const devlink: Family<GenlHeader, DevlinkBody> & { readonly body: AttributeSet<DevlinkBody> } = {
  name: 'devlink',
  origin: 'it takes a kernel with CONFIG_NET_DEVLINK, which drivers that need it bring along',
  version: 1,
  commands: {
    GET: 1,
    NEW: 3,
    PORT_GET: 5,
    PORT_NEW: 7,
    ESWITCH_GET: 29,
    ESWITCH_SET: 30,
    PARAM_GET: 38,
    INFO_GET: 51,
  },
  header: genlHeader,
  // biome-ignore format: one row per line
  body: new AttributeSet<DevlinkBody>('devlink', {
    busName: { uapi: 'DEVLINK_ATTR_BUS_NAME', id: 1, codec: string, doc: 'Bus of the device, for example `pci`.' },
    devName: { uapi: 'DEVLINK_ATTR_DEV_NAME', id: 2, codec: string, doc: 'Its name there.' },
    portIndex: { uapi: 'DEVLINK_ATTR_PORT_INDEX', id: 3, codec: u32, doc: 'Number of a port.' },
    portIfindex: { uapi: 'DEVLINK_ATTR_PORT_NETDEV_IFINDEX', id: 6, codec: u32, doc: 'Device of the port.' },
    driver: { uapi: 'DEVLINK_ATTR_INFO_DRIVER_NAME', id: 98, codec: string, doc: 'Driver.' },
    portFlavour: { uapi: 'DEVLINK_ATTR_PORT_FLAVOUR', id: 77, codec: u16, doc: 'What the port stands for.' },
    portNumber: { uapi: 'DEVLINK_ATTR_PORT_NUMBER', id: 78, codec: u32, doc: 'Number of a physical port.' },
    controller: { uapi: 'DEVLINK_ATTR_PORT_CONTROLLER_NUMBER', id: 150, codec: u32, doc: 'Which host the function is on.' },
    pf: { uapi: 'DEVLINK_ATTR_PORT_PCI_PF_NUMBER', id: 127, codec: u16, doc: 'Number of a physical function.' },
    vf: { uapi: 'DEVLINK_ATTR_PORT_PCI_VF_NUMBER', id: 128, codec: u16, doc: 'Number of a virtual function.' },
    sf: { uapi: 'DEVLINK_ATTR_PORT_PCI_SF_NUMBER', id: 164, codec: u32, since: '5.12', doc: 'Number of a sub-function.' },
    external: { uapi: 'DEVLINK_ATTR_PORT_EXTERNAL', id: 149, codec: u8, doc: 'The function is on another host.' },
    eswitchMode: { uapi: 'DEVLINK_ATTR_ESWITCH_MODE', id: 25, codec: u16, doc: 'Who says where packets go.' },
    param: { uapi: 'DEVLINK_ATTR_PARAM', id: 80, codec: bytes, doc: 'A parameter and its values.' },
    paramName: { uapi: 'DEVLINK_ATTR_PARAM_NAME', id: 81, codec: string, doc: 'Which parameter.' },
  }),
}

/** DEVLINK_ESWITCH_MODE_*. */
export const eswitchModes: Readonly<Record<EswitchMode, number>> = { legacy: 0, switchdev: 1 }

interface Flavour {
  readonly uapi: string
  readonly value: number
  readonly kind: DeviceKind
}

/** DEVLINK_PORT_FLAVOUR_*, and what a port of that kind is to us. */
// biome-ignore format: one row per line
export const portFlavours: readonly Flavour[] = [
  { uapi: 'DEVLINK_PORT_FLAVOUR_PHYSICAL', value: 0, kind: 'uplink' },
  { uapi: 'DEVLINK_PORT_FLAVOUR_CPU',      value: 1, kind: 'other' },
  { uapi: 'DEVLINK_PORT_FLAVOUR_DSA',      value: 2, kind: 'other' },
  { uapi: 'DEVLINK_PORT_FLAVOUR_PCI_PF',   value: 3, kind: 'pf' },
  { uapi: 'DEVLINK_PORT_FLAVOUR_PCI_VF',   value: 4, kind: 'vf' },
  // A function seen from inside: it has no representors of its own.
  { uapi: 'DEVLINK_PORT_FLAVOUR_VIRTUAL',  value: 5, kind: 'other' },
  { uapi: 'DEVLINK_PORT_FLAVOUR_UNUSED',   value: 6, kind: 'other' },
  { uapi: 'DEVLINK_PORT_FLAVOUR_PCI_SF',   value: 7, kind: 'sf' },
]
