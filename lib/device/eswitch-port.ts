import type { DeviceKind, EswitchPort } from '../../types/device.js'
import type { LinkBody } from './link.js'

/** What the link says of its place on an e-switch. */
export function eswitchPortOf({ physSwitchId, physPortName }: LinkBody): EswitchPort {
  return {
    ...(physSwitchId === undefined ? {} : { switchId: hexOf(physSwitchId) }),
    ...(physPortName === undefined ? {} : { portName: physPortName }),
  }
}

/** As sysfs writes it. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** What a port stands for, and the numbers of it. */
export interface PortPlace {
  readonly kind: DeviceKind
  readonly controller?: number
  readonly pf?: number
  readonly vf?: number
  readonly sf?: number
}

/**
 * What drivers without ports of devlink say in the name of a port: `p0` is an uplink, `pf0vf3` the VF 3 of PF 0, `c1` before it its
 * controller (devlink_port_attrs_set() and devlink_port_phys_port_name_get() in net/devlink). Undefined for other names.
 */
export function placeOf(portName: string): PortPlace | undefined {
  if (/^p\d+(s\d+)?$/.test(portName)) return { kind: 'uplink' }
  const [whole, controller, pf, sort, number] = /^(?:c(\d+))?pf(\d+)(?:(vf|sf)(\d+))?$/.exec(portName) ?? []
  if (whole === undefined) return undefined
  return {
    kind: sort === undefined ? 'pf' : sort === 'vf' ? 'vf' : 'sf',
    ...(controller === undefined ? {} : { controller: Number(controller) }),
    pf: Number(pf),
    ...(sort === 'vf' ? { vf: Number(number) } : {}),
    ...(sort === 'sf' ? { sf: Number(number) } : {}),
  }
}
