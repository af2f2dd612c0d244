/** What a filter was found to have counted, in words: handle, check, packets, and the tick at which they were first found so. */
const WORDS = 4
const FIRST_ROOM = 64 * WORDS

/** As fine as the kernel's own times; 32 bits of it are 497 days. */
const MS_PER_TICK = 10

/** Where the filters of one chain and priority lie among those of their port. */
interface Range {
  readonly from: number
  to: number
}

/** The filters of one port, in the order of a dump. Never changes as long as there are readers, or it is the last that was kept. */
interface Seen {
  /** As many of them as were written are `size`. */
  readonly words: Int32Array
  readonly size: number
  readonly ranges: ReadonlyMap<string, Range>
  /** Looks that compare with it. One that is given up is never taken off. */
  readers: number
}

/**
 * When the counters of filters were last seen to move. It stands for the time of the last packet where the kernel tells none: in terse
 * dumps, and where a device has none to tell.
 *
 * A dump has the filters of one chain and priority in the order of their handles (fl_walk(), net/sched/cls_flower.c). So what was seen
 * before and what is seen now are read side by side, from front to back, at 16 bytes a filter and without a look-up. Nothing is kept
 * until somebody looks.
 */
export class Moves {
  readonly #ports = new Map<number, Seen>()
  /** For the next look: memory that was never touched costs more than all else of one. */
  #spare: Int32Array | undefined

  /** Begins to look at all filters of a port. What is noted counts once it is {@link keep kept}. */
  look(ifindex: number): Look {
    const spare = this.#spare
    this.#spare = undefined
    return new Look(this.#ports.get(ifindex) ?? nothing(), spare)
  }

  /** A look has come to its end: filters it has not met are forgotten. */
  keep(ifindex: number, look: Look): void {
    const old = this.#ports.get(ifindex)
    this.#ports.set(ifindex, look.end())
    if (old?.readers === 0) this.#spare = old.words
  }

  /**
   * When the counters of a filter, as they were at `nowMs`, were last seen to move, in milliseconds on CLOCK_MONOTONIC; undefined when
   * nobody had looked by then, or they have moved since.
   */
  find(filter: NamedFilter, packets: number, nowMs: number): number | undefined {
    const { words, ranges } = this.#ports.get(filter.ifindex) ?? nothing()
    const range = ranges.get(nameOf(filter.chain, filter.info))
    let low = (range?.from ?? 0) / WORDS
    let high = (range?.to ?? 0) / WORDS
    while (low < high) {
      const middle = (low + high) >>> 1
      if (word(words, middle * WORDS) < filter.handle) low = middle + 1
      else high = middle
    }
    const at = low * WORDS
    if (range === undefined || at >= range.to || !isSame(words, at, filter.handle, filter.check, packets))
      return undefined
    const tick = words[at + 3] as number
    const now = Math.floor(nowMs / MS_PER_TICK)
    // Of half the times there are it cannot be told whether they are long past or to come.
    return ((now - tick) | 0) < 0 ? undefined : timeOf(tick, now)
  }

  /** Forgets the ports that are not among `ifindexes`. */
  retain(ifindexes: ReadonlySet<number>): void {
    for (const ifindex of this.#ports.keys()) if (!ifindexes.has(ifindex)) this.#ports.delete(ifindex)
  }
}

/** Enough to know a filter again. */
export interface NamedFilter {
  readonly ifindex: number
  readonly chain: number
  /** Priority and protocol, as a message has them, in a signed word. */
  readonly info: number
  readonly handle: number
  /** Some bits of the flow's ufid, as handles are given out again: {@link checkOf}. */
  readonly check: number
}

/** Goes through the filters of one port in the order of a dump. */
export class Look {
  readonly #before: Seen
  #words: Int32Array
  readonly #ranges = new Map<string, Range>()
  #size = 0
  #tick = 0
  #chain = -1
  #info = -1
  /** Where the filters of this chain and priority begin and end among those seen before, as far as they were not passed yet. */
  #from = 0
  #to = 0
  #range: Range = { from: 0, to: 0 }

  /** `spare` is overwritten. */
  constructor(before: Seen, spare?: Int32Array) {
    this.#before = before
    before.readers++
    // A few more may have come; a table that grows costs a copy.
    const filters = before.size / WORDS
    const room = FIRST_ROOM + (filters + (filters >> 3)) * WORDS
    this.#words = spare !== undefined && spare.length >= room ? spare : new Int32Array(room)
  }

  /** What is noted from now on was counted by then. */
  at(nowMs: number): void {
    this.#tick = Math.floor(nowMs / MS_PER_TICK)
  }

  /**
   * Notes what a filter has counted, and answers when that was first seen: now, when it differs from what was seen before. Milliseconds
   * on CLOCK_MONOTONIC. `handle` is not negative.
   */
  note(chain: number, info: number, handle: number, check: number, packets: number): number {
    if (chain !== this.#chain || info !== this.#info) this.#enter(chain, info)
    const { words } = this.#before
    const to = this.#to
    let from = this.#from
    while (from < to && word(words, from) < handle) from += WORDS
    const isOld = from < to && isSame(words, from, handle, check, packets)
    this.#from = from
    const tick = isOld ? (words[from + 3] as number) : this.#tick
    this.#append(handle, check, packets, tick)
    return timeOf(tick, this.#tick)
  }

  /** What was noted. */
  end(): Seen {
    this.#before.readers--
    this.#range.to = this.#size
    const words = this.#words
    const size = this.#size
    const isRoomy = words.length - size > FIRST_ROOM + (size >> 2)
    return { words: isRoomy ? words.slice(0, size) : words, size, ranges: this.#ranges, readers: 0 }
  }

  #enter(chain: number, info: number): void {
    this.#chain = chain
    this.#info = info
    const name = nameOf(chain, info)
    const before = this.#before.ranges.get(name)
    this.#from = before?.from ?? 0
    this.#to = before?.to ?? 0
    this.#range.to = this.#size
    this.#range = { from: this.#size, to: this.#size }
    this.#ranges.set(name, this.#range)
  }

  #append(handle: number, check: number, packets: number, tick: number): void {
    const at = this.#size
    if (at === this.#words.length) {
      const words = new Int32Array(at * 2)
      words.set(this.#words)
      this.#words = words
    }
    const words = this.#words
    words[at] = handle
    words[at + 1] = check
    words[at + 2] = packets
    words[at + 3] = tick
    this.#size = at + WORDS
  }
}

/** The bits of a ufid that go into {@link NamedFilter.check}. */
export const checkOf = (w0: number, w1: number, w2: number, w3: number): number => w0 ^ w1 ^ w2 ^ w3

/** Whether a filter has its handle and its ufid and has counted as much; of the number of packets the lower half will do. */
function isSame(words: Int32Array, at: number, handle: number, check: number, packets: number): boolean {
  return words[at] === (handle | 0) && words[at + 1] === (check | 0) && words[at + 2] === (packets | 0)
}

/** A word as an unsigned number. */
const word = (words: Int32Array, at: number): number => (words[at] as number) >>> 0

const nameOf = (chain: number, info: number): string => `${chain} ${info}`

/** The time of a tick that lies in the past. */
const timeOf = (tick: number, now: number): number => (now - ((now - tick) >>> 0)) * MS_PER_TICK

const nothing = (): Seen => ({ words: new Int32Array(0), size: 0, ranges: new Map(), readers: 0 })
