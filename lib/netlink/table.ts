import type { UnknownAttribute } from '../../types/flow.js'
import { DpifError } from '../errors.js'
import type { Codec, Scalar } from './codec.js'
import {
  compileAlike,
  compileReader,
  compileSame,
  compileWriter,
  type SetReader,
  type SetSame,
  type SetWriter,
} from './compile.js'
import { eachAttribute, wireId } from './reader.js'
import type { Struct } from './struct.js'
import type { Writer } from './writer.js'

/** Everything the project knows about one attribute. Encoding, decoding, text, reference and number checks all read it. */
export interface Row<T = unknown> {
  /** The kernel's name, checked against its headers. */
  readonly uapi: string
  readonly id: number
  /** Written with NLA_F_NESTED, on which the kernel insists here (nla_parse_nested() does, its deprecated form does not). */
  readonly nested?: true
  readonly codec: Codec<T>
  /** The name in ovs-dpctl text; absent when text never shows the attribute by itself. */
  readonly text?: string
  /** The kernel version that brought it, when older kernels are about. */
  readonly since?: string
  readonly doc: string
}

/** One row for every property of `T`, with a codec of that property's type; `unknown` needs none. */
export type Rows<T> = { readonly [K in keyof Required<Omit<T, 'unknown'>>]: Row<NonNullable<T[K & keyof T]>> }

/** A row together with the property it is for. */
export type NamedRow = Row & { readonly name: string }

interface WithUnknown {
  readonly unknown?: readonly UnknownAttribute[]
}

/**
 * A set of attributes, as an object with a property for each. Attributes are written in the order of the rows, which is the order
 * the kernel writes them in; those without a row end up in `unknown` and are written behind the others.
 */
export class AttributeSet<T extends object> implements Codec<T> {
  readonly name: string
  readonly rows: readonly NamedRow[]
  /** The number of each attribute, by its property. */
  readonly ids: { readonly [K in keyof Rows<T>]: number }
  readonly size = undefined
  readonly #byId = new Map<number, NamedRow>()
  /** The number of an attribute that only aligns the next one, and is there on some machines only. It is passed over. */
  readonly pad: number | undefined
  readonly #writeRows: SetWriter<T>
  readonly #readRow: SetReader
  /** Whether two values hold the same attributes, spelled the same way; conservative, see {@link compileSame}. */
  readonly same: SetSame<T>
  /** Whether two values have the same attributes, whatever these say; conservative, see {@link compileAlike}. */
  readonly alike: SetSame<T>

  constructor(name: string, rows: Rows<T>, { pad }: { readonly pad?: number } = {}) {
    this.name = name
    this.pad = pad
    this.rows = Object.entries<Row>(rows).map(([name, row]) => ({ name, ...row }))
    for (const row of this.rows) this.#byId.set(row.id, row)
    this.#writeRows = compileWriter(this.rows, located) ?? writeLoop(this.rows)
    this.#readRow = compileReader(this.rows) ?? readLoop(this.#byId)
    this.same = compileSame(this.rows)
    this.alike = compileAlike(this.rows) ?? (() => false)
    this.ids = Object.fromEntries(this.rows.map((row) => [row.name, row.id])) as typeof this.ids
  }

  row(id: number): NamedRow | undefined {
    return this.#byId.get(id)
  }

  write(writer: Writer, value: T): void {
    this.#writeRows(writer, value)
    const { unknown } = value as WithUnknown
    if (unknown !== undefined) for (const attribute of unknown) writeUnknown(writer, attribute)
  }

  read(bytes: Uint8Array, start: number, end: number): T {
    const value: Record<string, unknown> = {}
    const unknown: UnknownAttribute[] = []
    eachAttribute(bytes, start, end, (id, from, to) => {
      try {
        if (!this.#readRow(value, id, bytes, from, to) && id !== this.pad)
          unknown.push({ id, data: bytes.slice(from, to) })
      } catch (error) {
        throw located(this.#byId.get(id)?.name ?? '', error)
      }
    })
    if (unknown.length > 0) value.unknown = unknown
    return value as T
  }

  encode(writer: Writer, value: T): Uint8Array {
    this.write(writer, value)
    return writer.take()
  }

  /** The names of the attributes around `offset`, outermost first, for example `key.ipv4`: what an extended ack points at. */
  pathAt(bytes: Uint8Array, start: number, end: number, offset: number): string {
    let path = ''
    eachAttribute(bytes, start, end, (id, from, to) => {
      if (offset < from - 4 || offset >= to) return
      const row = this.#byId.get(id)
      const inner = row?.codec instanceof AttributeSet ? row.codec.pathAt(bytes, from, to, offset) : ''
      path = `${row?.name ?? `attribute ${id}`}${inner && `.${inner}`}`
    })
    return path
  }

  get samples(): readonly T[] {
    return this.rows.flatMap((row) => row.codec.samples.map((sample) => ({ [row.name]: sample }) as T))
  }
}

/** What `compileWriter` makes, where code may not be made from text. */
export function writeLoop<T>(rows: readonly NamedRow[]): SetWriter<T> {
  return (writer, value) => {
    for (const row of rows) {
      const part = (value as Record<string, unknown>)[row.name]
      if (part !== undefined) writeAttribute(writer, row, part)
    }
  }
}

/** What `compileReader` makes, where code may not be made from text. */
export function readLoop(byId: ReadonlyMap<number, NamedRow>): SetReader {
  return (value, id, bytes, start, end) => {
    const row = byId.get(id)
    if (row === undefined || (row.codec.size === 0 && start !== end)) return false
    value[row.name] = row.codec.read(bytes, start, end)
    return true
  }
}

/** Structs one behind the other, as many as there is room for. */
export function arrayOf<T extends object>(struct: Struct<T>): StructArray<T> {
  return {
    size: undefined,
    struct,
    write: (writer, value) => {
      for (const element of value) struct.write(writer, element)
    },
    read: (from, start, end) => {
      const length = (end - start) / struct.size
      if (!Number.isInteger(length)) {
        throw new DpifError('BAD_MESSAGE', `${end - start} bytes where a multiple of ${struct.size} belongs`)
      }
      return Array.from({ length }, (_, index) => struct.take(from, start + index * struct.size))
    },
    samples: [struct.samples.slice(0, 1), struct.samples.slice(0, 3), []],
  }
}

export interface StructArray<T extends object> extends Codec<readonly T[]> {
  readonly struct: Struct<T>
}

/** Numbers one behind the other, as many as there is room for. */
export function list(scalar: Scalar<number>): Codec<readonly number[]> {
  const { size } = scalar
  return {
    size: undefined,
    write: (writer, value) => {
      for (const element of value) scalar.write(writer, element)
    },
    read: (from, start, end) => {
      const length = (end - start) / size
      if (!Number.isInteger(length))
        throw new DpifError('BAD_MESSAGE', `${end - start} bytes where a multiple of ${size} belongs`)
      return Array.from({ length }, (_, index) => scalar.take(from, start + index * size))
    },
    samples: [scalar.samples.slice(0, 1), scalar.samples.slice(0, 3)],
  }
}

/** A list in which every element is one attribute: the same rows as a set, but order and repetition count. */
export class AttributeList<T extends object, Element extends object> implements Codec<readonly Element[]> {
  readonly set: AttributeSet<T>
  readonly size = undefined
  readonly #byName = new Map<string, NamedRow>()
  /** What was asked for last is mostly what is asked for next. */
  #last: NamedRow | undefined

  constructor(set: AttributeSet<T>) {
    this.set = set
    for (const row of set.rows) this.#byName.set(row.name, row)
  }

  /** The row an element is about. Throws a TypeError when the element is none, or more than one. */
  rowOf(element: Element): NamedRow | undefined {
    let found: string | undefined
    let count = 0
    for (const name in element) {
      found = name
      count++
    }
    if (count === 1 && found === this.#last?.name) return this.#last
    const row = this.#byName.get(found ?? '')
    if (count !== 1 || (row === undefined && found !== 'unknown')) {
      throw new TypeError(
        `{ ${Object.keys(element).join(', ')} } is not one of ${this.set.name}: ${[...this.#byName.keys()].join(', ')}`,
      )
    }
    this.#last = row
    return row
  }

  write(writer: Writer, value: readonly Element[]): void {
    for (const element of value) {
      const row = this.rowOf(element)
      if (row !== undefined) writeAttribute(writer, row, (element as Record<string, unknown>)[row.name])
      else for (const attribute of (element as WithUnknown).unknown ?? []) writeUnknown(writer, attribute)
    }
  }

  read(bytes: Uint8Array, start: number, end: number): Element[] {
    const list: Element[] = []
    eachAttribute(bytes, start, end, (id, from, to) => {
      const row = this.set.row(id)
      list.push(
        (row === undefined || (row.codec.size === 0 && from !== to)
          ? { unknown: [{ id, data: bytes.slice(from, to) }] }
          : { [row.name]: readAttribute(row, bytes, from, to) }) as Element,
      )
    })
    return list
  }

  get samples(): readonly (readonly Element[])[] {
    return [[], ...this.set.samples.map((sample) => [sample as unknown as Element])]
  }
}

/** The payload has no bytes; the attribute being there is the message. */
export const flag: Codec<true> = {
  size: 0,
  write: () => {},
  read: () => true,
  samples: [true],
}

/** Text with a closing NUL on the wire. */
export const string: Codec<string> = {
  size: undefined,
  write: (writer, value) => {
    writer.append(encoder.encode(`${value}\0`))
  },
  read: (bytes, start, end) => {
    let text = ''
    // Nearly all names are short and ASCII, for which a decoder takes ten times as long.
    for (let at = start; at < end && at < start + SHORT; at++) {
      const code = bytes[at] as number
      if (code === 0) return text
      if (code > 0x7f) break
      text += String.fromCharCode(code)
    }
    const nul = bytes.subarray(start, end).indexOf(0)
    return decoder.decode(bytes.subarray(start, nul < 0 ? end : start + nul))
  },
  samples: ['eth0', 'a'],
}

/** Bytes that are nobody's business here. */
export const bytes: Codec<Uint8Array> = {
  size: undefined,
  write: (writer, value) => writer.append(value),
  read: (from, start, end) => from.slice(start, end),
  samples: [Uint8Array.of(1, 2, 3, 4)],
}

/**
 * A codec that is only there once its module has been loaded, for sets that hold themselves: at most `deepest` levels of them, so that
 * no bytes from elsewhere, and no object that holds itself, use up the stack.
 */
export function lazy<T>(
  size: number | undefined,
  get: () => Codec<T>,
  deepest = 32,
): Codec<T> & { readonly target: Codec<T> } {
  let depth = 0
  const tooDeep = `nested deeper than ${deepest} levels`
  return {
    size,
    write: (writer, value) => {
      if (depth >= deepest) throw new RangeError(tooDeep)
      depth++
      try {
        get().write(writer, value)
      } finally {
        depth--
      }
    },
    read: (from, start, end) => {
      if (depth >= deepest) throw new DpifError('BAD_MESSAGE', tooDeep)
      depth++
      try {
        return get().read(from, start, end)
      } finally {
        depth--
      }
    },
    samples: [],
    get target() {
      return get()
    },
  }
}

/** Interface names have 15 characters at most. */
const SHORT = 17
const encoder = new TextEncoder()
const decoder = new TextDecoder()

function writeAttribute(writer: Writer, row: NamedRow, part: unknown): void {
  const at = writer.begin(wireId(row))
  try {
    row.codec.write(writer, part)
  } catch (error) {
    throw located(row.name, error)
  }
  writer.end(at)
}

function writeUnknown(writer: Writer, { id, data }: UnknownAttribute): void {
  const at = writer.begin(id)
  writer.append(data)
  writer.end(at)
}

function readAttribute(row: NamedRow, from: Uint8Array, start: number, end: number): unknown {
  try {
    return row.codec.read(from, start, end)
  } catch (error) {
    throw located(row.name, error)
  }
}

/** The same error, with the way to the attribute before its message, so that it reads like a path. */
function located(name: string, error: unknown): unknown {
  if (error instanceof DpifError) {
    const path = error.path === undefined ? name : `${name}.${error.path}`
    const problem = error.path === undefined ? error.message : error.message.slice(error.path.length + 2)
    return new DpifError(error.code, `${path}: ${problem}`, { ...error, path })
  }
  if (error instanceof RangeError || error instanceof TypeError) error.message = `${name}: ${error.message}`
  return error
}
