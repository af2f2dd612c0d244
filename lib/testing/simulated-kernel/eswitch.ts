import type { EswitchMode } from '../../../types/device.js'
import { type DevlinkBody, portFlavours } from '../../device/devlink.js'
import type { HardwareTable } from './devices.js'
import type { State } from './state.js'

/** What a simulated e-switch is like. It begins with what the lab's own module has, so that one test fits both. */
export interface EswitchOptions {
  /** Virtual functions, 4 when left out. */
  readonly vfs?: number
  /** `legacy` when left out. */
  readonly mode?: EswitchMode
  /** What the names of its representors begin with; `es0_` when left out, as in `es0_p0` and `es0_pf0vf3`. */
  readonly prefix?: string
  readonly switchId?: string
  readonly driver?: string
  readonly firmware?: string
  /** Rules it holds, 65536 when left out. */
  readonly capacity?: number
  /** False for a device that counts packets and does not say when the last one came. */
  readonly lastUsed?: boolean
  /** Whether hw-tc-offload is on at the beginning; true when left out. */
  readonly hwTcOffload?: boolean
  /** False for a driver that cannot change the mode. */
  readonly settable?: boolean
}

/** A device of devlink with an e-switch: its ports have a device each in mode switchdev only. */
export interface Eswitch {
  readonly name: string
  readonly options: Required<EswitchOptions>
  readonly table: HardwareTable
  mode: EswitchMode
}

/** One port of an e-switch, as devlink tells of it. */
export interface EswitchPortRow {
  readonly portName: string
  readonly body: DevlinkBody
}

const defaults: Required<EswitchOptions> = {
  vfs: 4,
  mode: 'legacy',
  prefix: 'es0_',
  switchId: 'e500000000000000',
  driver: 'eswitch',
  firmware: '1.0.0',
  capacity: 65536,
  lastUsed: true,
  hwTcOffload: true,
  settable: true,
}

export function addEswitch(state: State, name: string, given: EswitchOptions): void {
  const options = { ...defaults, ...given }
  const table = { capacity: options.capacity, used: 0, lastUsed: options.lastUsed }
  const eswitch: Eswitch = { name, options, table, mode: 'legacy' }
  state.eswitches.set(name, eswitch)
  setMode(state, eswitch, options.mode)
}

/** Makes the representors, or takes them away with all that hangs on them. */
export function setMode({ devices }: State, eswitch: Eswitch, mode: EswitchMode): void {
  if (mode === eswitch.mode) return
  eswitch.mode = mode
  const { prefix, switchId, hwTcOffload } = eswitch.options
  for (const { portName } of portsOf(eswitch)) {
    const name = `${prefix}${portName}`
    const there = devices.byName(name)
    if (mode === 'legacy' && there !== undefined) devices.remove(there)
    if (mode === 'legacy') continue
    const offload = eswitch.table
    devices.add(name, {
      kind: '',
      ...{ switchId, portName, offload },
      hwTcOffload: hwTcOffload ? 'on' : 'off',
    })
  }
}

/** The uplink, then the virtual functions. */
export function portsOf({ options: { vfs } }: Eswitch): EswitchPortRow[] {
  const functions = Array.from({ length: vfs }, (_, vf) => ({
    portName: `pf0vf${vf}`,
    body: { portFlavour: flavour('vf'), controller: 0, pf: 0, vf, external: 0 },
  }))
  const uplink = { portName: 'p0', body: { portFlavour: flavour('uplink'), portNumber: 0 } }
  return [uplink, ...functions].map(({ portName, body }, portIndex) => {
    return { portName, body: { portIndex, ...body } }
  })
}

const flavour = (kind: string): number => portFlavours.find((row) => row.kind === kind)?.value ?? 0
