import type { CounterColumns } from '../../memory/counters.js'
import { padded, Words } from '../../netlink/words.js'
import { actionEnvelope } from '../../tc/action/index.js'
import { filterFlags, flower } from '../../tc/flower.js'
import { HANDLE, HEADERS, INFO, tcMessage } from '../../tc/message.js'
import { actionStats, ETHERNET } from '../../tc/stats.js'
import { checkOf, type Look } from './moves.js'

const { ids } = tcMessage.body

/** The payload of TCA_KIND, as two words. */
const FLOWER = new Words(new TextEncoder().encode('flower\0\0'))

/**
 * Reads ids and counters out of a page of a terse dump; filters that carry no flow are passed over.
 *
 * Every action counts the packets that reach it, so the largest count is the flow's, in software and in hardware apart
 * (nl_parse_action_stats() in OVS's lib/tc.c). A police without a ufid carries out a meter and counts for others, too.
 *
 * Such a dump carries no times; `look` remembers when counters moved.
 */
export function sweepFilters(page: Uint8Array, into: CounterColumns, look: Pick<Look, 'note'>): void {
  const words = new Words(page)
  into.clear()
  for (let start = 0; start < words.length; ) {
    const end = words.messageEnd(start, HEADERS)
    let isOurs = words.at(start + HANDLE) !== 0
    let options = 0
    let chain = 0
    for (let at = start + HEADERS; at + 4 <= end; ) {
      const size = words.attributeSize(at, end)
      const id = words.attributeId(at)
      if (id === ids.kind) isOurs = isOurs && isFlower(words, at, size)
      else if (id === ids.chain && size === 8) chain = words.at(at + 4)
      else if (id === ids.options) options = at
      at += padded(size)
    }
    const index = isOurs && options > 0 ? sweepOptions(words, options, into) : -1
    if (index >= 0) {
      const { w0, w1, w2, w3 } = into.words(index)
      const packets = software.packets + hardware.packets
      const handle = words.at(start + HANDLE) >>> 0
      into.used[index] = look.note(chain, words.at(start + INFO), handle, checkOf(w0, w1, w2, w3), packets)
    }
    start = padded(end)
  }
}

function isFlower(words: Words, at: number, size: number): boolean {
  return (
    size === 11 && words.at(at + 4) === FLOWER.at(0) && (words.at(at + 8) & MASK) === (FLOWER.at(4) & MASK)
  )
}

/** How the payload of TCA_ACT_KIND begins, and no other of 7 bytes. */
const POLICE = new Words(new TextEncoder().encode('police\0\0'))

/** All but the byte of padding. */
const MASK = new Words(Uint8Array.of(0xff, 0xff, 0xff, 0)).at(0)

/** The index of the flow on the page; -1 for a filter that carries none. */
function sweepOptions(words: Words, options: number, into: CounterColumns): number {
  const end = options + words.attributeSize(options, words.length)
  let actions = 0
  let flags = 0
  for (let at = options + 4; at + 4 <= end; ) {
    const size = words.attributeSize(at, end)
    const id = words.attributeId(at)
    if (id === flower.ids.actions) actions = at
    else if (id === flower.ids.flags && size === 8) flags = words.at(at + 4)
    at += padded(size)
  }
  if (actions === 0) return -1
  const index = sweepActions(words, actions + 4, actions + words.attributeSize(actions, end), into)
  if (index >= 0) into.offloaded[index] = flags & filterFlags.IN_HW ? 1 : 0
  return index
}

function sweepActions(words: Words, from: number, end: number, into: CounterColumns): number {
  software.clear()
  hardware.clear()
  let cookie = 0
  for (let action = from; action + 4 <= end; ) {
    const actionEnd = action + words.attributeSize(action, end)
    let stats = 0
    let isPolice = false
    let named = false
    for (let at = action + 4; at + 4 <= actionEnd; ) {
      const size = words.attributeSize(at, actionEnd)
      const id = words.attributeId(at)
      // The last cookie counts, as in OVS.
      if (id === actionEnvelope.ids.cookie) {
        named = size === 20
        cookie = named ? at + 4 : 0
      } else if (id === actionEnvelope.ids.stats) stats = at
      else if (id === actionEnvelope.ids.kind) isPolice = size === 11 && words.at(at + 4) === POLICE.at(0)
      at += padded(size)
    }
    if (stats > 0 && (named || !isPolice))
      sweepStats(words, stats + 4, stats + words.attributeSize(stats, actionEnd))
    action = padded(actionEnd)
  }
  if (cookie === 0) return -1
  const index = into.add()
  into.setId(index, words.at(cookie), words.at(cookie + 4), words.at(cookie + 8), words.at(cookie + 12))
  const packets = software.packets + hardware.packets
  total.setNumber(software.packets * ETHERNET)
  software.bytes.add(total)
  into.setPackets(index, packets % 2 ** 32, Math.floor(packets / 2 ** 32))
  software.bytes.add(hardware.bytes)
  into.setBytes(index, software.bytes.low, software.bytes.high)
  return index
}

/** A 64-bit number in two halves, both from 0 to 2³²-1. */
class Wide {
  low = 0
  high = 0

  set(low: number, high: number): void {
    this.low = low >>> 0
    this.high = high >>> 0
  }

  setNumber(value: number): void {
    this.set(value % 2 ** 32, Math.floor(value / 2 ** 32))
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
const software = new Count()
const hardware = new Count()
const total = new Wide()
const inHardware = new Wide()

/** struct gnet_stats_basic: 64 bits of bytes, 32 of packets. */
function sweepStats(words: Words, from: number, end: number): void {
  let packets = 0
  let hardwarePackets = 0
  total.set(0, 0)
  inHardware.set(0, 0)
  for (let at = from; at + 4 <= end; ) {
    const size = words.attributeSize(at, end)
    const id = words.attributeId(at)
    if (size >= 16 && id === actionStats.ids.basic) {
      total.set(words.low(at + 4), words.high(at + 4))
      packets = words.at(at + 12) >>> 0
    } else if (size >= 16 && id === actionStats.ids.basicHw) {
      inHardware.set(words.low(at + 4), words.high(at + 4))
      hardwarePackets = words.at(at + 12) >>> 0
    }
    at += padded(size)
  }
  hardware.keepLarger(hardwarePackets, inHardware)
  total.subtract(inHardware)
  software.keepLarger(packets - hardwarePackets, total)
}
