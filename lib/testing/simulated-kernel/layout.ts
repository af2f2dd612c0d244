/** Fields one behind the other in a byte vector: how the kernel keeps a key, so that masking and comparing is one loop. */
export class Layout<Name extends string> {
  readonly size: number
  readonly #at = {} as Record<Name, readonly [offset: number, size: number]>

  constructor(fields: Readonly<Record<Name, number>>) {
    let offset = 0
    for (const [name, size] of Object.entries<number>(fields)) {
      this.#at[name as Name] = [offset, size]
      offset += size
    }
    this.size = offset
  }

  /** A vector in which every field is zero. */
  blank(): Uint8Array {
    return new Uint8Array(this.size)
  }

  /** A field of `vector`, as a view that can be written to. */
  field(vector: Uint8Array, name: Name): Uint8Array {
    const [offset, size] = this.#at[name]
    return vector.subarray(offset, offset + size)
  }

  /** A field as a number, first byte highest. */
  number(vector: Uint8Array, name: Name): number {
    return this.field(vector, name).reduce((sum, byte) => sum * 256 + byte, 0)
  }

  /** Copies `data` to the front of a field. */
  set(vector: Uint8Array, name: Name, data: ArrayLike<number>): void {
    this.field(vector, name).set(data)
  }
}
