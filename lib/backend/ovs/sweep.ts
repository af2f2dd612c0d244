import type { CounterColumns } from '../../memory/counters.js'
import { padded, Words } from '../../netlink/words.js'
import { HEADERS } from '../../ovs/family.js'
import { flow as flowFamily } from '../../ovs/flow.js'
import { KernelFlow } from './kernel-flow.js'

const { ids } = flowFamily.body

/** Reads ids and counters out of a page of a terse dump; everything else is passed over. */
export function sweepFlows(page: Uint8Array, into: CounterColumns): void {
  const words = new Words(page)
  into.clear()
  for (let start = 0; start < words.length; ) {
    const end = words.messageEnd(start, HEADERS)
    const index = into.add()
    into.setPackets(index, 0, 0)
    into.setBytes(index, 0, 0)
    into.used[index] = 0
    into.offloaded[index] = 0
    let named = false
    for (let at = start + HEADERS; at + 4 <= end; ) {
      const size = words.attributeSize(at, end)
      const id = words.attributeId(at)
      if (id === ids.ufid && size === 20) {
        into.setId(index, words.at(at + 4), words.at(at + 8), words.at(at + 12), words.at(at + 16))
        named = true
      } else if (id === ids.stats && size >= 20) {
        into.setPackets(index, words.low(at + 4), words.high(at + 4))
        into.setBytes(index, words.low(at + 12), words.high(at + 12))
      } else if (id === ids.used && size === 12) {
        into.used[index] = words.high(at + 4) * 2 ** 32 + (words.low(at + 4) >>> 0)
      }
      at += padded(size)
    }
    // The kernel stores no ufid for what was put without one, and sends the key instead.
    if (!named) {
      const { w0, w1, w2, w3 } = new KernelFlow(page, start, end).id
      into.setId(index, w0, w1, w2, w3)
    }
    start = padded(end)
  }
}
