import { isMap, isScalar, isSeq, type Node, type Reader, spell, type YAMLMap } from './reader.js'

// What may stand in a document. A shape is said once: what reads a node, what is told of a wrong one, and the JSON Schema are made of it.

/** A part of a JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>

/** Reads a part of a document that has the type `In` as what a program wants, `Out`. */
export interface Shape<Out, In = Out> {
  readonly schema: Schema
  /** What belongs here, for messages: `a number from 0 to 255`. */
  readonly words: string
  /** Nothing when there is a problem, which is told to the reader then. */
  read(node: Node, reader: Reader, path: string): Out | undefined
  /** Only for the compiler: what is accepted. */
  readonly accepts?: (value: In) => void
}

/** A whole number. */
export function integer(least: number, most: number): Shape<number> {
  const words = `a whole number from ${least} to ${most}`
  const read = scalar(words, (value) => {
    const number = typeof value === 'bigint' ? Number(value) : value
    return typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most
      ? number
      : undefined
  })
  return { schema: { type: 'integer', minimum: least, maximum: most }, words, read }
}

export const bool: Shape<boolean> = {
  schema: { type: 'boolean' },
  words: 'true or false',
  read: scalar('true or false', (value) => (typeof value === 'boolean' ? value : undefined)),
}

/** Exactly that number. */
export function constant<const N extends number>(number: N): Shape<N> {
  return {
    schema: { const: number },
    words: String(number),
    read: scalar(String(number), (value) => (Number(value) === number ? number : undefined)),
  }
}

/** A word that `parse` understands; nothing is what it answers to others. */
export function word<T>(
  words: string,
  schema: Schema,
  parse: (text: string) => T | undefined,
): Shape<T, string> {
  return {
    schema: { type: 'string', ...schema },
    words,
    read: (node, reader, path) => {
      // What is all digits is a number in YAML, and may be meant as a word.
      const text = isScalar(node)
        ? typeof node.value === 'string'
          ? node.value
          : typeof node.value === 'bigint' || typeof node.value === 'number'
            ? (node.source ?? String(node.value))
            : undefined
        : undefined
      const value = text === undefined ? undefined : parse(text)
      if (value === undefined) reader.report(node, path, `${words} expected, not ${spell(node)}`)
      return value
    },
  }
}

export const text: Shape<string> = word('text', { minLength: 1 }, (value) =>
  value === '' ? undefined : value,
)

/** One of some words, which stand for something. */
export function named<Name extends string, T>(values: Readonly<Record<Name, T>>): Shape<T, Name> {
  const names = Object.keys(values) as Name[]
  const shape = word(listed(names), { enum: names }, (name) =>
    Object.hasOwn(values, name) ? { value: values[name as Name] } : undefined,
  )
  return { ...mapped(shape, ({ value }) => value), schema: { enum: names } }
}

/** One of some words. */
export function oneOf<const Name extends string>(names: readonly Name[]): Shape<Name> {
  return named(Object.fromEntries(names.map((name) => [name, name])) as Record<Name, Name>)
}

/** A number, or a word. */
export function either<A, InA, B, InB>(number: Shape<A, InA>, other: Shape<B, InB>): Shape<A | B, InA | InB> {
  const words = `${number.words}, or ${other.words}`
  return {
    schema: { anyOf: [number.schema, other.schema] },
    words,
    read: (node, reader, path): A | B | undefined => {
      const isNumber = isScalar(node) && (typeof node.value === 'number' || typeof node.value === 'bigint')
      if (isNumber) return number.read(node, reader, path)
      if (isScalar(node) && typeof node.value === 'string') return other.read(node, reader, path)
      reader.report(node, path, `${words} expected, not ${spell(node)}`)
      return undefined
    },
  }
}

/** One, or a list of at least one. */
export function oneOrMore<T, In>(item: Shape<T, In>): Shape<readonly T[], In | readonly In[]> {
  return {
    schema: { anyOf: [item.schema, { type: 'array', items: item.schema, minItems: 1 }] },
    words: item.words,
    read: (node, reader, path) => {
      if (isSeq(node)) return listOf(item, 1).read(node, reader, path)
      const one = item.read(node, reader, path)
      return one === undefined ? undefined : [one]
    },
  }
}

export function listOf<T, In>(item: Shape<T, In>, least = 0): Shape<readonly T[], readonly In[]> {
  return {
    schema: { type: 'array', items: item.schema, ...(least > 0 ? { minItems: least } : {}) },
    words: 'a list',
    read: (node, reader, path) => {
      if (!isSeq(node) || node.items.length < least) {
        reader.report(
          node,
          path,
          `${isSeq(node) ? 'at least one' : 'a list'} expected, not ${isSeq(node) ? 'none' : spell(node)}`,
        )
        return undefined
      }
      return all(node.items.map((child, index) => readChild(item, child, reader, `${path}[${index}]`, node)))
    },
  }
}

/** Names of one's own, each with something of the same shape. */
export function mapOf<T, In>(
  item: Shape<T, In>,
  enter: (name: string, value: T, key: Node, reader: Reader, path: string) => void,
): Shape<true, Readonly<Record<string, In>>> {
  return {
    schema: { type: 'object', additionalProperties: item.schema },
    words: 'names with something for each',
    read: (node, reader, path) => {
      if (!isMap(node)) {
        reader.report(node, path, `names with something for each expected, not ${spell(node)}`)
        return undefined
      }
      for (const { key, name, child } of entries(node, reader, path)) {
        const value = readChild(item, child, reader, join(path, name), key)
        if (value !== undefined) enter(name, value, key, reader, join(path, name))
      }
      return true
    },
  }
}

/** A field of an object. */
export interface Field<Out, In> {
  readonly doc: string
  readonly shape: Shape<Out, In>
  readonly required?: true
}

/** One row for each field of `In`, and no other; read in the order of the rows. */
export type Fields<Out extends { readonly [K in keyof In]?: unknown }, In> = {
  readonly [K in keyof In]-?: Field<NonNullable<Out[K]>, NonNullable<In[K]>>
}

export function object<Out extends { readonly [K in keyof In]?: unknown }, In>(
  fields: Fields<Out, In>,
  title?: string,
): Shape<Out, In> {
  const rows = Object.entries(fields) as [string, Field<unknown, unknown>][]
  const required = rows.flatMap(([name, row]) => (row.required ? [name] : []))
  return {
    schema: {
      ...(title === undefined ? {} : { description: title }),
      type: 'object',
      properties: Object.fromEntries(
        rows.map(([name, { doc, shape }]) => [name, { description: doc, ...shape.schema }]),
      ),
      ...(required.length > 0 ? { required } : {}),
      additionalProperties: false,
    },
    words: 'fields',
    read: (node, reader, path) => {
      if (!isMap(node)) {
        reader.report(node, path, `fields (${listed(Object.keys(fields))}) expected, not ${spell(node)}`)
        return undefined
      }
      const found = new Map<string, { readonly key: Node; readonly child: unknown }>()
      let good = true
      for (const { key, name, child } of entries(node, reader, path)) {
        if (Object.hasOwn(fields, name)) found.set(name, { key, child })
        else {
          good = false
          reader.report(
            key,
            join(path, name),
            `there is no such field; there are ${listed(Object.keys(fields))}`,
          )
        }
      }
      const result: Record<string, unknown> = {}
      for (const [name, { shape, required: needed }] of rows) {
        const entry = found.get(name)
        if (entry === undefined) {
          if (needed === undefined) continue
          good = false
          reader.report(node, join(path, name), `it is missing; ${shape.words} expected`)
          continue
        }
        const value = readChild(shape, entry.child, reader, join(path, name), entry.key)
        if (value === undefined) good = false
        else result[name] = value
      }
      return good ? (result as Out) : undefined
    },
  }
}

/** The same document, read as something else. */
export function mapped<A, B, In>(
  shape: Shape<A, In>,
  make: (value: A, node: Node, reader: Reader, path: string) => B | undefined,
): Shape<B, In> {
  return {
    schema: shape.schema,
    words: shape.words,
    read: (node, reader, path) => {
      const value = shape.read(node, reader, path)
      return value === undefined ? undefined : make(value, node, reader, path)
    },
  }
}

/** `a, b or c`. */
export function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} or ${last}`
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

/** Reads what stands beside a name or in a list; `near` is where to point at when nothing stands there. */
function readChild<T, In>(
  shape: Shape<T, In>,
  child: unknown,
  reader: Reader,
  path: string,
  near: Node,
): T | undefined {
  const node = reader.resolve(child)
  if (node !== undefined) return shape.read(node, reader, path)
  reader.report(near, path, `${shape.words} expected, not nothing`)
  return undefined
}

function* entries(map: YAMLMap, reader: Reader, path: string) {
  for (const { key, value } of map.items) {
    const node = reader.resolve(key)
    const name = isScalar(node) ? (node.source ?? String(node.value)) : undefined
    if (node === undefined || name === undefined) reader.report(node ?? map, path, 'a name expected')
    else yield { key: node, name, child: value }
  }
}

function all<T>(values: readonly (T | undefined)[]): readonly T[] | undefined {
  return values.includes(undefined) ? undefined : (values as readonly T[])
}

function scalar<T>(words: string, take: (value: unknown) => T | undefined): Shape<T>['read'] {
  return (node, reader, path) => {
    const value = isScalar(node) ? take(node.value) : undefined
    if (value === undefined) reader.report(node, path, `${words} expected, not ${spell(node)}`)
    return value
  }
}
