import type { FlowView } from '../../types/backend.js'
import type { Port } from '../../types/port.js'

/** The ports as they were when they were last read. */
export class KnownPorts {
  #ports: ReadonlyMap<number, Port> = new Map()
  /** What decides whether flows that were refused may be taken now. */
  #shape = ''
  #lastKnown: number | undefined
  #knownBefore: number | undefined

  get(number: number): Port | undefined {
    return this.#ports.get(number)
  }

  /** Answers whether ports have come, gone, or become those of other devices. */
  replace(ports: readonly Port[]): boolean {
    this.#ports = new Map(ports.map((port) => [port.number, port]))
    this.#lastKnown = undefined
    this.#knownBefore = undefined
    const shape = ports.map(({ number, ifindex, switchId }) => `${number} ${ifindex} ${switchId}`).join()
    const hasChanged = shape !== this.#shape
    this.#shape = shape
    return hasChanged
  }

  /** Whether a flow has to do with a port nobody has heard of: somebody else may have added it. */
  isMissingFor(flow: FlowView): boolean {
    if (!this.#isKnown(flow.inPort)) return true
    if (flow.raw !== undefined) return false
    const { actions } = flow
    for (let index = 0; index < actions.length; index++)
      if (!this.#isKnown(actions[index]?.output)) return true
    return false
  }

  /** Most flows of a list have to do with few ports, so the last ones are remembered. */
  #isKnown(number: number | undefined): boolean {
    if (number === undefined || number === this.#lastKnown || number === this.#knownBefore) return true
    if (!this.#ports.has(number)) return false
    this.#knownBefore = this.#lastKnown
    this.#lastKnown = number
    return true
  }
}
