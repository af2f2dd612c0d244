import type { MeterBand, MeterSpec, MeterUnit } from '../../../types/meter.js'
import { verdicts } from '../../tc/action/kind.js'
import type { PoliceOptions } from '../../tc/action/police.js'

/**
 * A meter as a police: both fill a bucket at the rate and let a packet pass when there is enough in it for the whole packet.
 *
 *            meter (net/openvswitch/meter.c)           police (net/sched/act_police.c)
 *     rate   kilobits a second: × 1000 bits            bytes a second: × 1000 / 8
 *            packets a second                          packets a second
 *     burst  in kilobits or packets                    the time the rate takes for them: burst / rate seconds, in ticks of 64 ns
 *     time   whole milliseconds                        nanoseconds
 *     begins with a full bucket                        full in bytes; empty in packets (tcf_police_init() fills the one only)
 *     size   skb->len, with the Ethernet header        behind the Ethernet header in software; as the NIC counts in hardware
 *
 * An overhead of 14 bytes would make sizes equal in software, and is not asked for: drivers refuse a police that has any.
 */
interface Conversion {
  /** The largest burst, in ticks. */
  readonly mostTicks: bigint
  options(rate: bigint, ticks: bigint): Omit<PoliceOptions, 'parms'> & { readonly parms: object }
}

const TICKS_PER_SECOND = 15_625_000n
/** TC_LINKLAYER_ETHERNET. */
const ETHERNET = 1
/** The kernel wants a table of the right size (qdisc_get_rtab(), net/sched/sch_api.c) and computes times itself. */
const NO_TIMES = new Uint8Array(1024)

const conversions: Readonly<Record<MeterUnit, Conversion>> = {
  kbps: {
    mostTicks: 0xffffffffn,
    options: (kilobits, ticks) => {
      const rate = kilobits * 125n
      const isWide = rate > 0xffffffffn
      return {
        // A link layer that is named is not guessed from the table, which otherwise nobody looks at.
        parms: {
          burst: Number(ticks),
          rate: isWide ? 0xffffffff : Number(rate),
          rateCellLog: 3,
          rateLinkLayer: ETHERNET,
        },
        rateTable: NO_TIMES,
        ...(isWide ? { rate64: rate } : {}),
      }
    },
  },
  pktps: {
    mostTicks: 0x7fffffffffffffffn / 64n,
    options: (packetRate, packetBurst) => ({ parms: {}, packetRate, packetBurst }),
  },
}

/** What makes the police of a meter, or why there can be none. */
export function policeOf(
  { unit, bands }: MeterSpec,
  index: number,
): { readonly options: PoliceOptions } | { readonly problem: string } {
  const [band, ...others] = bands
  if (band === undefined || others.length > 0)
    return { problem: `a police has one band, the meter ${bands.length}` }
  const { rate, burst } = sizesOf(band)
  const { mostTicks, options } = conversions[unit]
  // Rounded up, lest the last packet that fits be refused.
  const ticks = (BigInt(burst) * TICKS_PER_SECOND + BigInt(rate) - 1n) / BigInt(rate)
  if (ticks > mostTicks) {
    const most = Number(mostTicks / TICKS_PER_SECOND)
    return {
      problem: `a burst of ${burst} at a rate of ${rate}; at most ${most} times the rate fits a police`,
    }
  }
  const { parms, ...more } = options(BigInt(rate), ticks)
  // No packet is too long in itself.
  const whole = { index, action: verdicts.SHOT, mtu: 0xffffffff, ...parms }
  return { options: { parms: whole, result: verdicts.PIPE, ...more } }
}

/** A band with its burst, which is one second's worth where it is not said. */
export function sizesOf({ rate, burst }: MeterBand): { readonly rate: number; readonly burst: number } {
  return { rate, burst: burst || rate }
}

/** What the police of a meter was set to. `burst` is kept beside it, since ticks are rounded. */
export function meterOfPolice(
  { parms, rate64, packetRate }: PoliceOptions,
  burst: number,
): { readonly unit: MeterUnit; readonly band: MeterBand } {
  const unit = packetRate === undefined ? 'kbps' : 'pktps'
  const rate = packetRate === undefined ? (rate64 ?? BigInt(parms?.rate ?? 0)) / 125n : packetRate
  return { unit, band: { type: 'drop', rate: Number(rate), burst } }
}
