import type { Port } from '../../../types/port.js'
import type { Abilities, PortTable } from './action/index.js'
import { Moves } from './moves.js'

/** The ports of the datapath, by both their numbers. */
export class Ports implements PortTable {
  readonly abilities: Abilities
  /** What sweeps have seen of the filters on them. */
  readonly moves = new Moves()
  #byNumber = new Map<number, Port>()
  #byIfindex = new Map<number, Port>()

  constructor(abilities: Abilities = {}) {
    this.abilities = abilities
  }

  replace(ports: readonly Port[]): void {
    this.#byNumber = new Map(ports.map((port) => [port.number, port]))
    this.#byIfindex = new Map(ports.map((port) => [port.ifindex, port]))
    this.moves.retain(new Set(this.#byIfindex.keys()))
  }

  byNumber(number: number): Port | undefined {
    return this.#byNumber.get(number)
  }

  byIfindex(ifindex: number): Port | undefined {
    return this.#byIfindex.get(ifindex)
  }

  all(): Iterable<Port> {
    return this.#byNumber.values()
  }
}
