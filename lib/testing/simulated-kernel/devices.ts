import type { EswitchPort, HwTcOffload } from '../../../types/device.js'
import type { LinkInfo } from '../../device/link.js'

/** Rules in hardware: how many fit, and how many there are. Ports of one e-switch share one. */
export interface HardwareTable {
  readonly capacity: number
  used: number
  /** False for one that counts packets and does not say when the last one came. */
  readonly lastUsed?: boolean
  /** The rules are forgotten, and nobody was told. */
  lost?: boolean
}

/** What a simulated device is like. */
export interface DeviceOptions extends EswitchPort {
  /** What `ip -d link` would call it. */
  readonly kind?: string
  /** Gives the device a flow table of its own: TC filters are offloaded until `capacity` of them are in it. */
  readonly offload?: { readonly capacity: number; used?: number; readonly lastUsed?: boolean }
  /** ethtool's hw-tc-offload; `on` with `offload`, `absent` without, when left out. */
  readonly hwTcOffload?: HwTcOffload
}

/** A network device. */
export interface Device extends EswitchPort {
  readonly name: string
  readonly ifindex: number
  readonly kind: string
  readonly offload: HardwareTable | undefined
  hwTcOffload: HwTcOffload
  /** Whether hw-tc-offload was last asked to be on. */
  wantsOffload: boolean
  /** Filters on the device that are in hardware. */
  rules: number
  /** What it was made with over rtnetlink. */
  info?: LinkInfo
  alias?: string
}

/** The devices of the simulated network namespace. */
export class Devices {
  readonly #byIndex = new Map<number, Device>()
  #next = 1

  /** Called with a device that is going away, before it is gone. */
  readonly leaving: ((device: Device) => void)[] = []

  constructor() {
    this.add('lo', { kind: 'loopback' })
  }

  add(name: string, { kind = 'dummy', offload, hwTcOffload, ...place }: DeviceOptions = {}): Device {
    const ifindex = this.#next++
    const state = hwTcOffload ?? (offload === undefined ? 'absent' : 'on')
    const device: Device = {
      ...{ name, ifindex, kind, ...place, rules: 0 },
      offload: offload === undefined ? undefined : shared(offload),
      hwTcOffload: state,
      wantsOffload: state === 'on',
    }
    this.#byIndex.set(ifindex, device)
    return device
  }

  remove(device: Device): void {
    for (const leave of this.leaving) leave(device)
    this.#byIndex.delete(device.ifindex)
  }

  byIndex(ifindex: number): Device | undefined {
    return this.#byIndex.get(ifindex)
  }

  byName(name: string): Device | undefined {
    return this.all().find((device) => device.name === name)
  }

  all(): Device[] {
    return [...this.#byIndex.values()]
  }
}

/** The very table that was given, when it counts already. */
const shared = (table: NonNullable<DeviceOptions['offload']>): HardwareTable =>
  table.used === undefined ? { ...table, used: 0 } : (table as HardwareTable)
