import type { MeterFeatures, MeterSpec, MeterStats } from '../../../types/meter.js'
import type { Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { bandTypes, meter as family, type MeterBody, meterCommands } from '../../ovs/meter.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'

/** What openvswitch tells of a meter: counters, and not what it was set to (ovs_meter_cmd_reply_stats()). */
export interface KernelMeter {
  readonly id: number
  readonly stats: MeterStats
  /** Milliseconds on CLOCK_MONOTONIC. */
  readonly used: number
  /** One for each band. */
  readonly bands: readonly MeterStats[]
}

/** The meters of one datapath in the openvswitch module. */
export class KernelMeters {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #dpIfindex: number

  constructor(transport: Transport, id: FamilyId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#dpIfindex = dpIfindex
  }

  async features(): Promise<MeterFeatures> {
    const [body = {}] = await this.#ask('read what meters can do', meterCommands.FEATURES, {})
    const { maxMeters = 0, maxBands = 0, bands = [] } = body
    return { maxMeters, maxBands, bandTypes: bands.flatMap(({ type = 0 }) => bandTypes[type - 1] ?? []) }
  }

  /** Makes a meter, or changes one. Its counters begin with `stats`, those of its bands with 0. */
  async set({ id, unit, bands }: MeterSpec, stats?: MeterStats): Promise<void> {
    await this.#ask(`set meter ${id}`, meterCommands.SET, {
      id,
      ...(unit === 'kbps' ? { kbps: true } : {}),
      ...(stats === undefined ? { clear: true } : { stats }),
      bands: bands.map(({ type = 'drop', rate, burst }) => {
        return { type: bandTypes.indexOf(type) + 1, rate, burst: burst || rate }
      }),
    })
  }

  /** Those that are there, in the order they were asked for. */
  async get(ids: readonly number[]): Promise<KernelMeter[]> {
    const found: KernelMeter[] = []
    for (let from = 0; from < ids.length; from += SLICE) {
      const slice = ids.slice(from, from + SLICE)
      const writer = new Writer(slice.length * 32)
      for (const id of slice) await this.#write(writer, meterCommands.GET, { id })
      const { failures, replies } = await this.#transport.exchange('generic', writer.take())
      for (const failure of failures) {
        if (failure.errno !== ENOENT) throw refusal(`get meter ${slice[failure.index]}`, failure)
      }
      for (const message of messagesOf(replies)) found.push(meterOf(readMessage(family, message).body))
    }
    return found
  }

  /** openvswitch does not mind when there is none of that number. */
  async del(id: number): Promise<void> {
    await this.#ask(`delete meter ${id}`, meterCommands.DEL, { id })
  }

  async #ask(attempt: string, cmd: number, body: MeterBody): Promise<MeterBody[]> {
    const writer = new Writer(128)
    await this.#write(writer, cmd, body)
    const { failures, replies } = await this.#transport.exchange('generic', writer.take())
    const [failure] = failures
    if (failure !== undefined) throw refusal(attempt, failure)
    return [...messagesOf(replies)].map((message) => readMessage(family, message).body)
  }

  async #write(writer: Writer, cmd: number, body: MeterBody): Promise<void> {
    const header = { cmd, version: family.version, dpIfindex: this.#dpIfindex }
    writeMessage(writer, family, { type: await this.#id(family), flags: 0, header, body })
  }
}

const ENOENT = 2
/** Requests in one exchange. */
const SLICE = 1024

const hints: Readonly<Record<number, Parameters<typeof kernelFailure>[2]>> = {
  // attach_meter(), net/openvswitch/meter.c: a table of 1024 slots to begin with, by the remainder of the number.
  16: {
    hint: 'the slot of the number is taken by another meter; use numbers that are close together, from 0',
  },
  19: { code: 'NO_DATAPATH' },
  22: { hint: 'openvswitch takes one band, of type drop, with a rate above 0' },
  27: { hint: 'there are as many meters as the kernel allows' },
}

function refusal(attempt: string, failure: Parameters<typeof kernelFailure>[1]): DpifError {
  return DpifError.from(kernelFailure(attempt, failure, { backend: 'ovs', ...hints[failure.errno] }))
}

function meterOf({ id = 0, stats = none, used = 0n, bands = [] }: MeterBody): KernelMeter {
  return { id, stats, used: Number(used), bands: bands.map((band) => band.stats ?? none) }
}

const none: MeterStats = { packets: 0n, bytes: 0n }
