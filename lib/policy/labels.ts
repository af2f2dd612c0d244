import type { Facts, PolicyPut } from '../../types/policy.js'

/** A port by its number, or by the name a port has or will have. */
export type PortName = number | string

/** Ports with labels: each has one at most. */
export class Labels {
  readonly #numbers = new Map<number, number>()
  readonly #names = new Map<string, number>()

  /** Gives a port a label; answers the one it has already, if it has one. */
  set(port: PortName, label: number): number | undefined {
    const known = typeof port === 'number' ? this.#numbers.get(port) : this.#names.get(port)
    if (known !== undefined) return known
    if (typeof port === 'number') this.#numbers.set(port, label)
    else this.#names.set(port, label)
    return undefined
  }

  /** The label of a port. */
  of(port: number | undefined, facts: Facts): number | undefined {
    if (port === undefined) return undefined
    const label = this.#numbers.get(port)
    if (label !== undefined || this.#names.size === 0) return label
    const name = facts.port(port)?.name
    return name === undefined ? undefined : this.#names.get(name)
  }

  /** The label of a flow: that of the port it comes in through, else of the first it is sent to that has one. */
  ofFlow({ key, actions }: PolicyPut, facts: Facts): number | undefined {
    const label = this.of(key.inPort, facts)
    if (label !== undefined) return label
    for (let index = 0; index < actions.length; index++) {
      const found = this.of(actions[index]?.output, facts)
      if (found !== undefined) return found
    }
    return undefined
  }
}
