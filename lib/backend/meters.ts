import type { Failure } from '../../types/errors.js'
import type {
  DumpMetersOptions,
  Meter,
  MeterBand,
  MeterControl,
  MeterFeatures,
  MeterSpec,
  MeterStats,
  SetMeterOptions,
} from '../../types/meter.js'
import { DpifError } from '../errors.js'
import type { KernelMeter, KernelMeters } from './ovs/meters.js'
import type { Police, Polices } from './tc/meters.js'
import { sizesOf } from './tc/police-rate.js'

/**
 * The meters of a datapath: each is one of openvswitch and, where it can be, a police in TC. openvswitch comes first when a meter is
 * made and last when it goes, so there is no police without its meter, and no filter whose police is gone.
 */
export class Meters implements MeterControl {
  readonly #kernel: KernelMeters
  readonly #polices: Polices
  /** What this object knows of the meters it has set. */
  readonly #known = new Map<number, Known>()
  #features: MeterFeatures | undefined

  constructor(kernel: KernelMeters, polices: Polices) {
    this.#kernel = kernel
    this.#polices = polices
  }

  async features(): Promise<MeterFeatures> {
    this.#features ??= await this.#kernel.features()
    return this.#features
  }

  async set(meter: MeterSpec, { zeroStats = false }: SetMeterOptions): Promise<Meter> {
    check(meter)
    const { id, bands } = meter
    const { maxBands } = await this.features()
    if (bands.length > maxBands) {
      const problem = `${bands.length} bands; the kernel takes ${maxBands}`
      throw new DpifError('INVALID', `cannot set meter ${id}: ${problem}`, { path: 'bands', backend: 'ovs' })
    }
    const [old] = await this.#kernel.get([id])
    const before = this.#known.get(id)
    const dropped = add(before?.dropped ?? zero, old?.bands[0] ?? zero)
    // What it was is not what it is to be: no filter may go on with that, so it is found out first.
    const declined = this.#polices.objection(meter)
    if (declined !== undefined || zeroStats) await this.#takeOut(id, declined === undefined)
    await this.#kernel.set(meter, zeroStats ? undefined : old?.stats)
    const failure = declined ?? (await this.#polices.set(meter))
    const known: Known = {
      meter,
      dropped: zeroStats ? zero : dropped,
      base: zeroStats ? undefined : before?.base,
      failure,
    }
    const police = await this.#policeOf(id)
    this.#known.set(id, zeroStats && police !== undefined ? { ...known, base: police } : known)
    return this.get(id)
  }

  async get(id: number): Promise<Meter> {
    checkId(id)
    const [found] = await this.#kernel.get([id])
    if (found === undefined) throw missing('get', id)
    return this.#join(found, await this.#policeOf(id))
  }

  async del(id: number): Promise<Meter> {
    checkId(id)
    const [found] = await this.#kernel.get([id])
    if (found === undefined) throw missing('delete', id)
    const meter = this.#join(found, await this.#policeOf(id))
    const failure = await this.#polices.del(id)
    if (failure !== undefined) throw DpifError.from(failure)
    await this.#kernel.del(id)
    this.#known.delete(id)
    return meter
  }

  async dump({ upTo = 1023 }: DumpMetersOptions): Promise<Meter[]> {
    checkId(upTo)
    const polices = new Map((await this.#polices.list()).map((police) => [police.meter, police]))
    const ids = new Set([...polices.keys(), ...this.#known.keys()])
    for (let id = 0; id <= upTo; id++) ids.add(id)
    const found = await this.#kernel.get([...ids].sort((a, b) => a - b))
    return found.map((meter) => this.#join(meter, polices.get(meter.id)))
  }

  async #policeOf(id: number): Promise<Police | undefined> {
    return (await this.#polices.list()).find(({ meter }) => meter === id)
  }

  /** Deletes the police of a meter; one that filters use may stay if `mayStay`, and counts on. */
  async #takeOut(id: number, mayStay: boolean): Promise<void> {
    const failure = await this.#polices.del(id)
    if (failure !== undefined && !(mayStay && failure.code === 'BUSY')) throw DpifError.from(failure)
  }

  /** What both have counted, as one. */
  #join({ id, stats, used, bands }: KernelMeter, police: Police | undefined): Meter {
    const known = this.#known.get(id)
    const base = known?.base ?? nothing
    const set = police ?? (known && { unit: known.meter.unit, band: bandOf(known.meter) })
    const inTc = police ?? nothing
    return {
      id,
      ...(set && { unit: set.unit }),
      bands: bands.map((band, index) => ({
        ...(index === 0 && set ? set.band : {}),
        stats: add(add(band, index === 0 && known ? known.dropped : zero), {
          packets: index === 0 ? inTc.dropped - (police ? base.dropped : 0n) : 0n,
          bytes: 0n,
        }),
      })),
      stats: add(stats, {
        packets: inTc.packets - (police ? base.packets : 0n),
        bytes: inTc.bytes - (police ? base.bytes : 0n),
      }),
      used: Math.max(used, inTc.used),
      ...(police === undefined ? {} : { police: police.index }),
      ...(police === undefined && known?.failure !== undefined ? { declined: known.failure } : {}),
    }
  }
}

interface Known {
  readonly meter: MeterSpec
  /** What openvswitch has forgotten of its band. */
  readonly dropped: MeterStats
  /** What a police that could not be made anew had counted when the counters were set back. */
  readonly base: Pick<Police, 'packets' | 'bytes' | 'dropped'> | undefined
  readonly failure: Failure | undefined
}

const zero: MeterStats = { packets: 0n, bytes: 0n }
const nothing = { packets: 0n, bytes: 0n, dropped: 0n, used: 0 }

const add = (a: MeterStats, b: MeterStats): MeterStats => ({
  packets: a.packets + b.packets,
  bytes: a.bytes + b.bytes,
})

function bandOf({ bands: [band] }: MeterSpec): MeterBand {
  return band === undefined ? { rate: 0 } : { type: 'drop', ...sizesOf(band) }
}

function check({ id, unit, bands }: MeterSpec): void {
  checkId(id)
  if (unit !== 'kbps' && unit !== 'pktps') throw new TypeError(`unit '${unit}'; there are kbps and pktps`)
  if (bands.length === 0) throw new TypeError('bands: a meter has at least one')
  for (const [index, { type = 'drop', rate, burst = 0 }] of bands.entries()) {
    if (type !== 'drop') throw new TypeError(`bands[${index}].type '${type}'; there is drop`)
    if (!isWord(rate) || rate === 0) throw new RangeError(`bands[${index}].rate ${rate}: 1 to 4294967295`)
    if (!isWord(burst)) throw new RangeError(`bands[${index}].burst ${burst}: 0 to 4294967295`)
  }
}

const isWord = (value: number) => Number.isInteger(value) && value >= 0 && value <= 0xffffffff

function checkId(id: number): void {
  if (!isWord(id)) throw new RangeError(`meter ${id}: the number of a meter is from 0 to 4294967295`)
}

function missing(verb: string, id: number): DpifError {
  const message = `cannot ${verb} meter ${id}: there is no such meter on this datapath; set it first`
  return new DpifError('NOT_FOUND', message, { errno: 2 })
}
