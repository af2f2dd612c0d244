/** A buffer that grows, into which messages and attributes are written one behind the other. */
export class Writer {
  bytes: Uint8Array
  /** Bytes written so far. */
  length = 0

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity)
  }

  /** Makes room for `size` bytes, zeroed, and returns where they begin. */
  reserve(size: number): number {
    const at = this.length
    const end = at + size
    if (end > this.bytes.length) this.#grow(end)
    this.length = end
    return at
  }

  append(data: Uint8Array): void {
    const at = this.reserve(data.length)
    this.bytes.set(data, at)
  }

  /** Zero bytes up to the next multiple of 4. */
  align(): void {
    const rest = this.length & 3
    if (rest !== 0) this.reserve(4 - rest)
  }

  /** An attribute of known size: writes its header and returns where its zeroed payload begins. */
  attribute(id: number, size: number): number {
    const at = this.reserve((size + 7) & ~3)
    this.bytes[at + LOW] = size + 4
    this.bytes[at + HIGH] = (size + 4) >> 8
    this.bytes[at + 2 + LOW] = id
    this.bytes[at + 2 + HIGH] = id >> 8
    return at + 4
  }

  /** Begins an attribute; the payload follows, then {@link end}. Returns what `end` wants. */
  begin(id: number): number {
    const at = this.reserve(4)
    this.bytes[at + 2 + LOW] = id
    this.bytes[at + 2 + HIGH] = id >> 8
    return at
  }

  /** Closes the attribute begun at `at`: fills in its length and pads. Payloads are at most 65,531 bytes. */
  end(at: number): void {
    const size = this.length - at
    if (size > 0xffff) throw new RangeError(`attribute of ${size} bytes; netlink carries at most 65535`)
    this.bytes[at + LOW] = size
    this.bytes[at + HIGH] = size >> 8
    this.align()
  }

  /** What was written, as a view that later writes may leave behind. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** What was written, as a copy that is the caller's. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  /** Forgets everything, for the next batch; what a huge one needed is given back. */
  reset(): void {
    if (this.bytes.length > KEEP) this.bytes = new Uint8Array(4096)
    else this.bytes.fill(0, 0, this.length)
    this.length = 0
  }

  /** Forgets what was written from `length` on, so that a half-written message leaves no trace. */
  truncate(length: number): void {
    // reserve() promises zeroed bytes.
    this.bytes.fill(0, length, this.length)
    this.length = length
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
  }
}

// A writer that serves many batches holds on to at most this much.
const KEEP = 4 << 20

/** Whether this machine's own byte order, the one netlink calls "host", is little-endian. */
export const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

// Where the lower and the upper byte of a 16-bit integer lie.
const LOW = LITTLE ? 0 : 1
const HIGH = 1 - LOW
