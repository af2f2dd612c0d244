import type { EswitchMode } from '../../../types/device.js'
import { type DevlinkBody, devlink, devlinkVersion, eswitchModes, RUNNING } from '../../device/devlink.js'
import { u16 } from '../../netlink/integers.js'
import { Writer } from '../../netlink/writer.js'
import type { Policy, Span } from './attributes.js'
import { textOf } from './datapath.js'
import { refuse } from './errors.js'
import { type Eswitch, portsOf, setMode } from './eswitch.js'
import type { Command } from './generic.js'
import { frame } from './request.js'
import type { State } from './state.js'

// DEVLINK_ATTR_*, and what devlink_nl_policy asks of them.
const { ids } = devlink.body
export const devlinkPolicy: Policy = {
  [ids.busName]: { string: 65535 },
  [ids.devName]: { string: 65535 },
  [ids.eswitchMode]: { min: 2 },
}

const command = (name: string): number => devlink.commands[name] as number

/** Family devlink (net/devlink/leftover.c in Linux 6.1): NICs and their e-switches. */
export const devlinkCommands: Readonly<Record<number, Command>> = {
  [command('GET')]: ({ state, attributes, reply }) => {
    const eswitch = find(state, attributes)
    reply((type) => write(type, 0, 'NEW', eswitch, {}))
  },
  [command('ESWITCH_GET')]: ({ state, attributes, reply }) => {
    const eswitch = find(state, attributes)
    const eswitchMode = eswitchModes[eswitch.mode]
    reply((type) => write(type, 0, 'ESWITCH_GET', eswitch, { eswitchMode }))
  },
  [command('ESWITCH_SET')]: ({ state, attributes }) => {
    const eswitch = find(state, attributes)
    const span = attributes.get(ids.eswitchMode)
    if (span === undefined) return
    const wanted = u16.take(span.bytes, span.start)
    const [mode] =
      (Object.entries(eswitchModes) as [EswitchMode, number][]).find(([, value]) => value === wanted) ??
      refuse('ERANGE', 'integer out of range')
    if (!eswitch.options.settable) refuse('EOPNOTSUPP')
    setMode(state, eswitch, mode)
  },
  [command('INFO_GET')]: ({ state, attributes, reply }) => {
    const eswitch = find(state, attributes)
    const { driver, firmware } = eswitch.options
    const data = devlinkVersion.encode(new Writer(64), { name: 'fw', value: firmware })
    reply((type) => write(type, 0, 'INFO_GET', eswitch, { driver, unknown: [{ id: RUNNING.id, data }] }))
  },
}

export function* dumpDevlinks(state: State, type: number): Generator<Uint8Array> {
  for (const eswitch of state.eswitches.values()) yield write(type, MULTI, 'NEW', eswitch, {})
}

/** In mode legacy there are none. */
export function* dumpDevlinkPorts(state: State, type: number): Generator<Uint8Array> {
  for (const eswitch of state.eswitches.values()) {
    for (const { portName, body } of portsOf(eswitch)) {
      const device = state.devices.byName(`${eswitch.options.prefix}${portName}`)
      if (eswitch.mode === 'legacy' || device === undefined) continue
      yield write(type, MULTI, 'PORT_NEW', eswitch, { ...body, portIfindex: device.ifindex })
    }
  }
}

const MULTI = 2

/** devlink_get_from_attrs(). */
function find({ eswitches }: State, attributes: ReadonlyMap<number, Span>): Eswitch {
  const [bus, name] = [ids.busName, ids.devName].map((id) => attributes.get(id))
  if (bus === undefined || name === undefined) return refuse('EINVAL')
  return eswitches.get(`${textOf(bus)}/${textOf(name)}`) ?? refuse('ENODEV')
}

function write(type: number, flags: number, cmd: string, { name }: Eswitch, body: DevlinkBody): Uint8Array {
  const [busName = '', devName = ''] = name.split('/')
  return frame(type, flags, (writer) => {
    devlink.header.write(writer, { cmd: command(cmd), version: devlink.version })
    devlink.body.write(writer, { busName, devName, ...body })
  })
}
