import type { CounterColumns } from '../../memory/counters.js'
import { padded, Words } from '../../netlink/words.js'
import { HANDLE, HEADERS } from '../../tc/message.js'
import { FilterLayout } from './layout.js'

/**
 * Reads ids and counters out of a page of a terse dump; filters that carry no flow are passed over.
 *
 * Every action counts the packets that reach it, so the largest count is the flow's, in software and in hardware apart
 * (nl_parse_action_stats() in OVS's lib/tc.c).
 */
export function sweepFilters(page: Uint8Array, into: CounterColumns): void {
  const words = new Words(page)
  into.begin(Math.floor(words.length / HEADERS))
  for (let start = 0; start < words.length; ) {
    const end = words.messageEnd(start, HEADERS)
    layout.look(words, start, end)
    const isFlow = layout.isFlower && layout.cookie > 0 && words.at(start + HANDLE) !== 0
    // Without the attribute it is chain 0.
    if (isFlow && (layout.chain === 0 || words.at(start + layout.chain) === 0))
      sweepFilter(words, start, into)
    start = padded(end)
  }
}

function sweepFilter(words: Words, start: number, into: CounterColumns): void {
  const index = into.count++
  const cookie = start + layout.cookie
  into.setId(index, words.at(cookie), words.at(cookie + 4), words.at(cookie + 8), words.at(cookie + 12))
  into.used[index] = 0
  if (layout.actions === 1 && !isInHardware(words, start)) sweepOne(words, start, into, index)
  else sweepAll(words, start, into, index)
}

/** Whether a device has counted for the first action. */
function isInHardware(words: Words, start: number): boolean {
  const basicHw = layout.basicHw[0] as number
  const at = start + basicHw
  return basicHw > 0 && (words.at(at) | words.at(at + 4) | words.at(at + 8)) !== 0
}

/** One action in software, as nearly all have: nothing to compare, nothing to add. */
function sweepOne(words: Words, start: number, into: CounterColumns, index: number): void {
  const basic = start + (layout.basic[0] as number)
  const packets = basic > start ? words.at(basic + 8) : 0
  into.setPackets(index, packets, 0)
  if (packets === 0) into.setBytes(index, 0, 0)
  else into.setBytes(index, words.low(basic), words.high(basic))
}

function sweepAll(words: Words, start: number, into: CounterColumns, index: number): void {
  software.clear()
  hardware.clear()
  for (let action = 0; action < layout.actions; action++) sweepStats(words, start, action)
  const packets = software.packets + hardware.packets
  into.setPackets(index, packets % 2 ** 32, Math.floor(packets / 2 ** 32))
  software.bytes.add(hardware.bytes)
  into.setBytes(index, software.bytes.low, software.bytes.high)
}

/** A 64-bit number in two halves, both from 0 to 2³²-1. */
class Wide {
  low = 0
  high = 0

  set(low: number, high: number): void {
    this.low = low >>> 0
    this.high = high >>> 0
  }

  add({ low, high }: Wide): void {
    const sum = this.low + low
    this.set(sum, this.high + high + (sum >= 2 ** 32 ? 1 : 0))
  }

  subtract({ low, high }: Wide): void {
    const rest = this.low - low
    this.set(rest, this.high - high - (rest < 0 ? 1 : 0))
  }
}

class Count {
  packets = 0
  readonly bytes = new Wide()

  clear(): void {
    this.packets = 0
    this.bytes.set(0, 0)
  }

  keepLarger(packets: number, { low, high }: Wide): void {
    if (packets <= this.packets) return
    this.packets = packets
    this.bytes.set(low, high)
  }
}

// One filter is read at a time, so these serve all.
const layout = new FilterLayout()
const software = new Count()
const hardware = new Count()
const total = new Wide()
const inHardware = new Wide()

/** struct gnet_stats_basic: 64 bits of bytes, 32 of packets. */
function sweepStats(words: Words, start: number, action: number): void {
  let packets = 0
  let hardwarePackets = 0
  total.set(0, 0)
  inHardware.set(0, 0)
  const basic = layout.basic[action] as number
  if (basic > 0) {
    total.set(words.low(start + basic), words.high(start + basic))
    packets = words.at(start + basic + 8) >>> 0
  }
  const basicHw = layout.basicHw[action] as number
  if (basicHw > 0) {
    inHardware.set(words.low(start + basicHw), words.high(start + basicHw))
    hardwarePackets = words.at(start + basicHw + 8) >>> 0
  }
  hardware.keepLarger(hardwarePackets, inHardware)
  total.subtract(inHardware)
  software.keepLarger(packets - hardwarePackets, total)
}
