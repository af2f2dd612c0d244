import type { UnknownAttribute, VlanKey } from '../../types/flow.js'
import { DpifError } from '../errors.js'
import type { Codec, Scalar } from '../netlink/codec.js'
import type { Scanner } from '../netlink/scanner.js'
import type { Field, Struct } from '../netlink/struct.js'
import { Writer } from '../netlink/writer.js'
import { type FlagNames, formatFlags, formatMaskedFlags, parseFlags } from './text-flags.js'

// What stands between the parentheses of one attribute, in the few ways there are: a scalar, a struct of named parts, a word of named
// bits, a VLAN tag, raw bytes. Which attribute is spelled which way is said in text-key.ts.

/** How flows and actions are printed. */
export interface FormatOptions {
  /** Also what does not count: `ovs-dpctl -m`. */
  readonly verbose?: boolean | undefined
  /** Name of a datapath port, where names are wanted. */
  readonly portName?: ((port: number) => string | undefined) | undefined
}

/** What text may refer to. */
export interface ParseOptions {
  /** Number of a datapath port. Without it ports are numbers only. */
  readonly portNumber?: ((name: string) => number | undefined) | undefined
}

/** A value as the codec would read it, and its mask. */
export interface Masked {
  readonly value: unknown
  readonly mask: unknown
}

/** What stands between the parentheses of an attribute. */
export interface Spelling {
  /** An undefined mask is exact. */
  format(value: unknown, mask: unknown, options: FormatOptions): string
  /** Stops before the closing parenthesis. */
  parse(scanner: Scanner, options: ParseOptions, depth: number): Masked
  /** The mask under which nothing of `value` counts. */
  none(value: unknown): unknown
  /** Whether nothing counts, so that only verbose text shows the attribute. */
  wild(mask: unknown): boolean
  /** Whether everything of a value counts. */
  exact(mask: unknown, value?: unknown): boolean
}

/** `5`, `0x5/0xff`. The mask is left out when exact. */
export function scalarSpelling(scalar: Scalar<unknown>): Spelling {
  return {
    format: (value, mask = scalar.ones) => {
      const text = scalar.format(value)
      return isOnes(scalar, mask) ? text : `${text}/${scalar.formatMask(mask)}`
    },
    parse: (scanner) => parseScalar(scanner, scalar),
    none: () => scalar.zero,
    wild: (mask) => isZero(scalar, mask),
    exact: (mask) => isOnes(scalar, mask),
  }
}

/**
 * `src=80,dst=443/0xff`. A part that is not listed is 0 and does not count. `odd` has the parts with a spelling of their own, `words`
 * the parts in their order where that is not the struct's, each with what it is called: first as it is printed.
 */
export function structSpelling(
  struct: Struct<object>,
  odd: Readonly<Record<string, (scalar: Scalar<unknown>) => Part>>,
  words?: Readonly<Record<string, readonly [string, ...string[]]>>,
): Spelling {
  const called = words ?? Object.fromEntries(struct.fields.map(({ name }) => [name, [name] as const]))
  const parts = Object.entries(called).map(([name, [word, ...others]]) => {
    const { scalar } = struct.fields.find((field) => field.name === name) as Field
    return { name, word, others, ...(odd[name] ?? part)(scalar) }
  })
  const wanted = [...parts.map(({ word }) => `'${word}='`), "or ')'"].join(' ')
  const all = (mask: unknown, test: (scalar: Scalar<unknown>, mask: unknown) => boolean) =>
    parts.every(({ name, scalar }) => test(scalar, partOf(mask, name) ?? scalar.zero))
  return {
    format: (value, mask, { verbose }) =>
      parts
        .flatMap(({ name, word, scalar, format }) => {
          const bits = mask === undefined ? scalar.ones : (partOf(mask, name) ?? scalar.zero)
          return format(word, partOf(value, name) ?? scalar.zero, bits, verbose === true) ?? []
        })
        .join(','),
    parse: (scanner) => {
      const zeros = parts.map(({ name, scalar }) => [name, scalar.zero])
      const value = Object.fromEntries(zeros)
      const mask = Object.fromEntries(zeros)
      scanParts(scanner, () => {
        const found = parts.find(({ word, others }) => {
          return scanner.eat(`${word}=`) || others.some((other) => scanner.eat(`${other}=`))
        })
        if (found === undefined) return scanner.fail(`${wanted} expected`)
        const parsed = found.parse(scanner)
        value[found.name] = parsed.value
        mask[found.name] = parsed.mask
      })
      return { value, mask }
    },
    none: () => ({}),
    wild: (mask) => all(mask, isZero),
    exact: (mask) => all(mask, isOnes),
  }
}

/** Parts with commas between them, up to the closing parenthesis; one comma may stand before it. */
export function scanParts(scanner: Scanner, scan: () => void, end = ')'): void {
  while (scanner.text[scanner.at] !== end) {
    scan()
    if (!scanner.eat(',') && scanner.text[scanner.at] !== end) scanner.fail(`',' or '${end}' expected`)
  }
}

/** One part of a struct. */
export interface Part {
  readonly scalar: Scalar<unknown>
  /** `name=value/mask`, or undefined to leave it out. */
  format(name: string, value: unknown, mask: unknown, verbose: boolean): string | undefined
  parse(scanner: Scanner): Masked
}

/** A part like any other: left out when it does not count, unless all is wanted. */
export function part(scalar: Scalar<unknown>): Part {
  const { format } = scalarSpelling(scalar)
  return {
    scalar,
    format: (name, value, mask, verbose) =>
      verbose || !isZero(scalar, mask) ? `${name}=${format(value, mask, {})}` : undefined,
    parse: (scanner) => parseScalar(scanner, scalar),
  }
}

/** A part of which only the lowest bits exist. */
export function narrowPart(bits: number): (scalar: Scalar<unknown>) => Part {
  const ones = 2 ** bits - 1
  const parse = (scanner: Scanner) => scanner.integer(ones)
  return (scalar) => part({ ...scalar, ones, parse, parseMask: parse })
}

/** A part whose values have names. Its mask is all or nothing: OVS cannot say anything else, and never shows it without one. */
export function namedPart(scalar: Scalar<unknown>): Part {
  const names = [0, 1, 2].map((value) => scalar.format(value))
  return {
    scalar,
    format: (name, value, mask) => {
      if (isZero(scalar, mask)) return undefined
      if (isOnes(scalar, mask)) return `${name}=${scalar.format(value)}`
      return `error: partial mask not supported for ${name} (${scalar.formatMask(mask)})`
    },
    parse: (scanner) => {
      const from = scanner.at
      const value = names.indexOf(scanner.match(/[a-z]+/y) ?? '')
      if (value >= 0) return { value, mask: scalar.ones }
      scanner.at = from
      return scanner.fail(`one of ${names.join(' ')} expected`)
    },
  }
}

/** A word of named bits. Conntrack state turns into numbers in verbose text, TCP flags do not. */
export function flagsSpelling(
  scalar: Scalar<unknown>,
  names: FlagNames,
  { numbersIfVerbose }: { numbersIfVerbose: boolean },
): Spelling {
  const numeric = scalarSpelling(scalar)
  const known = 2 ** names.length - 1
  // The upper bits of the TCP flags are no flags, so OVS does not look at them; conntrack state may grow, so it does.
  const significant = numbersIfVerbose ? (scalar.ones as number) : known
  const bitsOf = (mask: unknown) => ((mask as number) & significant) >>> 0
  return {
    ...numeric,
    format: (value, mask, options) => {
      if (numbersIfVerbose && options.verbose) return numeric.format(value, mask, options)
      return mask === undefined || bitsOf(mask) === significant
        ? formatFlags(names, value as number)
        : formatMaskedFlags(names, value as number, bitsOf(mask))
    },
    parse: (scanner) => parseFlags(scanner, names, scalar.ones as number),
    wild: (mask) => bitsOf(mask) === 0,
    exact: (mask) => bitsOf(mask) === significant,
  }
}

const tagParts = [
  { name: 'vid', ones: 0xfff },
  { name: 'pcp', ones: 7 },
] as const

/**
 * `vid=7,pcp=0/0x0`, and `cfi=0` for a tag without the bit that says it is one. The mask of that bit is not shown; text always
 * stands for one that counts.
 */
export const vlanSpelling: Spelling = {
  format: (value, mask, { verbose }) => {
    const tag = value as VlanKey
    const bits = (mask ?? { vid: 0xfff, pcp: 7 }) as VlanKey
    const shown = tagParts.flatMap(({ name, ones }) => {
      const number = tag[name] ?? 0
      const counting = bits[name] ?? 0
      // A value is shown even when it does not count.
      if (!verbose && number === 0 && counting === 0) return []
      return `${name}=${number}${counting === ones ? '' : `/0x${counting.toString(16)}`}`
    })
    if (tag.cfi === 0) shown.push('cfi=0')
    return shown.join(',')
  },
  parse: (scanner) => {
    const value: Record<string, number> = { vid: 0, pcp: 0, cfi: 1 }
    const mask: Record<string, number> = { vid: 0, pcp: 0, cfi: 1 }
    scanParts(scanner, () => {
      const found = [...tagParts, { name: 'cfi', ones: 1 }].find(({ name }) => scanner.eat(`${name}=`))
      if (found === undefined) return scanner.fail("'vid=' 'pcp=' 'cfi=' or ')' expected")
      value[found.name] = scanner.integer(found.ones)
      mask[found.name] = scanner.eat('/') ? scanner.integer(found.ones) : found.ones
    })
    return { value, mask }
  },
  none: () => ({ cfi: 0 }),
  wild: (mask) => isTag(mask as VlanKey, 0, 0, 0),
  exact: (mask) => isTag(mask as VlanKey, 0xfff, 7, 1),
}

function isTag({ vid = 0, pcp = 0, cfi = 1 }: VlanKey, ...[v, p, c]: [number, number, number]): boolean {
  return vid === v && pcp === p && cfi === c
}

/** `00 1f/ff ff`: how OVS prints what it does not know. Whatever the mask, it is shown, and so is the attribute. */
export function bytesSpelling(codec: Codec<unknown>): Spelling {
  const encode = (value: unknown): Uint8Array => {
    const writer = new Writer(16)
    codec.write(writer, value)
    return writer.view()
  }
  const parse = (scanner: Scanner): { length: number; value: unknown } => {
    const from = scanner.at
    const data = parseBytes(scanner)
    try {
      return { length: data.length, value: codec.read(data, 0, data.length) }
    } catch (error) {
      if (!(error instanceof DpifError)) throw error
      scanner.at = from
      return scanner.fail(error.message)
    }
  }
  const filled = (length: number, byte: number) => codec.read(new Uint8Array(length).fill(byte), 0, length)
  return {
    format: (value, mask) => {
      const text = formatBytes(encode(value))
      return mask === undefined ? text : `${text}/${formatBytes(encode(mask))}`
    },
    parse: (scanner) => {
      const { length, value } = parse(scanner)
      return { value, mask: scanner.eat('/') ? parse(scanner).value : filled(length, 0xff) }
    },
    none: (value) => filled(encode(value).length, 0),
    wild: () => false,
    exact: (mask) => encode(mask).every((byte) => byte === 0xff),
  }
}

/** `0a 1b`. */
export function formatBytes(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

/** Pairs of hex digits, with blanks between them; none at all is no bytes. */
export function parseBytes(scanner: Scanner): Uint8Array {
  const digits = scanner.match(/[0-9a-fA-F]{2}(?: *[0-9a-fA-F]{2})*/y)?.match(/[0-9a-fA-F]{2}/g) ?? []
  return Uint8Array.from(digits, (pair) => Number.parseInt(pair, 16))
}

/** The bytes of an attribute without a row, by number. */
export function findUnknown(
  list: readonly UnknownAttribute[] | undefined,
  id: number,
): Uint8Array | undefined {
  return list?.find((attribute) => attribute.id === id)?.data
}

export function parseScalar(scanner: Scanner, scalar: Scalar<unknown>): Masked {
  const value = scalar.parse(scanner)
  return { value, mask: scanner.eat('/') ? scalar.parseMask(scanner) : scalar.ones }
}

function partOf(value: unknown, name: Field['name']): unknown {
  return (value as Record<string, unknown>)[name]
}

// Addresses are strings of which one value has many; only the canonical one can be compared.
function isZero(scalar: Scalar<unknown>, mask: unknown): boolean {
  return mask === scalar.zero || (typeof mask === 'string' && scalar.formatMask(mask) === scalar.zero)
}

/** Whether every bit of a scalar counts. */
export function isExactScalar(scalar: Scalar<unknown>, mask: unknown): boolean {
  return isOnes(scalar, mask)
}

// An IPv6 label may come with more bits set than it has.
function isOnes(scalar: Scalar<unknown>, mask: unknown): boolean {
  if (typeof mask === 'number') return (mask & (scalar.ones as number)) >>> 0 === scalar.ones
  return mask === scalar.ones || (typeof mask === 'string' && scalar.formatMask(mask) === scalar.ones)
}
