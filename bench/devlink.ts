import { Devlink } from '../lib/backend/device/devlink.js'
import type { Transport } from '../lib/index.js'
import { eachAttribute, string } from '../lib/netlink/index.js'
import { Families } from '../lib/transport/family.js'

/** As much of devlink (linux/devlink.h) as says which device this is and how its e-switch works. */
export interface DevlinkFacts {
  readonly driver?: string
  readonly firmware?: string
  readonly eswitchMode?: string
  readonly steeringMode?: string
}

/** Where the first value of a parameter is: DEVLINK_ATTR_PARAM_*. */
const nested = { VALUES_LIST: 84, VALUE: 85, VALUE_DATA: 86 } as const

/** Nothing is an error here: a device without devlink simply tells nothing. */
export async function devlinkFacts(
  transport: Transport,
  busName: string,
  devName: string,
): Promise<DevlinkFacts> {
  const families = new Families(transport)
  const devlink = new Devlink(transport, (family) => families.id(family))
  const name = `${busName}/${devName}`
  const [device] = await devlink.about([name])
  const steering = await devlink.param(name, 'flow_steering_mode')
  const steeringMode = steering && stringIn(steering)
  return {
    ...(device?.driver === undefined ? {} : { driver: device.driver }),
    ...(device?.firmware === undefined ? {} : { firmware: device.firmware }),
    ...(device?.mode === undefined ? {} : { eswitchMode: device.mode }),
    ...(steeringMode === undefined ? {} : { steeringMode }),
  }
}

/** The first value of a string parameter, three nests down. */
function stringIn(param: Uint8Array): string | undefined {
  let found: string | undefined
  const visit = (from: number, to: number) =>
    eachAttribute(param, from, to, (id, low, high) => {
      if (id === nested.VALUES_LIST || id === nested.VALUE) visit(low, high)
      else if (id === nested.VALUE_DATA) found ??= string.read(param, low, high)
    })
  visit(0, param.length)
  return found
}
