import type { FlowKey } from '../../../types/flow.js'
import type { ConnectionTuple } from '../../../types/conntrack.js'
import { u16 } from '../../netlink/integers.js'
import { ctLimit as family, ctLimitCommands, DEFAULT_ZONE, type ZoneLimitBody } from '../../ovs/ct-limit.js'
import { ovsHeader } from '../../ovs/family.js'
import { type parse, type Policy, type Span, walk } from './attributes.js'
import { notSimulated, refuse } from './errors.js'
import type { Command, CommandInput } from './generic.js'
import { frame } from './request.js'

/** A connection that is tracked. */
export interface Tracked {
  readonly id: number
  readonly zone: number
  readonly original: ConnectionTuple
  readonly reply: ConnectionTuple
  /** IPS_*. */
  status: number
}

const SEEN_REPLY = 1 << 1
const CONFIRMED = 1 << 3

/** The tracked connections of the simulated network namespace, and how many a zone may have. */
export class ConnectionTable {
  readonly #tracked = new Set<Tracked>()
  #next = 1
  /** 0 is as many as fit. */
  defaultLimit = 0
  readonly limits = new Map<number, number>()

  all(): readonly Tracked[] {
    return [...this.#tracked]
  }

  count(zone: number): number {
    return this.all().filter((tracked) => tracked.zone === zone).length
  }

  /** Notes that a packet went by; false when its zone has as many connections as it may (ovs_ct_check_limit()). */
  commit(frame: FlowKey, zone: number): boolean {
    const original = tupleOf(frame)
    if (original === undefined) return true
    const there = this.find(zone, original)
    if (there !== undefined) {
      if (isSame(there.reply, original)) there.status |= SEEN_REPLY
      return true
    }
    const limit = this.limits.get(zone) ?? this.defaultLimit
    if (limit !== 0 && this.count(zone) >= limit) return false
    const { src, dst, proto, srcPort = 0, dstPort = 0 } = original
    const reply = { src: dst, dst: src, proto, srcPort: dstPort, dstPort: srcPort }
    this.#tracked.add({ id: this.#next++, zone, original, reply, status: CONFIRMED })
    return true
  }

  /** By how it began or by how answers come. */
  find(zone: number, tuple: ConnectionTuple): Tracked | undefined {
    return this.all().find((tracked) => {
      return tracked.zone === zone && (isSame(tracked.original, tuple) || isSame(tracked.reply, tuple))
    })
  }

  remove(tracked: Tracked): void {
    this.#tracked.delete(tracked)
  }

  clear(): void {
    this.#tracked.clear()
  }
}

function tupleOf({ ipv4, ipv6, tcp, udp }: FlowKey): ConnectionTuple | undefined {
  const ip = ipv4 ?? ipv6
  const ports = tcp ?? udp
  if (ip === undefined || ports === undefined) return undefined
  const { src = '', dst = '', proto = 0 } = ip
  return { src, dst, proto, srcPort: ports.src ?? 0, dstPort: ports.dst ?? 0 }
}

const isSame = (a: ConnectionTuple, b: ConnectionTuple): boolean =>
  (['src', 'dst', 'proto', 'srcPort', 'dstPort'] as const).every((part) => a[part] === b[part])

/** OVS_CT_ATTR_*, as far as they are carried out. */
const ct = { COMMIT: 1, ZONE: 2 } as const

/** What an action ct says; what it does beyond that is refused. */
export function readCt(span: Span): { readonly commit: boolean; readonly zone: number } {
  let commit = false
  let zone = 0
  const rest = walk(span, (id, inner) => {
    if (id === ct.COMMIT) commit = true
    else if (id === ct.ZONE && inner.end - inner.start === 2) zone = u16.take(inner.bytes, inner.start)
    else notSimulated(`OVS_CT_ATTR ${id}`)
  })
  return rest > 0 ? refuse('EINVAL') : { commit, zone }
}

const { ids } = family.body
export const ctLimitPolicy: Policy = {}

/** Family ovs_ct_limit (net/openvswitch/conntrack.c). */
export const ctLimitCommandsHere: Readonly<Record<number, Command>> = {
  [ctLimitCommands.SET]: (input) => {
    const { connections } = input.state
    for (const { zone, limit = 0 } of said(input.attributes) ?? refuse('EINVAL')) {
      if (zone === DEFAULT_ZONE) connections.defaultLimit = limit
      else connections.limits.set(zone, limit)
    }
    answer(input, ctLimitCommands.SET)
  },
  [ctLimitCommands.DEL]: (input) => {
    const { connections } = input.state
    for (const { zone } of said(input.attributes) ?? refuse('EINVAL')) {
      if (zone === DEFAULT_ZONE) connections.defaultLimit = 0
      else connections.limits.delete(zone)
    }
    answer(input, ctLimitCommands.DEL)
  },
  [ctLimitCommands.GET]: (input) => {
    const { connections } = input.state
    const { defaultLimit, limits } = connections
    const all = [DEFAULT_ZONE, ...limits.keys()].map((zone) => ({ zone }))
    answer(
      input,
      ctLimitCommands.GET,
      (said(input.attributes) ?? all).map(({ zone }) =>
        zone === DEFAULT_ZONE
          ? { zone, limit: defaultLimit }
          : { zone, limit: limits.get(zone) ?? defaultLimit, count: connections.count(zone) },
      ),
    )
  },
}

function said(attributes: ReturnType<typeof parse>): readonly ZoneLimitBody[] | undefined {
  const span = attributes.get(ids.limits)
  if (span === undefined) return undefined
  // What is no whole entry at the end is passed over.
  const size = Math.floor((span.end - span.start) / ENTRY) * ENTRY
  return family.body.row(ids.limits)?.codec.read(span.bytes, span.start, span.start + size) as ZoneLimitBody[]
}

const ENTRY = 12

function answer({ dpIfindex, reply }: CommandInput, cmd: number, limits?: readonly ZoneLimitBody[]): void {
  reply((type) =>
    frame(type, 0, (writer) => {
      ovsHeader.write(writer, { cmd, version: family.version, dpIfindex })
      family.body.write(writer, limits === undefined ? {} : { limits })
    }),
  )
}
