import type { DeviceFacts } from '../../types/policy.js'
import type { Port } from '../../types/port.js'
import type { PlacementMap } from './placement.js'

/** When a device had no more room, and how many flows it had. */
interface Full {
  readonly capacity: number
  readonly fullSince: number
}

/** The e-switches a datapath has ports on, each with a small number. A datapath without any costs nothing. */
export class Devices {
  readonly #placement: PlacementMap
  /** By switch id. Numbers begin at 1 and stay. */
  readonly #numbers = new Map<string, number>()
  readonly #byPort = new Map<number, number>()
  readonly #full = new Map<number, Full>()

  constructor(placement: PlacementMap) {
    this.#placement = placement
  }

  replace(ports: readonly Port[]): void {
    this.#byPort.clear()
    for (const { number, switchId } of ports) {
      if (switchId === undefined) continue
      const device = this.#numbers.get(switchId) ?? this.#numbers.size + 1
      this.#numbers.set(switchId, device)
      this.#byPort.set(number, device)
    }
  }

  /** The number of the device a port is on; 0 when it is on none. */
  of(port: number | undefined): number {
    if (this.#byPort.size === 0 || port === undefined) return 0
    return this.#byPort.get(port) ?? 0
  }

  /** Whether a port is on any. */
  get any(): boolean {
    return this.#byPort.size > 0
  }

  /** It has refused a flow for want of room. */
  full(device: number, now: number): void {
    if (device !== 0) this.#full.set(device, { capacity: this.#placement.on(device), fullSince: now })
  }

  /** How many more flows it takes, as far as is known; undefined when it never refused one. */
  room(device: number): number | undefined {
    const full = this.#full.get(device)
    return full === undefined ? undefined : Math.max(0, full.capacity - this.#placement.on(device))
  }

  facts(switchId: string): DeviceFacts | undefined {
    const device = this.#numbers.get(switchId)
    if (device === undefined || ![...this.#byPort.values()].includes(device)) return undefined
    return { switchId, flows: this.#placement.on(device), ...this.#full.get(device) }
  }
}
