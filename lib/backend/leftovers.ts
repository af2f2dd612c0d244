import type { Found, Leftovers } from '../../types/dpif.js'
import type { Port } from '../../types/port.js'
import type { Transport } from '../../types/transport.js'
import { DpifError } from '../errors.js'
import { Writer } from '../netlink/writer.js'
import { types } from '../tc/message.js'
import { foreignFilters, ingressQdiscs } from './device/hook.js'
import type { Inventory } from './device/inventory.js'
import { judge } from './device/preflight.js'
import { kernelFailure } from './failure.js'
import type { Datapaths } from './ovs/datapath.js'
import type { FamilyId } from './ovs/family.js'
import { Vports } from './ovs/vports.js'
import { Answers, Batch, isGone } from './tc/batch.js'
import { Dumps } from './tc/dumps.js'
import type { FilterFlow } from './tc/filter.js'
import { Identities, isOurs } from './tc/identity.js'
import { writeFilter } from './tc/message.js'
import { Ports } from './tc/ports.js'
import { hasFilters, markedQdiscs, removeQdisc } from './tc/qdisc.js'

/** What {@link KernelLeftovers} looks through. */
export interface LeftoversParts {
  readonly transport: Transport
  readonly id: FamilyId
  readonly datapaths: Datapaths
  readonly inventory: Inventory
}

/**
 * What earlier processes, ours and others', have left on the ingress of devices: all that have an ingress qdisc, save the ports of other
 * datapaths, which are somebody's business.
 *
 * Ours is a filter with a handle out of our range and a cookie of 16 bytes, and a qdisc that carries our mark (`tc/qdisc.ts`).
 */
export class KernelLeftovers implements Leftovers {
  readonly #parts: LeftoversParts

  constructor(parts: LeftoversParts) {
    this.#parts = parts
  }

  async *find(ports: readonly Port[]): AsyncGenerator<Found> {
    const { transport, inventory } = this.#parts
    const qdiscs = [...(await ingressQdiscs(transport)).keys()].sort((a, b) => a - b)
    const taken = await this.#portsOfAll()
    const own = new Map(ports.map((port) => [port.ifindex, port.name]))
    const devices = qdiscs.filter((ifindex) => own.has(ifindex) || !taken.has(ifindex))
    const marked = new Set(await markedQdiscs(transport, devices))
    const names = new Map((await inventory.devices()).map(({ ifindex, name }) => [ifindex, name]))
    const nameOf = (ifindex: number) => names.get(ifindex) ?? `device ${ifindex}`
    for (const ifindex of devices) {
      const device = nameOf(ifindex)
      if (own.has(ifindex)) yield* this.#foreign(ifindex, device)
      yield* this.#orphans(ifindex, device, ports, nameOf)
      if (marked.has(ifindex) && !(await hasFilters(transport, ifindex))) yield this.#empty(ifindex, device)
    }
  }

  /** The devices that are ports, of whichever datapath. */
  async #portsOfAll(): Promise<Set<number>> {
    const { transport, id, datapaths } = this.#parts
    const found = new Set<number>()
    for (const { ifindex } of await datapaths.list()) {
      try {
        for (const vport of await new Vports(transport, id, ifindex).list()) found.add(vport.ifindex ?? 0)
      } catch (error) {
        // It went meanwhile, and its ports with it.
        if (!(error instanceof DpifError) || error.code !== 'NO_DATAPATH') throw error
      }
    }
    return found
  }

  /** What preflight has to say of them. */
  async *#foreign(ifindex: number, name: string): AsyncGenerator<Found> {
    const foreign = await foreignFilters(this.#parts.transport, ifindex)
    const { findings } = judge({
      ports: [{ name, device: { name, ifindex, kind: 'other' }, hook: { foreign } }],
      eswitches: [],
      modules: { privileged: true, missing: [], lacking: [] },
    })
    for (const { reason, message, mend } of findings) {
      if (reason !== 'FOREIGN_FILTER') continue
      const help = mend === undefined ? message : `${message}; if nobody needs it: ${mend}`
      yield { finding: { kind: 'FOREIGN_FILTER', message: help, device: name, sweepable: false } }
    }
  }

  async *#orphans(
    ifindex: number,
    device: string,
    own: readonly Port[],
    nameOf: (ifindex: number) => string,
  ): AsyncGenerator<Found> {
    const ports = new Ports()
    ports.replace(own)
    const isPort = ports.byIfindex(ifindex) !== undefined
    const dumps = new Dumps(this.#parts.transport, ports, new Identities())
    for await (const flows of dumps.of({ number: 0, name: device, type: 'netdev', ifindex }, false)) {
      // Read before the page is used again.
      const found = flows.flatMap((flow) => {
        const problem = isOurs(flow.place.handle) ? problemOf(flow, isPort, ports, nameOf) : undefined
        return problem === undefined ? [] : [{ id: flow.id, place: flow.place, problem }]
      })
      for (const { id, place, problem } of found) {
        const message = `flow ${id.ufid} is a filter of ours on '${device}', ${problem}`
        yield {
          finding: { kind: 'ORPHAN', message, ufid: id.ufid, device, sweepable: true },
          sweep: () => this.#remove({ ufid: id.ufid, place, isPort }),
        }
      }
    }
  }

  /** Deletes a filter, if it is still the flow's, and its device still what it was found to be. */
  async #remove({ ufid, place, isPort }: Orphan): Promise<boolean> {
    const { transport } = this.#parts
    if (!isPort && (await this.#portsOfAll()).has(place.ifindex)) return false
    const ask = new Batch(new Writer(256))
    const at = ask.add((writer) => writeFilter(writer, types.GETTFILTER, 0, place))
    const seen = new Answers(await ask.send(transport), new Ports())
    if (seen.found(at)?.ufid !== ufid) return false
    const batch = new Batch(new Writer(256))
    const deletion = batch.add((writer) => writeFilter(writer, types.DELTFILTER, 0, place))
    const failure = new Answers(await batch.send(transport), new Ports()).failure(deletion)
    if (failure === undefined) return true
    if (isGone(failure) || failure.errno === ENODEV) return false
    throw DpifError.from(kernelFailure(`delete flow ${ufid} in tc`, failure, { backend: 'tc' }))
  }

  #empty(ifindex: number, device: string): Found {
    const { transport } = this.#parts
    return {
      finding: {
        kind: 'EMPTY_QDISC',
        message: `'${device}' has an ingress qdisc that we made, and no filter on it`,
        device,
        sweepable: true,
      },
      sweep: async () => {
        const [still] = await markedQdiscs(transport, [ifindex])
        if (still === undefined || (await hasFilters(transport, ifindex))) return false
        await removeQdisc(transport, ifindex)
        return true
      },
    }
  }
}

interface Orphan {
  readonly ufid: string
  readonly place: FilterFlow['place']
  readonly isPort: boolean
}

/** What is wrong with a filter of ours, if anything is. */
function problemOf(
  flow: FilterFlow,
  isPort: boolean,
  ports: Ports,
  nameOf: (ifindex: number) => string,
): string | undefined {
  if (!isPort) return 'which is no port of any datapath'
  const stranger = flow.outputs.find((ifindex) => ports.byIfindex(ifindex) === undefined)
  if (stranger === undefined) return undefined
  // The kernel forgets the device of an action when it goes (mirred_device_event()).
  const where =
    stranger === 0 ? 'a device that is gone' : `'${nameOf(stranger)}', which is no port of the datapath`
  return `and sends packets to ${where}`
}

const ENODEV = 19
