import type { Action } from '../../../../types/action.js'
import type { ErrorCode, ReasonCode } from '../../../../types/errors.js'
import type { FlowKey } from '../../../../types/flow.js'
import type { Port } from '../../../../types/port.js'
import { NO_PERCPU_STATS, type TcAction } from '../../../tc/action/index.js'
import { verdicts } from '../../../tc/action/kind.js'
import type { PeditKey } from '../../../tc/action/pedit.js'
import { tunnelKeyActions } from '../../../tc/action/tunnel-key.js'
import { layersOf } from '../../../tc/match.js'
import { checksumsOf } from './checksum.js'
import { type Abilities, type Frame, isTunnel, type PortTable } from './surroundings.js'

/** What TC cannot do exactly: which part of the actions, why, and in a sentence. */
export interface ActionObjection {
  readonly code: ErrorCode
  readonly path: string
  readonly reason: ReasonCode
  readonly problem: string
}

/** What is known of a packet between two actions. */
interface Packet {
  /** Type of what follows the tags. */
  etherType: number | undefined
  /** VLAN tags. */
  tags: number
  /** Whether it has an Ethernet header. */
  ethernet: boolean
  /** What its TTL is at least. */
  ttl: number
  /** Whether what is known of the tunnel it came through was taken away. */
  released: boolean
  /** Whether it was told through which tunnel to leave. */
  encapsulated: boolean
}

/** One pass over a flow's actions: what came out so far, and what stands against it. */
export class Translation {
  readonly list: TcAction[] = []
  readonly objections: ActionObjection[] = []
  /** What keeps the flow out of hardware alone. */
  readonly strangers: ActionObjection[] = []
  readonly frame: Frame
  readonly ports: PortTable
  readonly abilities: Abilities
  /** The innermost key and its mask. */
  readonly inner: { readonly key: FlowKey; readonly mask: FlowKey }
  packet: Packet
  #rewritten: PeditKey[] = []

  constructor(frame: Frame, ports: PortTable) {
    this.frame = frame
    this.ports = ports
    this.abilities = ports.abilities ?? {}
    const { tags, ...inner } = layersOf(frame.key, frame.mask)
    this.inner = inner
    const ip = inner.key.ipv4 ?? inner.key.ipv6
    const bits = inner.mask.ipv4 ?? inner.mask.ipv6
    const ttl = ip && bits ? ttlOf(ip) & ttlOf(bits) : 0
    this.packet = {
      etherType: inner.key.etherType,
      tags: tags.length,
      ethernet: true,
      ttl,
      released: false,
      encapsulated: false,
    }
  }

  refuse(path: string, reason: ReasonCode, problem: string, code: ErrorCode = 'UNSUPPORTED_ACTION'): void {
    this.objections.push({ code, path, reason, problem })
  }

  /** Notes an output that no device carries out: one e-switch knows nothing of the ports of another. */
  meet(path: string, port: Port): void {
    const from = this.ports.byNumber(this.frame.key.inPort ?? -1)
    // A port of no switch says nothing: a tunnel, or a bond of uplinks, is known to the devices below it.
    if (from?.switchId === undefined || port.switchId === undefined || from.switchId === port.switchId) return
    const problem = `port ${port.number} (${port.name}) is on switch ${port.switchId}, port ${from.number} (${from.name}) on switch ${from.switchId}; a device forwards between its own ports only`
    this.strangers.push({ code: 'UNSUPPORTED_ACTION', path, reason: 'OTHER_SWITCH', problem })
  }

  /** Appends an action. What rewrites before it have broken is mended first. */
  push(action: TcAction): void {
    if (this.#rewritten.length > 0) this.#mend()
    this.list.push(action)
  }

  /** Appends a rewrite of headers. */
  rewrite(keys: readonly PeditKey[]): void {
    this.#rewritten.push(...keys)
    const headers = keys.map(({ header }) => header)
    this.list.push({ kind: 'pedit', options: { parms: { action: verdicts.PIPE, keys }, headers } })
  }

  /** The tunnel a packet came through is forgotten before it goes anywhere, once, which is what makes devices decapsulate. */
  release(): void {
    const { tunnel, inPort = -1 } = this.frame.key
    const port = this.ports.byNumber(inPort)
    if (this.packet.released || (tunnel === undefined && !(port && isTunnel(port)))) return
    this.packet.released = true
    const parms = { action: verdicts.PIPE, tunnelAction: tunnelKeyActions.RELEASE }
    this.push({ kind: 'tunnel_key', options: { parms }, flags: NO_PERCPU_STATS })
  }

  /** Ends what was appended from place `from` on, if it has no end yet: a packet that is only mirrored or changed would go on to openvswitch. */
  finish(from: number): void {
    if (this.#rewritten.length > 0) this.#mend()
    if (this.list.length === from || !isFinal(this.list.at(-1))) this.push(drop(this.frame.cookie))
  }

  // One csum action mends what a run of rewrites broke.
  #mend(): void {
    const updateFlags = checksumsOf(this.#rewritten, this.inner, this)
    this.#rewritten = []
    if (updateFlags === 0) return
    const parms = { action: verdicts.PIPE, updateFlags }
    this.list.push({ kind: 'csum', options: { parms }, flags: NO_PERCPU_STATS })
  }
}

/** Where an action stands. */
export interface Place {
  /** For example `actions[1].ct`. */
  readonly path: string
  /** Whether nothing is done with the packet behind it. */
  readonly last: boolean
  /** Translates a list that is part of the action; `path` is what it is called. */
  readonly walk: Walk
}

/** Translates one action. */
export type Translate<T> = (value: T, translation: Translation, place: Place) => void

export type Walk = (actions: readonly Action[], path: string, last: boolean) => void

function ttlOf(ip: { readonly ttl?: number; readonly hlimit?: number }): number {
  return ip.ttl ?? ip.hlimit ?? 0
}

function isFinal(action: TcAction | undefined): boolean {
  if (action?.kind === 'mirred') return action.options.parms?.action === verdicts.STOLEN
  return action?.kind === 'gact'
}

function drop(cookie: Uint8Array): TcAction {
  return { kind: 'gact', options: { parms: { action: verdicts.SHOT } }, cookie, flags: NO_PERCPU_STATS }
}
