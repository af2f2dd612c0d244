import { DpifError } from '../errors.js'
import type { Codec, Scalar } from './codec.js'
import { compilePut, compileTake, type StructPut, type StructTake } from './compile.js'

/** The scalars of a struct, in the order of their bytes. */
export type Fields<T> = { readonly [K in keyof Required<T>]: Scalar<NonNullable<T[K]>> }

/** A C struct: scalars one behind the other. Its parts are what text forms, masks and TC rows look into. */
export interface Struct<T extends object> extends Codec<T> {
  readonly size: number
  readonly fields: readonly Field[]
  put(bytes: Uint8Array, at: number, value: T): void
  take(bytes: Uint8Array, at: number): T
}

export interface Field {
  readonly name: string
  /** Bytes from the start of the struct. */
  readonly offset: number
  readonly scalar: Scalar<unknown>
}

export interface StructOptions {
  /** Bytes of padding at the end. */
  readonly tail?: number
  /** Newer kernels may append to it: a longer payload is read as far as it is known. */
  readonly grows?: boolean
}

/** A struct of `fields`, without holes between them. A part left out of a value is 0. */
export function struct<T extends object>(fields: Fields<T>, options: StructOptions = {}): Struct<T> {
  let offset = 0
  const layout: Field[] = Object.entries<Scalar<unknown>>(fields).map(([name, scalar]) => {
    const field = { name, offset, scalar }
    offset += scalar.size
    return field
  })
  const size = offset + (options.tail ?? 0)

  const put = compilePut<T>(layout) ?? putLoop<T>(layout)
  const take = compileTake<T>(layout) ?? takeLoop<T>(layout)
  return {
    size,
    fields: layout,
    put,
    take,
    write: (writer, value) => {
      const at = writer.reserve(size)
      put(writer.bytes, at, value)
    },
    read: (bytes, start, end) => {
      const length = end - start
      if (length < size || (length > size && !options.grows)) {
        throw new DpifError('BAD_MESSAGE', `${length} bytes where ${size} belong`)
      }
      return take(bytes, start)
    },
    samples: [0, 1, 2, 3].map((turn) => {
      const value: Record<string, unknown> = {}
      for (const { name, scalar } of layout) value[name] = scalar.samples[turn % scalar.samples.length]
      return value as T
    }),
  }
}

/** What {@link compilePut} makes, where code may not be made from text. */
export function putLoop<T>(layout: readonly Field[]): StructPut<T> {
  return (bytes, at, value) => {
    for (const { name, offset, scalar } of layout) {
      const part = (value as Record<string, unknown>)[name]
      if (part !== undefined) scalar.put(bytes, at + offset, part)
    }
  }
}

/** What {@link compileTake} makes, where code may not be made from text. */
export function takeLoop<T>(layout: readonly Field[]): StructTake<T> {
  return (bytes, at) =>
    Object.fromEntries(layout.map(({ name, offset, scalar }) => [name, scalar.take(bytes, at + offset)])) as T
}

/** Which bits of a 16- or 32-bit word belong to one part. */
export interface BitField {
  readonly shift: number
  readonly bits: number
  /** Written when the part is left out; 0 unless said. */
  readonly standard?: number
}

/** A word split into bit fields, for example a VLAN tag. */
export function bitFields<T extends object>(
  word: Scalar<number>,
  parts: { readonly [K in keyof Required<T>]: BitField },
): Struct<T> {
  const layout = Object.entries<BitField>(parts)
  const put = (bytes: Uint8Array, at: number, value: T): void => {
    let sum = 0
    for (const [name, { shift, bits, standard }] of layout) {
      const part = (value as Record<string, number | undefined>)[name] ?? standard ?? 0
      if (!(part >= 0 && part < 2 ** bits))
        throw new RangeError(`${name} ${part} does not fit in ${bits} bits`)
      sum |= part << shift
    }
    word.put(bytes, at, sum >>> 0)
  }
  const take = (bytes: Uint8Array, at: number): T => {
    const sum = word.take(bytes, at)
    const value: Record<string, number> = {}
    for (const [name, { shift, bits }] of layout) value[name] = (sum >>> shift) & (2 ** bits - 1)
    return value as T
  }
  return {
    size: word.size,
    fields: layout.map(([name, { bits }]) => {
      return { name, offset: 0, scalar: { ...word, ones: 2 ** bits - 1 } as Scalar<unknown> }
    }),
    put,
    take,
    write: (writer, value) => {
      const at = writer.reserve(word.size)
      put(writer.bytes, at, value)
    },
    read: (bytes, start, end) => {
      word.read(bytes, start, end)
      return take(bytes, start)
    },
    samples: word.samples.map((sample) => {
      const bytes = new Uint8Array(word.size)
      word.put(bytes, 0, sample)
      return take(bytes, 0)
    }),
  }
}
