import { createReadStream, rmdirSync, writeFileSync } from 'node:fs'
import { appendFile, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A directory of tracefs, and what was changed in it. All that was is put back in the reverse order. */
export class Tracefs {
  readonly #dir: string
  readonly #changed: { readonly file: string; readonly before: string }[] = []
  #made = false

  constructor(dir: string) {
    this.#dir = dir
  }

  /** An instance of its own, which goes when everything is put back. */
  static async instance(root: string, name: string): Promise<Tracefs> {
    const own = new Tracefs(join(root, 'instances', name))
    await mkdir(own.#dir)
    own.#made = true
    return own
  }

  read(file: string): Promise<string> {
    return readFile(join(this.#dir, file), 'utf8')
  }

  /** As much of a file as `limit` bytes hold. */
  async readUpTo(file: string, limit: number): Promise<string> {
    const parts: Buffer[] = []
    for await (const part of createReadStream(join(this.#dir, file), { end: limit - 1 })) parts.push(part)
    return Buffer.concat(parts).toString('utf8')
  }

  /** Writes `value`. `before` is what puts it back; what the file said when left out. */
  async change(file: string, value: string, before?: string): Promise<void> {
    const old = before ?? (await this.read(file)).trim()
    this.#changed.push({ file, before: old })
    await writeFile(join(this.#dir, file), value)
  }

  /** Adds to what {@link change} has written. */
  append(file: string, value: string): Promise<void> {
    return appendFile(join(this.#dir, file), value)
  }

  /** Writes what has been changed already, or is put back anyhow. */
  write(file: string, value: string): Promise<void> {
    return writeFile(join(this.#dir, file), value)
  }

  /** Puts everything back, as far as the kernel lets it; throws the first of what it says against it. */
  async restore(): Promise<void> {
    const problems: unknown[] = []
    for (const { file, before } of this.#changed.splice(0).reverse()) {
      await writeFile(join(this.#dir, file), before).catch((error: unknown) => problems.push(error))
    }
    if (this.#made) await rmdir(this.#dir).catch((error: unknown) => problems.push(error))
    this.#made = false
    if (problems.length > 0) throw problems[0]
  }

  /** The same for a process that is about to end. */
  restoreNow(): void {
    for (const { file, before } of this.#changed.splice(0).reverse()) {
      attempt(() => writeFileSync(join(this.#dir, file), before))
    }
    if (this.#made) attempt(() => rmdirSync(this.#dir))
    this.#made = false
  }
}

/** Nothing can be told any more. */
function attempt(work: () => void): void {
  try {
    work()
  } catch {}
}
