/** What the person in front of the terminal sees while it works. In a pipe nothing is said. */
export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #shown: boolean
  readonly #steps: number
  #done = 0

  constructor(steps: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream
    this.#shown = stream.isTTY === true
    this.#steps = steps
  }

  /** The next of the steps begins. */
  step(label: string): void {
    this.#draw(this.#done / this.#steps, label)
    this.#done++
  }

  end(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K')
  }

  #draw(share: number, label: string): void {
    if (!this.#shown) return
    const full = Math.round(Math.min(1, Math.max(0, share)) * WIDTH)
    const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full)
    this.#stream.write(`\r\x1b[K${bar} ${label}`)
  }
}

const WIDTH = 30
