import type { FlowStats, FlowWords } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'
import type { FlowHistory } from '../../types/policy.js'
import { UfidTable } from '../memory/ufid-table.js'

/** The words of an entry. Times are milliseconds on CLOCK_MONOTONIC, modulo 2^32, which lasts for 49 days between two looks. */
const word = {
  bits: 0,
  packets: 1,
  bytesLow: 2,
  bytesHigh: 3,
  at: 4,
  since: 5,
  packetRate: 6,
  byteRate: 7,
} as const

/**
 * How busy flows are, look by look: what they had counted, when that was, the rates in between, and how long they have been where they
 * are. 48 bytes a flow in a table, for a million of them.
 */
export class History {
  readonly #table = new UfidTable(Object.keys(word).length)
  #look = 0
  /** Whether any flow was seen twice. */
  isMeasured = false

  /** A look at all flows begins. Those that three looks in a row did not find are forgotten at the end. */
  begin(): void {
    this.#look = (this.#look + 1) & LOOKS
  }

  /**
   * Notes what a flow has counted. A rate is measured over `leastMs` or more: a look that comes earlier leaves it as it is.
   */
  note(
    id: FlowWords,
    backend: BackendName,
    stats: Pick<FlowStats, 'packets' | 'bytes'>,
    now: number,
    leastMs: number,
  ): void {
    const table = this.#table
    const before = table.size
    const at = table.insert(id)
    const isNew = table.size > before
    const old = table.word(at, word.bits)
    const home = backend === 'tc' ? IN_TC : 0
    const hasMoved = !isNew && (old & IN_TC) !== home
    const kept = hasMoved ? old | MOVED : old
    const elapsed = (now - table.word(at, word.at)) >>> 0
    let bits = (kept & ~(IN_TC | (LOOKS << LOOK_SHIFT))) | home | (this.#look << LOOK_SHIFT)
    if (isNew || hasMoved) table.setWord(at, word.since, now | 0)
    if (isNew || elapsed >= leastMs) {
      if (!isNew) {
        bits |= MEASURED
        this.isMeasured = true
        this.#measure(at, stats, Math.max(1, elapsed))
      }
      table.setWord(at, word.packets, Number(BigInt.asIntN(32, stats.packets)))
      table.setWord(at, word.bytesLow, Number(BigInt.asIntN(32, stats.bytes)))
      table.setWord(at, word.bytesHigh, Number(BigInt.asIntN(32, stats.bytes >> 32n)))
      table.setWord(at, word.at, now | 0)
    }
    table.setWord(at, word.bits, bits)
  }

  #measure(at: number, { packets, bytes }: Pick<FlowStats, 'packets' | 'bytes'>, elapsed: number): void {
    const table = this.#table
    const more = (Number(BigInt.asIntN(32, packets)) - table.word(at, word.packets)) >>> 0
    const before =
      BigInt.asUintN(32, BigInt(table.word(at, word.bytesLow))) |
      (BigInt.asUintN(32, BigInt(table.word(at, word.bytesHigh))) << 32n)
    const moreBytes = Number(BigInt.asUintN(64, bytes - before))
    // Counters that somebody set back are no packets.
    const isBack = more >= 2 ** 31
    table.setWord(at, word.packetRate, bitsOf(isBack ? 0 : (more * 1000) / elapsed))
    table.setWord(at, word.byteRate, bitsOf(isBack ? 0 : (moreBytes * 1000) / elapsed))
  }

  /** A flow was moved by us. */
  moved(id: FlowWords, backend: BackendName, now: number): void {
    const at = this.#table.find(id)
    if (at < 0) return
    const bits = this.#table.word(at, word.bits)
    this.#table.setWord(at, word.bits, (bits & ~IN_TC) | MOVED | (backend === 'tc' ? IN_TC : 0))
    this.#table.setWord(at, word.since, now | 0)
  }

  /** How long ago the flow was last seen to move; undefined when it never was. */
  restedMs(id: FlowWords, now: number): number | undefined {
    const at = this.#table.find(id)
    if (at < 0 || (this.#table.word(at, word.bits) & MOVED) === 0) return undefined
    return (now - this.#table.word(at, word.since)) >>> 0
  }

  /** Undefined as long as the flow was seen but once. */
  of(id: FlowWords, now: number): FlowHistory | undefined {
    const at = this.#table.find(id)
    if (at < 0) return undefined
    const bits = this.#table.word(at, word.bits)
    if ((bits & MEASURED) === 0) return undefined
    return {
      backend: (bits & IN_TC) === 0 ? 'ovs' : 'tc',
      packetsPerSecond: numberOf(this.#table.word(at, word.packetRate)),
      bytesPerSecond: numberOf(this.#table.word(at, word.byteRate)),
      since: now - ((now - this.#table.word(at, word.since)) >>> 0),
    }
  }

  /** A look has ended. */
  end(): void {
    forget(this.#table, (at) => {
      const seen = (this.#table.word(at, word.bits) >>> LOOK_SHIFT) & LOOKS
      return ((this.#look - seen) & LOOKS) >= MISSED
    })
  }
}

/** Takes out the entries that are to be forgotten, so many at a time. */
export function forget(table: UfidTable, isStale: (position: number) => boolean): void {
  const stale: FlowWords[] = []
  table.each((id, position) => {
    if (stale.length < AT_ONCE && isStale(position)) stale.push(id)
  })
  for (const id of stale) table.remove(table.find(id))
}

/** No look may take long over what is gone. */
const AT_ONCE = 65_536
/** A dump that tables change under may miss a flow. */
export const MISSED = 3

const IN_TC = 1
const MEASURED = 2
const MOVED = 4
const LOOK_SHIFT = 8
const LOOKS = 0xff

const float = new Float32Array(1)
const floatBits = new Int32Array(float.buffer)

function bitsOf(value: number): number {
  float[0] = value
  return floatBits[0] as number
}

function numberOf(bits: number): number {
  floatBits[0] = bits
  return float[0] as number
}
