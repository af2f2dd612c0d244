import type { Action } from '../../../../types/action.js'
import type { Port } from '../../../../types/port.js'
import { NO_PERCPU_STATS, type TcActionOf } from '../../../tc/action/index.js'
import { jumpOf, MAX_JUMP, verdicts, jumps } from '../../../tc/action/kind.js'
import { directions } from '../../../tc/action/mirred.js'
import { packetTypes } from '../../../tc/action/skbedit.js'
import { NOT_SHARED } from '../../../tc/objections.js'
import type { Read } from './reading.js'
import type { Translate, Translation } from './translation.js'

/** The last output takes the packet, the others a copy. */
export const translateOutput: Translate<number> = (number, translation, { path, last }) => {
  const port = translation.ports.byNumber(number)
  if (port === undefined) {
    translation.refuse(path, 'NO_PORT', `no port ${number} on this datapath`, 'NO_PORT')
    return
  }
  const internal = port.type === 'internal'
  const packetType = internal ? packetTypeFor(port, translation) : undefined
  const problem = portObjection(port)
  if (internal ? packetType === undefined : problem !== undefined) {
    const more = internal ? ', or an exact match on the port’s own, a multicast or the broadcast address' : ''
    translation.refuse(
      path,
      internal ? 'UNPROVEN' : 'PORT_NOT_IN_TC',
      `${problem ?? ''}${more}`,
      'PORT_NOT_IN_TC',
    )
    return
  }
  if (!translation.packet.ethernet) {
    const problem = 'a packet without an Ethernet header; whether the port takes it, TC does not look at'
    translation.refuse(path, 'NO_TC_ACTION', problem)
    return
  }
  translation.meet(path, port)
  translation.release()
  if (packetType !== undefined) {
    const options = { parms: { action: verdicts.PIPE }, ptype: packetType }
    translation.push({ kind: 'skbedit', options, flags: NO_PERCPU_STATS })
  }
  const eaction = internal
    ? last
      ? directions.INGRESS_REDIR
      : directions.INGRESS_MIRROR
    : last
      ? directions.EGRESS_REDIR
      : directions.EGRESS_MIRROR
  const parms = { action: last ? verdicts.STOLEN : verdicts.PIPE, eaction, ifindex: port.ifindex }
  const { cookie } = translation.frame
  translation.push({ kind: 'mirred', options: { parms }, cookie, flags: NO_PERCPU_STATS })
}

/** Why a port can be neither end of a TC flow. What a host sends into an internal port does not pass its ingress hook. */
export function portObjection(port: Port): string | undefined {
  const name = `port ${port.number} (${port.name})`
  if (port.type === 'internal') return `${name} is of type internal; TC flows need netdev or tunnel ports`
  return port.layer3 ? `${name} has packets without an Ethernet header; TC flows need one` : undefined
}

/**
 * Whom an internal port's host takes a frame to be for. openvswitch looks at the frame's destination; skbedit says it, so the
 * destination has to be known.
 */
function packetTypeFor(port: Port, { frame, abilities }: Translation): number | undefined {
  const destination = frame.key.ethernet?.dst?.toLowerCase()
  if (frame.mask.ethernet?.dst !== EVERY_BIT || destination === undefined) return undefined
  if (destination === EVERY_BIT) return packetTypes.BROADCAST
  if (Number.parseInt(destination.slice(0, 2), 16) & 1) return packetTypes.MULTICAST
  return destination === abilities.macOf?.(port)?.toLowerCase() ? packetTypes.HOST : undefined
}

const EVERY_BIT = 'ff:ff:ff:ff:ff:ff'

/** Goes on in the chain of that number. Everything about recirculation that TC can do or not is said here. */
export const translateRecirc: Translate<number> = (id, translation, { path, last }) => {
  const { packet, abilities, frame } = translation
  const refuse = (reason: Parameters<Translation['refuse']>[1], problem: string) =>
    translation.refuse(path, reason, problem)
  if (!abilities.chains) refuse('NOT_SHARED', NOT_SHARED)
  if (id > MAX_JUMP) refuse('VALUE_TOO_LARGE', `recirculation id ${id} does not fit the 28 bits of a chain`)
  if (id === 0) refuse('NO_TC_ACTION', 'recirculation to the first pass')
  if (!last)
    refuse('ORDER', 'TC does not come back from a chain; recirc has to be the last thing done with a packet')
  if (packet.released) {
    refuse('ORDER', 'an output has taken away what the next pass may match of the tunnel; recirculate first')
  }
  if (packet.encapsulated) {
    refuse('ORDER', 'the next pass would take the tunnel that was set for the one the packet came through')
  }
  if (!packet.ethernet) refuse('NO_TC_ACTION', 'a packet without an Ethernet header')
  const parms = { action: jumps.GOTO_CHAIN | (id & MAX_JUMP) }
  translation.push({ kind: 'gact', options: { parms }, cookie: frame.cookie, flags: NO_PERCPU_STATS })
}

/** The end of a list drops already, so there is nothing to add; a reason would be lost. */
export const translateDrop: Translate<number> = (code, translation, { path, last }) => {
  if (code !== 0) {
    translation.refuse(path, 'LOST_VALUE', `TC keeps no reason ${code} for a drop; drop with reason 0`)
  }
  if (!last) translation.refuse(path, 'ORDER', 'drop has to be the last action')
}

export const readGact: Read<'gact'> = ({ options }, reading) => {
  const verdict = options.parms?.action
  if (verdict === undefined) return undefined
  const chain = jumpOf(verdict, 'GOTO_CHAIN')
  if (verdict !== verdicts.SHOT && !chain) return undefined
  reading.end()
  return chain ? [{ recirc: chain }] : []
}

export const readMirred: Read<'mirred'> = ({ options: { parms } }, reading) => {
  const port = parms && reading.ports.byIfindex(parms.ifindex)
  if (parms === undefined || port === undefined) return undefined
  const [redirect, mirror] =
    port.type === 'internal'
      ? [directions.INGRESS_REDIR, directions.INGRESS_MIRROR]
      : [directions.EGRESS_REDIR, directions.EGRESS_MIRROR]
  const taken = parms.eaction === redirect && parms.action === verdicts.STOLEN
  if (!taken && !(parms.eaction === mirror && parms.action === verdicts.PIPE)) return undefined
  if (taken) reading.end()
  return [{ output: port.number } satisfies Action]
}

/** What tells apart a mirred that goes up into the host. */
export function isInbound(action: TcActionOf<'mirred'>): boolean {
  const { eaction } = action.options.parms ?? { eaction: 0 }
  return eaction === directions.INGRESS_REDIR || eaction === directions.INGRESS_MIRROR
}
