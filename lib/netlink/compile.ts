import { wireId } from './reader.js'
import type { Part } from './stencil.js'
import type { Field, Struct } from './struct.js'
import type { NamedRow } from './table.js'
import type { Writer } from './writer.js'

/*
 * Rows become straight lines of code. A loop over rows looks properties up by name and calls codecs it cannot know; a function
 * made for one table names them, so the engine inlines both. That is four to six times faster, on the way of every put.
 *
 * Where code may not be made from text (node --disallow-code-generation-from-strings), `undefined` comes back and the loop serves.
 */

export type SetWriter<T> = (writer: Writer, value: T) => void
export type SetReader = (
  value: Record<string, unknown>,
  id: number,
  bytes: Uint8Array,
  start: number,
  end: number,
) => boolean
export type StructPut<T> = (bytes: Uint8Array, at: number, value: T) => void
export type StructTake<T> = (bytes: Uint8Array, at: number) => T

/** Constants the generated code refers to by position. */
class Constants {
  readonly values: unknown[] = []

  add(value: unknown): string {
    return `$${this.values.push(value) - 1}`
  }

  build<F>(parameters: string, body: string): F | undefined {
    const names = this.values.map((_, index) => `$${index}`)
    try {
      return new Function(...names, `'use strict'\nreturn function (${parameters}) {\n${body}\n}`)(
        ...this.values,
      ) as F
    } catch (error) {
      if (error instanceof EvalError) return undefined
      throw error
    }
  }
}

const property = (object: string, name: string): string => `${object}[${JSON.stringify(name)}]`

/** Puts every part of a struct at its place. The bytes there are zero already, which is what a part left out is. */
export function compilePut<T>(fields: readonly Field[]): StructPut<T> | undefined {
  const constants = new Constants()
  const lines = fields.map(({ name, offset, scalar }) => {
    const part = property('value', name)
    return `if (${part} !== undefined) ${constants.add(scalar.put)}(bytes, at + ${offset}, ${part})`
  })
  return constants.build('bytes, at, value', lines.join('\n'))
}

/** Takes a struct apart into an object that always has the same shape. */
export function compileTake<T>(fields: readonly Field[]): StructTake<T> | undefined {
  const constants = new Constants()
  const parts = fields.map(({ name, offset, scalar }) => {
    return `${JSON.stringify(name)}: ${constants.add(scalar.take)}(bytes, at + ${offset})`
  })
  return constants.build('bytes, at', `return { ${parts.join(', ')} }`)
}

/** Writes the attributes of a set; `located` gives an error the name of its attribute. */
export function compileWriter<T>(
  rows: readonly NamedRow[],
  located: (name: string, error: unknown) => unknown,
): SetWriter<T> | undefined {
  const constants = new Constants()
  const lines = rows.map((row) => {
    const { codec, name } = row
    const id = wireId(row)
    const write =
      codec.size !== undefined && 'put' in codec
        ? `const at = writer.attribute(${id}, ${codec.size}); ${constants.add(codec.put)}(writer.bytes, at, part)`
        : `const at = writer.begin(${id}); ${constants.add(codec)}.write(writer, part); writer.end(at)`
    return `part = ${property('value', name)}\nif (part !== undefined) { name = ${JSON.stringify(name)}; ${write} }`
  })
  const body = `let part, name\ntry {\n${lines.join('\n')}\n} catch (error) { throw ${constants.add(located)}(name, error) }`
  return constants.build('writer, value', body)
}

/** Puts the values of an object at their places in a message, save those that are in `last`, which it keeps. */
export type StencilFill<T> = (bytes: Uint8Array, value: T, last: unknown[], nothing: unknown) => void

/** Puts parts, wherever in an object they are, at their places in a message; what the object does not have is put as zero. */
export function compileFill<T>(parts: readonly Part[]): StencilFill<T> | undefined {
  const constants = new Constants()
  const lines = parts.map(({ attribute, part, offset, codec }, index) => {
    const whole = property('value', attribute)
    const found = part === undefined ? whole : `${whole} === undefined ? undefined : ${property(whole, part)}`
    const put = `${constants.add(codec.put)}(bytes, ${offset}, x === undefined ? ${constants.add(codec.zero)} : x)`
    return `x = ${found}\nif (x !== last[${index}]) { last[${index}] = nothing; ${put}; last[${index}] = x }`
  })
  return constants.build('bytes, value, last, nothing', `let x\n${lines.join('\n')}`)
}

export type SetSame<T> = (a: T, b: T) => boolean

/**
 * Whether two sets hold the same values, spelled the same way. Never true when they differ; false also where looking would take
 * long: lists, bytes, sets that hold themselves, unknown attributes.
 */
export function compileSame<T>(rows: readonly NamedRow[]): SetSame<T> {
  const constants = new Constants()
  const lines = rows.map(({ name, codec }) => {
    const [a, b] = [property('a', name), property('b', name)]
    const parts = 'fields' in codec ? (codec as Struct<object>).fields : []
    const same =
      'same' in codec
        ? [`${constants.add(codec.same)}(x, y)`]
        : parts.map((part) => `${property('x', part.name)} === ${property('y', part.name)}`)
    if (same.length === 0) return `if (${a} !== ${b}) return false`
    return `x = ${a}; y = ${b}\nif (x !== y && (x === undefined || y === undefined || !(${same.join(' && ')}))) return false`
  })
  const body = `let x, y\nif (a === b) return true\nif (a.unknown !== b.unknown) return false\n${lines.join('\n')}\nreturn true`
  return constants.build<SetSame<T>>('a, b', body) ?? ((a, b) => a === b)
}

/** Whether two sets have the same attributes, whatever their values. False where a set nests, or has what no row is for. */
export function compileAlike<T>(rows: readonly NamedRow[]): SetSame<T> | undefined {
  const lines = rows.map(({ name, codec }) => {
    const [a, b] = [property('a', name), property('b', name)]
    const differ = `(${a} === undefined) !== (${b} === undefined)`
    return 'put' in codec ? differ : `${a} !== undefined || ${b} !== undefined`
  })
  const strange = 'a.unknown !== undefined || b.unknown !== undefined'
  return new Constants().build('a, b', `return !(${[...lines, strange].join(' || ')})`)
}

/** Reads one attribute into `value`; answers whether there is a row for it. What is read as unknown is written back as it came. */
export function compileReader(rows: readonly NamedRow[]): SetReader | undefined {
  const constants = new Constants()
  const cases = rows.map(({ id, name, codec }) => {
    // A flag that carries something is another attribute with the same number.
    const read = codec.size === 0 ? 'if (start !== end) return false; ' : ''
    return `case ${id}: ${read}${property('value', name)} = ${constants.add(codec)}.read(bytes, start, end); return true`
  })
  return constants.build(
    'value, id, bytes, start, end',
    `switch (id) {\n${cases.join('\n')}\n}\nreturn false`,
  )
}
