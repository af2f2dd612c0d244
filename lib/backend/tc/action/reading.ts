import type { Action } from '../../../../types/action.js'
import type { TcAction, TcActionOf } from '../../../tc/action/index.js'
import type { Abilities, PortTable } from './surroundings.js'

/** One pass over a filter's actions. */
export class Reading {
  readonly list: readonly TcAction[]
  readonly ports: PortTable
  readonly abilities: Abilities
  /** The action being read. */
  index = 0
  readonly #readOne: (action: TcAction, reading: Reading) => readonly Action[]
  #ended = false

  constructor(
    list: readonly TcAction[],
    ports: PortTable,
    readOne: (action: TcAction, reading: Reading) => readonly Action[],
  ) {
    this.list = list
    this.ports = ports
    this.abilities = ports.abilities ?? {}
    this.#readOne = readOne
  }

  /** The packet goes no further than this action. */
  end(): void {
    this.#ended = true
  }

  /** What happens from one action to before another, and whether the packet goes no further there. */
  range(from: number, to: number): { readonly actions: readonly Action[]; readonly ended: boolean } {
    const actions: Action[] = []
    this.#ended = false
    for (let index = from; index < to && !this.#ended; index++) {
      this.index = index
      actions.push(...this.#readOne(this.list[index] as TcAction, this))
    }
    return { actions, ended: this.#ended }
  }
}

/** The OVS actions a TC action stands for, none included; undefined where OVS has no word for it. */
export type Read<K extends Exclude<TcAction['kind'], 'other'>> = (
  action: TcActionOf<K>,
  reading: Reading,
) => readonly Action[] | undefined

/** Stands for an action OVS has no word for: attribute 0 with its name as the payload. */
export function foreign(name: string): Action {
  return { unknown: [{ id: 0, data: new TextEncoder().encode(name) }] }
}
