import type { FlowSpec } from '../../types/op.js'
import type { DeviceFacts, Facts, FlowHistory, Outcome, Policy, PolicyPut } from '../../types/policy.js'
import type { BackendName, PutMode } from '../../types/op.js'
import type { Port, PortType } from '../../types/port.js'
import { viewOf } from '../../lib/ovs/view.js'

/** A port of the datapath in {@link World}. */
export interface PortSpec {
  readonly name?: string
  readonly type?: PortType
  readonly switchId?: string
}

export const NIC = 'a1b2c3d4e5f6'
export const OTHER = '0102030405'

/**
 * The facts a policy gets, kept as a dpif keeps them: ports, where flows are, how fast, how full an e-switch is. What a policy is
 * asked about is put where it says, and it hears of it.
 */
export class World implements Facts {
  clock = 0
  readonly ports = new Map<number, Port>()
  readonly homes = new Map<string, { readonly backend: BackendName; readonly put: PolicyPut }>()
  readonly rates = new Map<string, number>()
  /** What was learned of e-switches. */
  readonly learned = new Map<string, Pick<DeviceFacts, 'capacity' | 'fullSince'>>()

  constructor(ports: Readonly<Record<number, PortSpec>> = {}) {
    for (const [number, port] of Object.entries(ports)) {
      const index = Number(number)
      this.ports.set(index, {
        name: `p${index}`,
        type: 'netdev',
        ...port,
        number: index,
        ifindex: index + 10,
      })
    }
  }

  port(number: number): Port | undefined {
    return this.ports.get(number)
  }

  location(ufid: string): BackendName | undefined {
    return this.homes.get(ufid)?.backend
  }

  device(switchId: string): DeviceFacts | undefined {
    if (![...this.ports.values()].some((port) => port.switchId === switchId)) return undefined
    const flows = [...this.homes.values()].filter(
      ({ backend, put }) => backend === 'tc' && this.port(put.key.inPort ?? -1)?.switchId === switchId,
    )
    return { switchId, flows: flows.length, ...this.learned.get(switchId) }
  }

  refusals(): readonly never[] {
    return []
  }

  history(ufid: string): FlowHistory | undefined {
    const packetsPerSecond = this.rates.get(ufid)
    const backend = this.location(ufid)
    if (packetsPerSecond === undefined || backend === undefined) return undefined
    return { backend, packetsPerSecond, bytesPerSecond: packetsPerSecond * 100, since: 0 }
  }

  now(): number {
    return this.clock
  }

  /** Puts a flow where the policy says first, and tells it. */
  settle(policy: Policy, put: PolicyPut, backend = policy.place(put, this).choices[0]?.backend): void {
    const from = this.location(put.ufid)
    if (backend === undefined) this.homes.delete(put.ufid)
    else this.homes.set(put.ufid, { backend, put })
    const outcome: Outcome = {
      ufid: put.ufid,
      cause: 'put',
      declined: [],
      ...(backend === undefined ? {} : { backend }),
      ...(from === undefined ? {} : { from }),
    }
    policy.placed?.(put, outcome, this)
  }

  /** The flow goes, and the policy hears of it. */
  remove(policy: Policy, ufid: string, cause: 'del' | 'lost' = 'del'): void {
    const from = this.location(ufid)
    this.homes.delete(ufid)
    if (from !== undefined) policy.removed?.(ufid, from, cause)
  }

  /** How many flows are in TC. */
  inTc(which: (put: PolicyPut) => boolean = () => true): number {
    return [...this.homes.values()].filter(({ backend, put }) => backend === 'tc' && which(put)).length
  }
}

/** The put of a flow in text. */
export function putOf(key: string, actions: FlowSpec['actions'] = '2', mode: PutMode = 'create'): PolicyPut {
  return viewOf({ key, actions }, mode)
}

/** A put with that number as its ufid. */
export function numbered(number: number, inPort = 1, mode: PutMode = 'create'): PolicyPut {
  const ufid = `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
  return { ufid, mode, key: { inPort }, mask: { inPort: 0xffffffff }, actions: [{ output: 2 }] }
}

/** Where a policy wants a flow, in short: `tc/sw ovs`. */
export function where(policy: Policy, put: PolicyPut, facts: Facts): string {
  return policy
    .place(put, facts)
    .choices.map(({ backend, skip }) => (skip === undefined ? backend : `${backend}/${skip}`))
    .join(' ')
}
