import type { Facts, Placement, Policy, PolicyPut } from '../../types/policy.js'
import { hooksOf } from './hooks.js'
import { Labels, type PortName } from './labels.js'
import { Ledger } from './ledger.js'
import { whole } from './numbers.js'
import { firstOutput } from './outputs.js'
import { preferTc } from './prefer-tc.js'

/** A tenant: ports, and what part of the table is theirs. */
export interface Tenant {
  /** Numbers or names. A port has one tenant. */
  readonly ports: readonly PortName[]
  /** From 0 to 1. Those of all tenants are 1 at most. */
  readonly share: number
}

export interface TenantsOptions {
  readonly tenants: Readonly<Record<string, Tenant>>
  /** Flows the table of one e-switch has room for; what the device was found to hold when left out. */
  readonly flows?: number
  /** Whether a tenant may use what others leave. They get it back when `rebalance` runs. False when left out. */
  readonly borrow?: boolean
}

/** So much more is a flow worth that is within the share of its tenant. */
const WITHIN = 1e9
/** What shares leave is 0.2 only nearly, and 0.2 of 10 are 2. */
const ROUNDING = 1e-6

/**
 * Shares of the hardware table. A flow is of the tenant of the port it comes in through, or else of the first it is sent to that has one; flows
 * of nobody have what the shares leave. `inner` is asked, and where it wants TC first and the share is used up, the flow stays in
 * openvswitch. Within a share it is first come, first served; for the fastest put `elephants` inside or around it.
 *
 * With `borrow` it gets in as long as the table has room, and waits for room otherwise. `rebalance` then gives places of tenants that
 * are beyond their share to flows of those that are not.
 *
 * Counted are flows this policy has decided about or heard of: after `setPolicy`, those that live when `replace` has asked about them.
 *
 * ```ts
 * tenants({
 *   flows: 10_000,
 *   borrow: true,
 *   tenants: { blue: { ports: ['pf0vf0', 'pf0vf1'], share: 0.5 }, green: { ports: ['pf0vf2'], share: 0.3 } },
 * })
 * ```
 */
export function tenants(options: TenantsOptions, inner: Policy = preferTc()): Policy {
  const { flows, borrow = false } = options
  if (flows !== undefined) whole('flows', flows, 1)
  const { labels, names, shares } = read(options.tenants)
  const ledgers = new Map<string, Ledger>()

  const spent = names.map((name) => spentOf(`the share of tenant ${name} is used up`, borrow))
  const nobody = names.length - 1

  const bookOf = (put: PolicyPut, facts: Facts): Book | undefined => {
    const switchId = switchIdOf(put.key.inPort, facts) ?? switchIdOf(firstOutput(put.actions), facts)
    if (switchId === undefined) return undefined
    let ledger = ledgers.get(switchId)
    if (ledger === undefined) {
      ledger = new Ledger()
      ledgers.set(switchId, ledger)
    }
    return { ledger, switchId, tenant: labels.ofFlow(put, facts) ?? nobody }
  }

  const tableOf = (switchId: string, facts: Facts): number =>
    flows ?? facts.device(switchId)?.capacity ?? Number.POSITIVE_INFINITY
  const shareOf = (tenant: number, table: number): number =>
    table === Number.POSITIVE_INFINITY ? table : Math.floor(table * (shares[tenant] as number) + ROUNDING)

  const hasRoom = (put: PolicyPut, facts: Facts, { ledger, switchId, tenant }: Book): boolean => {
    const now = facts.now()
    const table = tableOf(switchId, facts)
    const isFull = () => Math.max(ledger.occupied(now), facts.device(switchId)?.flows ?? 0) >= table
    const limit = !borrow ? shareOf(tenant, table) : isFull() ? 0 : Number.POSITIVE_INFINITY
    const inTc = put.mode !== 'create' && facts.location(put.ufid) === 'tc'
    return ledger.admit({ ufid: put.ufid, inTc }, tenant, limit, now)
  }

  const worth: Policy['worth'] = (put, history, facts) => {
    const plain = inner.worth?.(put, history, facts) ?? history.packetsPerSecond
    const book = bookOf(put, facts)
    if (book === undefined) return plain
    const { ledger, switchId, tenant } = book
    const used = ledger.used(tenant, facts.now()) + (ledger.has(put.ufid) ? 0 : 1)
    // Even one that is silent has a right to its place, so it counts as one packet.
    return used <= shareOf(tenant, tableOf(switchId, facts)) ? (plain + 1) * WITHIN : plain
  }

  const hooks = hooksOf(
    {
      placed: (put, outcome, facts) => {
        const book = bookOf(put, facts)
        book?.ledger.settle(outcome, () => book.tenant)
      },
      removed: (ufid) => {
        for (const ledger of ledgers.values()) ledger.remove(ufid)
      },
      ...(borrow ? { worth } : {}),
    },
    inner,
  )
  return {
    name: 'tenants',
    place: (put, facts) => {
      const placement = inner.place(put, facts)
      const first = placement.choices[0]
      if (first?.backend !== 'tc' || first.skip === 'hw') return placement
      const book = bookOf(put, facts)
      return book === undefined || hasRoom(put, facts, book) ? placement : (spent[book.tenant] as Placement)
    },
    ...hooks,
  }
}

/** Where a flow is counted. */
interface Book {
  readonly ledger: Ledger
  readonly switchId: string
  readonly tenant: number
}

const switchIdOf = (port: number | undefined, facts: Facts): string | undefined =>
  port === undefined ? undefined : facts.port(port)?.switchId

function spentOf(reason: string, borrow: boolean): Placement {
  const choices = [{ backend: 'ovs' }] as const
  return borrow ? { choices, reason, waitsFor: 'tc' } : { choices, reason }
}

/** Checks the tenants, and appends nobody, who has what they leave. */
function read(all: Readonly<Record<string, Tenant>>) {
  const labels = new Labels()
  const names = Object.keys(all)
  const shares: number[] = []
  let sum = 0
  for (const [name, { ports, share }] of Object.entries(all)) {
    if (!(share >= 0 && share <= 1))
      throw new RangeError(`share ${share} of tenant '${name}': a number from 0 to 1 is needed`)
    for (const port of ports) {
      const other = labels.set(port, shares.length)
      if (other !== undefined)
        throw new TypeError(`port ${port} is of tenant '${name}' and of '${names[other]}'; it has one`)
    }
    shares.push(share)
    sum += share
  }
  // Ten shares of 0.1 are a little more than 1 in floating point.
  if (sum > 1 + 1e-9) throw new RangeError(`the shares of the tenants are ${sum}: 1 at most is needed`)
  return { labels, names: [...names, 'nobody'], shares: [...shares, Math.max(0, 1 - sum)] }
}
