/** Splits a channel into output and the job's marks: `RS nonce words LF`, wherever they stand in a line. */
export class Marks {
  #start: Buffer
  #rest = Buffer.alloc(0)
  #output: (bytes: Buffer) => void
  #mark: (words: string[]) => void

  constructor(nonce: string, output: (bytes: Buffer) => void, mark: (words: string[]) => void) {
    this.#start = Buffer.from(`\x1e${nonce} `)
    this.#output = output
    this.#mark = mark
  }

  push(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    for (;;) {
      const at = this.#rest.indexOf(this.#start)
      if (at < 0) break
      const end = this.#rest.indexOf('\n', at)
      if (end < 0) break
      this.#emit(at)
      const words = this.#rest.toString('latin1', this.#start.length, end - at)
      this.#rest = this.#rest.subarray(end - at + 1)
      this.#mark(words.split(' '))
    }
    // What may yet become a mark is kept back; everything else is live.
    const at = this.#rest.indexOf(this.#start)
    this.#emit(at >= 0 ? at : this.#rest.length - this.#possible())
  }

  /** The channel is closed: what was kept back was output after all. */
  end(): void {
    this.#emit(this.#rest.length)
  }

  /** The longest tail that is the beginning of a mark. */
  #possible(): number {
    const most = Math.min(this.#rest.length, this.#start.length - 1)
    for (let length = most; length > 0; length -= 1) {
      if (this.#rest.subarray(-length).equals(this.#start.subarray(0, length))) return length
    }
    return 0
  }

  #emit(length: number): void {
    if (length > 0) this.#output(this.#rest.subarray(0, length))
    this.#rest = this.#rest.subarray(length)
  }
}
