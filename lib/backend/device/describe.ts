import type { HwTcOffload, NetDevice } from '../../../types/device.js'
import { type DevlinkBody, portFlavours } from '../../device/devlink.js'
import { eswitchPortOf, hexOf, type PortPlace, placeOf } from '../../device/eswitch-port.js'
import type { LinkBody, LinkHeader } from '../../device/link.js'
import { tunnelOf } from '../../device/tunnel.js'
import { nameOf } from './devlink.js'

/** A device as its sources have it. */
export interface Sources {
  readonly header: LinkHeader
  readonly body: LinkBody
  /** The port of devlink that it is. */
  readonly port: DevlinkBody | undefined
  readonly hwTcOffload: HwTcOffload | undefined
}

/** Devlink's word counts before the link's: it says what a port is, where the name only hints at it. */
export function describe({ header, body, port, hwTcOffload }: Sources): NetDevice {
  const { name = '', physPortId } = body
  const devlink = parentOf(body, port)
  return {
    name,
    ifindex: header.ifindex,
    ...place(body, port),
    ...eswitchPortOf(body),
    ...(physPortId === undefined ? {} : { portId: hexOf(physPortId) }),
    ...(devlink === undefined ? {} : { devlink }),
    ...(port?.portIndex === undefined ? {} : { portIndex: port.portIndex }),
    ...(port?.external === 1 ? { external: true as const } : {}),
    ...(hwTcOffload === undefined ? {} : { hwTcOffload }),
  }
}

function parentOf({ parentBus, parentName }: LinkBody, port: DevlinkBody | undefined): string | undefined {
  if (port !== undefined) return nameOf(port)
  return parentBus === undefined || parentName === undefined ? undefined : `${parentBus}/${parentName}`
}

function place({ info, physSwitchId, physPortName }: LinkBody, port: DevlinkBody | undefined): PortPlace {
  const flavour = portFlavours.find(({ value }) => value === port?.portFlavour)
  if (port !== undefined && flavour !== undefined) {
    const { controller, pf, vf, sf } = port
    return {
      kind: flavour.kind,
      // Every function is on controller 0 where there is one host only.
      ...(controller === undefined || controller === 0 ? {} : { controller }),
      ...(pf === undefined ? {} : { pf }),
      ...(vf === undefined ? {} : { vf }),
      ...(sf === undefined ? {} : { sf }),
    }
  }
  if (info !== undefined && tunnelOf(info) !== undefined) return { kind: 'tunnel' }
  if (physSwitchId === undefined) return { kind: 'other' }
  return (physPortName === undefined ? undefined : placeOf(physPortName)) ?? { kind: 'unknown' }
}
