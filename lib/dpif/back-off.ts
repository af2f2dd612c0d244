import type { FlowView } from '../../types/backend.js'
import type { Failure } from '../../types/errors.js'
import type { FlowKey, Ufid } from '../../types/flow.js'
import type { Refusal } from '../../types/op.js'
import type { Choice, RecentRefusal } from '../../types/policy.js'
import type { Devices } from './devices.js'

/** A refusal of a kernel that counts for more flows than the one it was about. */
interface Held {
  /** Number of the device whose table was full; left out when it was about what the flow looks like. */
  readonly device?: number
  readonly inPort: number | undefined
  readonly refusal: Refusal
  /** What puts are told meanwhile. */
  objection: Refusal | undefined
  delayMs: number
  /** When one flow may try again. */
  until: number
  /** The flow that tries. */
  probe?: Ufid
}

/**
 * What a kernel or a device has refused is not asked for again at each put: not for a second, then two, up to 64. Then one flow tries.
 * A refusal for want of room (NO_SPACE) counts for all flows of the device, and of the port where that is on none; one for what the
 * flow is (UNSUPPORTED) for all of its shape: same port, mask, protocol, and actions of the same kinds to the same ports.
 *
 * What our own translation refuses is not kept: finding that out is cheap. Nor does it cost anything as long as nothing was refused.
 */
export class BackOff {
  readonly #devices: Devices
  readonly #now: () => number
  readonly #held = new Map<string, Held>()
  readonly #probes = new Map<Ufid, string>()

  constructor(devices: Devices, now: () => number) {
    this.#devices = devices
    this.#now = now
  }

  /** Whether anything was refused. */
  get isActive(): boolean {
    return this.#held.size > 0
  }

  /** Why the backend is not asked to take the flow now; undefined when it is to be asked. */
  objection(flow: FlowView, choice: Choice): Refusal | undefined {
    if (this.#held.size === 0) return undefined
    return this.#objectionOf(this.#roomOf(flow, choice), flow) ?? this.#shapeObjection(flow, choice)
  }

  #shapeObjection(flow: FlowView, choice: Choice): Refusal | undefined {
    for (const { device } of this.#held.values())
      if (device === undefined) return this.#objectionOf(shapeOf(flow, choice), flow)
    return undefined
  }

  #objectionOf(key: string, { ufid }: FlowView): Refusal | undefined {
    const held = this.#held.get(key)
    if (held === undefined || held.probe === ufid) return undefined
    const now = this.#now()
    if (now < held.until) {
      held.objection ??= notTried(held)
      return held.objection
    }
    this.#forgetProbe(held)
    held.probe = ufid
    held.until = now + held.delayMs
    held.objection = undefined
    this.#probes.set(ufid, key)
    return undefined
  }

  /** Those that are not tried again yet, the latest last. */
  recent(): readonly RecentRefusal[] {
    if (this.#held.size === 0) return NONE
    const now = this.#now()
    return [...this.#held.values()].flatMap(({ refusal, inPort, until }) =>
      until > now ? { ...refusal, ...(inPort === undefined ? {} : { inPort }), until } : [],
    )
  }

  /** Whether flows that look like this one are refused for what they are; asks for nothing. */
  hasRefused(flow: FlowView, choice: Choice): boolean {
    for (const { device } of this.#held.values()) {
      if (device === undefined) return this.#now() < (this.#held.get(shapeOf(flow, choice))?.until ?? 0)
    }
    return false
  }

  /** Whether the device of a port has no room, as far as is known; asks for nothing. */
  isFull(flow: Pick<FlowView, 'inPort'>, choice: Choice): boolean {
    const room = this.#roomOf(flow, choice)
    const until = (key: string) => this.#held.get(key)?.until ?? 0
    return this.#now() < Math.max(until(room), until(unmet(room)))
  }

  /** A filter that may be in software is there, for want of room in a device: that keeps nobody out of TC. */
  stayedInSoftware(flow: FlowView, choice: Choice, refusal: Refusal): void {
    const device = this.#devices.of(flow.inPort)
    this.#devices.full(device, this.#now())
    this.#hold(unmet(this.#roomOf(flow, choice)), flow, refusal, device)
  }

  /** The backend was asked, and this was the answer. */
  refused(flow: FlowView, choice: Choice, failure: Failure): void {
    const isRoom = failure.code === 'NO_SPACE'
    if (failure.errno === undefined || (!isRoom && failure.code !== 'UNSUPPORTED')) return
    const device = this.#devices.of(flow.inPort)
    if (isRoom) this.#devices.full(device, this.#now())
    const key = isRoom ? this.#roomOf(flow, choice) : shapeOf(flow, choice)
    this.#hold(key, flow, { ...failure, backend: choice.backend }, isRoom ? device : undefined)
  }

  #hold(key: string, { ufid, inPort }: FlowView, refusal: Refusal, device: number | undefined): void {
    const now = this.#now()
    const old = this.#held.get(key)
    // Many are refused at once, and that counts once.
    if (old !== undefined && old.probe !== ufid && now < old.until) return
    const delayMs = old === undefined ? FIRST_MS : Math.min(old.delayMs * 2, LAST_MS)
    if (old !== undefined) this.#forgetProbe(old)
    this.#held.delete(key)
    if (this.#held.size >= MOST) this.#drop(this.#held.keys().next().value as string)
    this.#held.set(key, {
      ...(device === undefined ? {} : { device }),
      inPort,
      refusal,
      objection: undefined,
      delayMs,
      until: now + delayMs,
    })
  }

  /** The backend has taken the flow. */
  worked({ ufid }: FlowView): void {
    const key = this.#probes.size === 0 ? undefined : this.#probes.get(ufid)
    if (key !== undefined) this.#drop(key)
  }

  /** A flow has left a device, 0 for one that is on none: there may be room. */
  left(device: number): void {
    if (this.#held.size === 0) return
    for (const [key, held] of this.#held) if (held.device === device) this.#drop(key)
  }

  /** Something has changed that anything may depend on. */
  clear(): void {
    this.#held.clear()
    this.#probes.clear()
  }

  #drop(key: string): void {
    const held = this.#held.get(key)
    if (held !== undefined) this.#forgetProbe(held)
    this.#held.delete(key)
  }

  #forgetProbe({ probe }: Held): void {
    if (probe !== undefined) this.#probes.delete(probe)
  }

  #roomOf({ inPort }: Pick<FlowView, 'inPort'>, { backend, skip }: Choice): string {
    const device = this.#devices.of(inPort)
    return `${backend} ${skip} ${device === 0 ? `port ${inPort}` : `device ${device}`}`
  }
}

const FIRST_MS = 1000
const LAST_MS = 64_000
/** So many refusals are remembered; then the oldest is forgotten, and costs a question more. */
const MOST = 1024

const unmet = (room: string) => `${room}, in hardware`

const NONE: readonly RecentRefusal[] = []

function notTried({ refusal: { code, backend, kernel, path }, device, until }: Held): Refusal {
  const words = kernel === undefined ? code : `${code}: ${kernel}`
  const lifted =
    device === undefined ? 'when the ports or the policy change' : 'when a flow leaves the device'
  return {
    code,
    backend,
    message: `not tried in ${backend}: one like it was refused (${words}); back-off until ${Math.round(until)} ms on CLOCK_MONOTONIC, or ${lifted}`,
    ...(kernel === undefined ? {} : { kernel }),
    ...(path === undefined ? {} : { path }),
  }
}

/** Flows for which this is the same are refused for the same reason. Raw ones are decoded for it. */
function shapeOf({ inPort, key, mask, actions }: FlowView, { backend, skip }: Choice): string {
  const kinds = actions.map((action) => {
    const [name] = Object.keys(action)
    return action.output === undefined ? name : `${name} ${action.output}`
  })
  return `${backend} ${skip} ${inPort} ${protocolsOf(key)} ${JSON.stringify(mask, plain)} ${kinds}`
}

function protocolsOf({ etherType, ipv4, ipv6, encap }: FlowKey): string {
  const inner = encap === undefined ? '' : `/${protocolsOf(encap)}`
  return `${etherType}/${ipv4?.proto ?? ipv6?.proto}${inner}`
}

const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)
