import type { LinkInfo } from '../../device/link.js'

/** What a simulated device is like. */
export interface DeviceOptions {
  /** What `ip -d link` would call it. */
  readonly kind?: string
  /** Gives the device a flow table of its own: TC filters are offloaded until `capacity` of them are in it. */
  readonly offload?: { readonly capacity: number }
}

/** A network device. */
export interface Device {
  readonly name: string
  readonly ifindex: number
  readonly kind: string
  /** `lost` when the device has forgotten its rules without telling anybody. */
  readonly offload: { readonly capacity: number; used: number; lost?: boolean } | undefined
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

  add(name: string, { kind = 'dummy', offload }: DeviceOptions = {}): Device {
    const ifindex = this.#next++
    const table = offload === undefined ? undefined : { capacity: offload.capacity, used: 0 }
    const device: Device = { name, ifindex, kind, offload: table }
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
