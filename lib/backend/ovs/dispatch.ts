import type { MessageFailure, Transport } from '../../../types/transport.js'
import type { UpcallDispatch } from '../../../types/upcall.js'
import { DpifError } from '../../errors.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { type DatapathBody, datapath as family, datapathFeatures } from '../../ovs/datapath.js'
import { commands } from '../../ovs/family.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'
import { possibleProcessors } from './processors.js'
import { Vports } from './vports.js'

const PER_CPU = datapathFeatures.dispatchUpcallPerCpu.bit

/** Which sockets the upcalls of one datapath go to. */
export class Dispatch {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #dpIfindex: number
  readonly #vports: Vports
  /** The features before they were changed. */
  #before = 0

  constructor(transport: Transport, id: FamilyId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#dpIfindex = dpIfindex
    this.#vports = new Vports(transport, id, dpIfindex)
  }

  /** Has upcalls sent to these port ids from now on, and answers by which way. */
  async take(pids: readonly number[], wanted: UpcallDispatch | undefined): Promise<UpcallDispatch> {
    const { userFeatures = 0 } = await this.#read()
    this.#before = userFeatures
    if (wanted !== 'per-vport') {
      const processors = Math.max(pids.length, possibleProcessors())
      const perCpuPids = Array.from({ length: processors }, (_, cpu) => pids[cpu % pids.length] as number)
      const [failure] = await this.#change([{ userFeatures: userFeatures | PER_CPU, perCpuPids }])
      if (failure === undefined) return 'per-cpu'
      // Linux < 5.15 does not know the feature.
      if (wanted === 'per-cpu' || failure.errno !== EOPNOTSUPP) throw refusal(failure)
    }
    if (userFeatures & PER_CPU) {
      const [failure] = await this.#change([{ userFeatures: userFeatures & ~PER_CPU }])
      if (failure !== undefined) throw refusal(failure)
    }
    await this.#give(await this.#vports.list(), pids)
    return 'per-vport'
  }

  /** Has upcalls of ports that go nowhere sent to these port ids: with dispatch by port, somebody else has added them. */
  async adopt(pids: readonly number[]): Promise<void> {
    const ports = await this.#vports.list()
    await this.#give(
      ports.filter(({ upcallPids = [] }) => upcallPids.every((pid) => pid === 0)),
      pids,
    )
  }

  /**
   * Has upcalls sent nowhere, where they are still sent to these port ids, and switches back what `take` switched. A datapath that is gone
   * has nothing to give back.
   */
  async release(pids: readonly number[], dispatch: UpcallDispatch): Promise<void> {
    try {
      if (dispatch === 'per-cpu') await this.#releaseProcessors(pids)
      else await this.#releasePorts(pids)
    } catch (error) {
      if (!(error instanceof DpifError) || !['NO_DATAPATH', 'CLOSED'].includes(error.code)) throw error
    }
  }

  async #releaseProcessors(pids: readonly number[]): Promise<void> {
    const { userFeatures = 0, perCpuPids } = await this.#read()
    // Linux < 6.1 does not tell: then nobody can say that they are ours, and to closed sockets nothing is sent anyway.
    if ((userFeatures & PER_CPU) === 0 || !perCpuPids?.some((pid) => pids.includes(pid))) return
    const changes: DatapathBody[] = [{ userFeatures, perCpuPids: perCpuPids.map(() => 0) }]
    if ((this.#before & PER_CPU) === 0) changes.push({ userFeatures: userFeatures & ~PER_CPU })
    const [failure] = await this.#change(changes)
    if (failure !== undefined) throw refusal(failure)
  }

  async #releasePorts(pids: readonly number[]): Promise<void> {
    const ours = (await this.#vports.list()).filter(({ upcallPids }) =>
      upcallPids?.some((pid) => pids.includes(pid)),
    )
    await this.#give(ours, [0])
    if ((this.#before & PER_CPU) === 0) return
    const { userFeatures = 0 } = await this.#read()
    const [failure] = await this.#change([{ userFeatures: userFeatures | PER_CPU }])
    if (failure !== undefined) throw refusal(failure)
  }

  /** How many packets could not be handed over since the datapath is there (`n_lost`). */
  async lost(): Promise<bigint> {
    return (await this.#read()).stats?.lost ?? 0n
  }

  async #give(ports: readonly { readonly portNo?: number }[], upcallPids: readonly number[]): Promise<void> {
    if (ports.length === 0) return
    const requests = ports.map(({ portNo = 0 }) => ({ cmd: commands.SET, body: { portNo, upcallPids } }))
    const { failures } = await this.#transport.exchange('generic', await this.#vports.request(requests))
    // A port that is gone meanwhile has no upcalls.
    const failure = failures.find(({ errno }) => errno !== ENODEV)
    if (failure !== undefined) throw refusal(failure)
  }

  async #change(bodies: readonly DatapathBody[]): Promise<readonly MessageFailure[]> {
    const { failures } = await this.#ask(commands.SET, bodies)
    return failures
  }

  async #read(): Promise<DatapathBody> {
    const { failures, replies } = await this.#ask(commands.GET, [{}])
    const [failure] = failures
    if (failure !== undefined) throw refusal(failure)
    for (const message of messagesOf(replies)) return readMessage(family, message).body
    throw new DpifError('BAD_MESSAGE', 'the kernel answered a request for a datapath with nothing')
  }

  async #ask(cmd: number, bodies: readonly DatapathBody[]) {
    const type = await this.#id(family)
    const writer = new Writer(128)
    for (const body of bodies) {
      const header = { cmd, version: family.version, dpIfindex: this.#dpIfindex }
      writeMessage(writer, family, { type, flags: 0, header, body })
    }
    return this.#transport.exchange('generic', writer.take())
  }
}

function refusal(failure: MessageFailure): DpifError {
  const more = failure.errno === ENODEV ? { code: 'NO_DATAPATH' as const } : (hints[failure.errno] ?? {})
  return DpifError.from(kernelFailure('take over the upcalls of the datapath', failure, more))
}

const hints: Readonly<Record<number, { readonly hint: string }>> = {
  95: { hint: "it takes Linux 5.15 to dispatch upcalls per CPU; use 'per-vport'" },
}

const ENODEV = 19
const EOPNOTSUPP = 95
