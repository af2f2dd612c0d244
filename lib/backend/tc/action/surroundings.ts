import type { FlowKey, Mac } from '../../../../types/flow.js'
import type { Port } from '../../../../types/port.js'
import type { MatchAbilities } from '../../../tc/objections.js'

/** The match the actions stand behind, and the cookie that names the flow. */
export interface Frame {
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly cookie: Uint8Array
}

/** Meters that are policers of TC. */
export interface MeterTable {
  /** The policer that carries out a meter. */
  indexOf(meter: number): number | undefined
  /** The meter that a policer of this index, with this cookie, carries out. */
  meterOf(index: number, cookie?: Uint8Array): number | undefined
  /** Why there is no policer. */
  problem?(meter: number): string | undefined
}

/** Whether packets that come in through a port bring a tunnel with them. */
export const isTunnel = ({ type }: Port): boolean => type !== 'netdev' && type !== 'internal'

/** What a translation may count on; what is left out is not to be had. */
export interface Abilities extends MatchAbilities {
  readonly meters?: MeterTable
  /** The address of an internal port. */
  readonly macOf?: (port: Port) => Mac | undefined
}

/** The ports of the datapath, by both their numbers. */
export interface PortTable {
  byNumber(number: number): Port | undefined
  byIfindex(ifindex: number): Port | undefined
  /** Nothing is counted on when left out. */
  readonly abilities?: Abilities
}
