import { padded, type Words } from '../../netlink/words.js'
import { actionEnvelope } from '../../tc/action/index.js'
import { flower } from '../../tc/flower.js'
import { HEADERS, tcMessage } from '../../tc/message.js'
import { actionStats } from '../../tc/stats.js'

const { ids } = tcMessage.body

/** The payload of TCA_KIND, as two words. */
const FLOWER = new Uint8Array(new TextEncoder().encode('flower\0\0'))
/** So many attribute headers are compared at most; a filter with more of them is looked at anew each time. */
const MOST = 64
/** As many actions as a filter may have (TCA_ACT_MAX_PRIO). */
const MOST_ACTIONS = 32

/**
 * Where a filter of a terse dump has what a sweep wants to know. Filters of one kind have it in the same places, and comparing the
 * headers of their attributes with those of the last filter takes a fifth of the time that walking them does.
 *
 * All places are bytes from the start of the message; 0 is none.
 */
export class FilterLayout {
  isFlower = false
  /** The number of the chain. */
  chain = 0
  /** The 16 bytes that name the flow: the last cookie counts, as in OVS. */
  cookie = 0
  actions = 0
  /** For each action: struct gnet_stats_basic of all packets. */
  readonly basic = new Int32Array(MOST_ACTIONS)
  /** For each action: the same of those the device has seen. */
  readonly basicHw = new Int32Array(MOST_ACTIONS)
  #size = -1
  #headers = 0
  readonly #places = new Int32Array(MOST)
  readonly #words = new Int32Array(MOST)

  /** Takes in the filter between `start` and `end`. Throws BAD_MESSAGE when it is none. */
  look(words: Words, start: number, end: number): void {
    if (this.#size === end - start && this.#isSame(words, start)) return
    this.#size = -1
    this.#headers = 0
    this.isFlower = false
    this.chain = 0
    this.cookie = 0
    this.actions = 0
    this.#walk(words, start, end)
    if (this.#headers <= MOST) this.#size = end - start
  }

  #isSame(words: Words, start: number): boolean {
    for (let index = this.#headers - 1; index >= 0; index--) {
      if (words.at(start + (this.#places[index] as number)) !== this.#words[index]) return false
    }
    return true
  }

  /** A word that has to be the same for the next filter to be laid out alike. */
  #note(words: Words, start: number, at: number): void {
    if (this.#headers < MOST) {
      this.#places[this.#headers] = at - start
      this.#words[this.#headers] = words.at(at)
    }
    this.#headers++
  }

  #walk(words: Words, start: number, end: number): void {
    for (let at = start + HEADERS; at + 4 <= end; ) {
      const size = words.attributeSize(at, end)
      const id = words.attributeId(at)
      this.#note(words, start, at)
      if (id === ids.kind) this.#takeKind(words, start, at, size)
      else if (id === ids.chain && size === 8) this.chain = at + 4 - start
      else if (id === ids.options) this.#walkOptions(words, start, at + 4, at + size)
      at += padded(size)
    }
  }

  #takeKind(words: Words, start: number, at: number, size: number): void {
    this.isFlower = size === FLOWER.length + 3
    for (let byte = 0; byte < size - 4; byte += 4) this.#note(words, start, at + 4 + byte)
    for (let byte = 0; byte < size - 4 && this.isFlower; byte++) {
      this.isFlower = words.byte(at + 4 + byte) === FLOWER[byte]
    }
  }

  #walkOptions(words: Words, start: number, from: number, end: number): void {
    for (let at = from; at + 4 <= end; ) {
      const size = words.attributeSize(at, end)
      this.#note(words, start, at)
      if (words.attributeId(at) === flower.ids.actions) this.#walkActions(words, start, at + 4, at + size)
      at += padded(size)
    }
  }

  #walkActions(words: Words, start: number, from: number, end: number): void {
    for (let at = from; at + 4 <= end && this.actions < MOST_ACTIONS; ) {
      const size = words.attributeSize(at, end)
      this.#note(words, start, at)
      this.basic[this.actions] = 0
      this.basicHw[this.actions] = 0
      this.#walkAction(words, start, at + 4, at + size)
      this.actions++
      at += padded(size)
    }
  }

  #walkAction(words: Words, start: number, from: number, end: number): void {
    for (let at = from; at + 4 <= end; ) {
      const size = words.attributeSize(at, end)
      const id = words.attributeId(at)
      this.#note(words, start, at)
      if (id === actionEnvelope.ids.cookie) this.cookie = size === 20 ? at + 4 - start : 0
      else if (id === actionEnvelope.ids.stats) this.#walkStats(words, start, at + 4, at + size)
      at += padded(size)
    }
  }

  #walkStats(words: Words, start: number, from: number, end: number): void {
    for (let at = from; at + 4 <= end; ) {
      const size = words.attributeSize(at, end)
      const id = words.attributeId(at)
      this.#note(words, start, at)
      if (size >= 16 && id === actionStats.ids.basic) this.basic[this.actions] = at + 4 - start
      else if (size >= 16 && id === actionStats.ids.basicHw) this.basicHw[this.actions] = at + 4 - start
      at += padded(size)
    }
  }
}
