import {
  type BackendName,
  type DeviceFacts,
  DpifError,
  type Facts,
  formatKey,
  formatActions,
  type Placement,
  type ParsedFlow,
  parseActions,
  parseFlowLine,
  type Policy,
  type PolicyPut,
  type Port,
  type PortType,
  type RulesPolicy,
} from '../index.js'
import { CliError } from './error.js'

// What a policy would do with the flows of a dump, without a kernel: each is put in turn where the policy wants it first, and the policy
// hears of it, so that budgets and limits count.

/** What becomes of one line. */
export interface SimulatedFlow {
  readonly line: number
  readonly ufid?: string
  readonly flow: string
  /** Where the line says that the flow is. */
  readonly now?: BackendName
  readonly placement: Placement
  /** Of a document. */
  readonly rule?: string
}

/** Flows that are treated alike. */
export interface SimulatedGroup {
  readonly placement: Placement
  readonly rule?: string
  readonly flows: number
}

export interface Simulation {
  readonly flows: readonly SimulatedFlow[]
  /** In the order of the rules of a document, those no flow came to as well; else the largest first. */
  readonly groups: readonly SimulatedGroup[]
  readonly unread: readonly { readonly line: number; readonly message: string }[]
  /** Ports the flows name of which nobody said what they are. */
  readonly unknownPorts: readonly string[]
}

/** Asks `policy` about every line of `dump`. */
export function simulate(policy: Policy, dump: string, known: readonly Port[]): Simulation {
  const world = new World(known)
  const flows: SimulatedFlow[] = []
  const unread: { line: number; message: string }[] = []
  for (const [index, raw] of dump.split('\n').entries()) {
    const text = raw.replace(/#.*/, '').trim()
    if (text === '') continue
    const line = index + 1
    try {
      flows.push({ line, ...world.put(policy, parseFlowLine(text, world.names), text) })
    } catch (error) {
      if (!(error instanceof DpifError)) throw error
      unread.push({ line, message: error.message })
    }
  }
  return { flows, groups: grouped(policy, flows), unread, unknownPorts: world.unknownPorts }
}

/** Numbers for ports that have a name only: none a kernel gives (DP_MAX_PORTS). */
const FIRST_UNNUMBERED = 0x10000

/** The facts a policy gets: ports as far as they are known, and the flows that were put. */
class World implements Facts {
  readonly #ports = new Map<number, Port>()
  readonly #numbers = new Map<string, number>()
  readonly #unknown = new Set<string>()
  readonly #homes = new Map<string, BackendName>()
  readonly #inTc = new Map<string, number>()

  constructor(ports: readonly Port[]) {
    for (const port of ports) this.#enter(port)
  }

  /** How a dump's names of ports are read. */
  readonly names = {
    portNumber: (name: string): number | undefined => {
      const number = this.#numbers.get(name)
      if (number !== undefined || isAction(name)) return number
      this.#unknown.add(name)
      const made = FIRST_UNNUMBERED + this.#numbers.size
      this.#enter({ number: made, name, type: 'netdev', ifindex: 0 })
      return made
    },
  }

  get unknownPorts(): readonly string[] {
    return [...this.#unknown]
  }

  port(number: number): Port | undefined {
    return this.#ports.get(number)
  }

  location(ufid: string): BackendName | undefined {
    return this.#homes.get(ufid)
  }

  device(switchId: string): DeviceFacts | undefined {
    for (const port of this.#ports.values()) {
      if (port.switchId === switchId) return { switchId, flows: this.#inTc.get(switchId) ?? 0 }
    }
    return undefined
  }

  history(): undefined {
    return undefined
  }

  /** Nobody is asked, and so nobody refuses. */
  refusals(): readonly never[] {
    return []
  }

  /** Time stands still. */
  now(): number {
    return 0
  }

  put(policy: Policy, flow: ParsedFlow, text: string): Omit<SimulatedFlow, 'line'> {
    const { key, mask, actions } = flow
    const ufid = flow.ufid ?? `flow ${this.#homes.size + 1}`
    const put: PolicyPut = { ufid, mode: 'create', key, mask, actions }
    for (const port of [key.inPort, ...actions.map(({ output }) => output)])
      if (port !== undefined && !this.#ports.has(port)) this.#unknown.add(String(port))
    const placement = policy.place(put, this)
    const backend = placement.choices[0]?.backend
    if (backend === undefined)
      throw new CliError(`policy '${policy.name}' names no backend for the flow '${formatKey(key, mask)}'`)
    const switchId = key.inPort === undefined ? undefined : this.#ports.get(key.inPort)?.switchId
    if (backend === 'tc' && switchId !== undefined)
      this.#inTc.set(switchId, (this.#inTc.get(switchId) ?? 0) + 1)
    this.#homes.set(ufid, backend)
    policy.placed?.(put, { ufid, cause: 'put', backend, declined: [] }, this)
    const rule = (policy as Partial<RulesPolicy>).ruleOf?.(placement)?.name
    const now = /\bdp:(tc|ovs)\b/.exec(text)?.[1] as BackendName | undefined
    const portName = (number: number) => this.#ports.get(number)?.name
    return {
      ...(flow.ufid === undefined ? {} : { ufid }),
      flow: `${formatKey(key, mask, { portName })}, actions:${formatActions(actions, { portName })}`,
      ...(now === undefined ? {} : { now }),
      placement,
      ...(rule === undefined ? {} : { rule }),
    }
  }

  #enter(port: Port): void {
    this.#ports.set(port.number, port)
    this.#numbers.set(port.name, port.number)
  }
}

/** Whether a word that may name a port is an action. */
function isAction(word: string): boolean {
  try {
    parseActions(word)
    return true
  } catch (error) {
    if (error instanceof DpifError) return /[()]/.test(word)
    throw error
  }
}

function grouped(policy: Policy, flows: readonly SimulatedFlow[]): SimulatedGroup[] {
  const counts = new Map<Placement, number>()
  const all = (policy as Partial<RulesPolicy>).rules ?? []
  for (const { placement } of all) counts.set(placement, 0)
  const rules = new Map<Placement, string>(all.map(({ name, placement }) => [placement, name]))
  for (const { placement, rule } of flows) {
    counts.set(placement, (counts.get(placement) ?? 0) + 1)
    if (rule !== undefined) rules.set(placement, rule)
  }
  const groups = [...counts].map(([placement, count]): SimulatedGroup => {
    const rule = rules.get(placement)
    return { placement, ...(rule === undefined ? {} : { rule }), flows: count }
  })
  // Behind a rule comes what was beyond its limit; what was beyond a tenant's has no rule.
  const order = all.map(({ name }) => name)
  const place = ({ rule }: SimulatedGroup) => (rule === undefined ? order.length : order.indexOf(rule))
  return groups.sort((a, b) => place(a) - place(b) || (all.length > 0 ? 0 : b.flows - a.flows))
}

/** Reads what `hwacc show --json` or `hwacc show` prints. Throws a {@link CliError}. */
export function readPorts(text: string, file: string): Port[] {
  const trimmed = text.trimStart()
  return trimmed.startsWith('[') || trimmed.startsWith('{') ? fromJson(text, file) : fromLines(text, file)
}

function fromJson(text: string, file: string): Port[] {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw new CliError(`cannot read '${file}': ${error instanceof Error ? error.message : error}`)
  }
  const all = (Array.isArray(found) ? found : [found]) as readonly { ports?: unknown }[]
  // Either datapaths, or ports alone.
  const ports = all.flatMap((one) => (Array.isArray(one?.ports) ? one.ports : [one])) as readonly unknown[]
  return ports.map((one) => {
    const { number, name, type = 'netdev', ifindex = 0, ...rest } = (one ?? {}) as Partial<Port>
    if (!Number.isInteger(number) || typeof name !== 'string')
      throw new CliError(
        `cannot read '${file}': a port needs a number and a name, not ${JSON.stringify(one)}`,
      )
    return { ...rest, number: number as number, name, type, ifindex }
  })
}

function fromLines(text: string, file: string): Port[] {
  const ports = [...text.matchAll(/^\s*port ([0-9]+): (\S+)(?: \(([a-z0-9]+))?/gm)].map(
    ([, number, name = '', type = 'netdev']): Port => ({
      number: Number(number),
      name,
      type: type as PortType,
      ifindex: 0,
    }),
  )
  if (ports.length === 0)
    throw new CliError(`cannot read '${file}': no line like 'port 1: eth0', and no JSON of hwacc show`)
  return ports
}
