import type { Failure } from './errors.js'

/** What the rates of a meter count: kilobits (1000 bits) a second, or packets a second. */
export type MeterUnit = 'kbps' | 'pktps'

/** What happens to packets beyond the rate. The kernel knows no other (enum ovs_meter_band_type). */
export type MeterBandType = 'drop'

/** One limit of a meter. */
export interface MeterBand {
  /** `drop` when left out. */
  readonly type?: MeterBandType
  /** Kilobits or packets a second, from 1. */
  readonly rate: number
  /**
   * What may come at once: kilobits or packets. Left out or 0 it is one second's worth, as in OVS: a bucket of no size would let
   * nothing pass.
   */
  readonly burst?: number
}

/** A meter as it is set. */
export interface MeterSpec {
  /** The datapath's own number of the meter, which the action `meter` names; not OpenFlow's. */
  readonly id: number
  readonly unit: MeterUnit
  /** Linux takes exactly one (DP_MAX_BANDS, net/openvswitch/meter.c). */
  readonly bands: readonly MeterBand[]
}

export interface SetMeterOptions {
  /** Counters start again at 0; else those of a meter that was there go on. */
  readonly zeroStats?: boolean
}

/** What a meter, or a band, has counted. */
export interface MeterStats {
  readonly packets: bigint
  /** With the Ethernet header in openvswitch, without it in TC software. */
  readonly bytes: bigint
}

/** A band of a meter that is there. */
export interface MeterBandState extends Partial<MeterBand> {
  /**
   * The packets that were dropped. TC does not count their bytes: in `bytes` are those of openvswitch alone. openvswitch forgets
   * them when a meter is changed; the object that changed it carries them on.
   */
  readonly stats: MeterStats
}

/** A meter that is there, with the counters of both places as one. */
export interface Meter {
  readonly id: number
  /**
   * openvswitch does not tell what a meter was set to. It is known of meters this object set, and of those that have a police in TC;
   * else `unit`, and `rate` and `burst` of the bands, are left out.
   */
  readonly unit?: MeterUnit
  readonly bands: readonly MeterBandState[]
  /** Every packet that came to the meter, dropped or not. */
  readonly stats: MeterStats
  /** When it was last used or set: milliseconds on CLOCK_MONOTONIC. */
  readonly used: number
  /** The index of the police that carries out the meter in TC. Absent where there is none. */
  readonly police?: number
  /** Why there is none, as far as this object knows: it set the meter. */
  readonly declined?: Failure
}

/** What the kernel can do with meters. */
export interface MeterFeatures {
  readonly maxMeters: number
  /** Bands of one meter. */
  readonly maxBands: number
  readonly bandTypes: readonly MeterBandType[]
}

export interface DumpMetersOptions {
  /** openvswitch lists no meters, it is asked for each: those from 0 to this number are; 1023 when left out. */
  readonly upTo?: number
}

/** The meters of one datapath, wherever they are kept. */
export interface MeterControl {
  features(): Promise<MeterFeatures>
  set(meter: MeterSpec, options: SetMeterOptions): Promise<Meter>
  get(id: number): Promise<Meter>
  del(id: number): Promise<Meter>
  dump(options: DumpMetersOptions): Promise<Meter[]>
}
