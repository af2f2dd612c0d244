import type {
  Connection,
  ConnectionMatch,
  OpenConntrack,
  TimeoutPolicy,
  ZoneLimit,
  ZoneLimits,
} from '../../../types/conntrack.js'
import type { Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import type { FamilyId } from '../ovs/family.js'
import { Connections } from './connections.js'
import { Limits } from './limits.js'
import { Netfilter } from './netfilter.js'
import { Timeouts } from './timeouts.js'

/**
 * Tracked connections. Three subsystems know of them: netfilter's connection table, its timeout policies, and openvswitch's limits; each has
 * its file here.
 */
export class KernelConntrack implements OpenConntrack {
  readonly #connections: Connections
  readonly #limits: Limits
  readonly #timeouts: Timeouts
  readonly #release: () => Promise<void>
  #closed: Promise<void> | undefined

  /** `release` is called once, by `close()`. */
  constructor(transport: Transport, id: FamilyId, release: () => Promise<void> = async () => {}) {
    const netfilter = new Netfilter(transport)
    this.#connections = new Connections(netfilter)
    this.#limits = new Limits(transport, id)
    this.#timeouts = new Timeouts(netfilter)
    this.#release = release
  }

  async *dump(options: Pick<ConnectionMatch, 'zone'> = {}): AsyncGenerator<Connection> {
    this.#checkOpen()
    yield* this.#connections.dump(options)
  }

  async flush(match: ConnectionMatch = {}): Promise<void> {
    this.#checkOpen()
    await this.#connections.flush(match)
  }

  async getLimits(zones?: readonly number[]): Promise<ZoneLimits> {
    this.#checkOpen()
    return this.#limits.get(zones)
  }

  async setLimits(limits: {
    readonly default?: number
    readonly zones?: readonly ZoneLimit[]
  }): Promise<void> {
    this.#checkOpen()
    await this.#limits.set(limits)
  }

  async delLimits(zones: readonly number[]): Promise<void> {
    this.#checkOpen()
    await this.#limits.del(zones)
  }

  async setTimeoutPolicy(policy: TimeoutPolicy): Promise<void> {
    this.#checkOpen()
    await this.#timeouts.set(policy)
  }

  async getTimeoutPolicy(id: number): Promise<TimeoutPolicy> {
    this.#checkOpen()
    return this.#timeouts.get(id)
  }

  async delTimeoutPolicy(id: number): Promise<void> {
    this.#checkOpen()
    await this.#timeouts.del(id)
  }

  async dumpTimeoutPolicies(): Promise<TimeoutPolicy[]> {
    this.#checkOpen()
    return this.#timeouts.dump()
  }

  close(): Promise<void> {
    this.#closed ??= this.#release()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new DpifError('CLOSED', 'this conntrack was closed; open it again')
  }
}
