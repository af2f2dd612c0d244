import type { Action } from '../../types/action.js'
import type { Scanner } from '../netlink/scanner.js'
import type { FormatOptions, ParseOptions } from './text-attribute.js'

/** How one kind of action is printed and read. */
export interface ActionSpelling<T> {
  format(value: T, context: FormatContext): string
  /** Reads the action from its name on; undefined when it is another one. */
  parse?(scanner: Scanner, context: ParseContext): Action | undefined
}

/** What the spelling of an action that holds others needs. */
export interface FormatContext extends FormatOptions {
  /** What stands between the parentheses of a list: `drop` for the empty one. */
  list(actions: readonly Action[]): string
}

export interface ParseContext extends ParseOptions {
  /** How many lists this one lies in. */
  readonly depth: number
  /** Reads a list up to the parenthesis that closes it. */
  list(scanner: Scanner): Action[]
}

/**
 * A number that OVS reads as decimal even with zeros in front, and that with `0x` is hexadecimal, as OVS itself prints some of
 * them. Blanks and a plus may stand before it. More than `max` is an error.
 */
export function decimal(scanner: Scanner, max: number): number {
  return bounded(scanner, /[ \t\r\n]*\+?(0[xX][0-9a-fA-F]+|[0-9]+)/y, max, (digits) =>
    Number(/x/i.test(digits) ? digits : digits.replace(/^0+(?=.)/, '')),
  )
}

/** A number that is hexadecimal with `0x` or without. */
export function hexadecimal(scanner: Scanner, max: number): number {
  return bounded(scanner, /[ \t\r\n]*\+?(0[xX])?[0-9a-fA-F]+/y, max, (digits) => Number.parseInt(digits, 16))
}

function bounded(scanner: Scanner, form: RegExp, max: number, read: (digits: string) => number): number {
  const from = scanner.at
  const digits = scanner.match(form)?.replace(/^[ \t\r\n]*\+?/, '')
  if (digits === undefined) return scanner.fail('a number expected')
  const value = read(digits)
  if (value <= max) return value
  scanner.at = from
  return scanner.fail(`${digits} is more than ${max}`)
}

/** Pairs of hex digits without blanks. */
export function formatHex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Bytes as OVS prints a number of many digits: `0x1020304`, without zeros in front; `0` when there is nothing else. */
export function formatLong(data: Uint8Array): string {
  const digits = formatHex(data).replace(/^0+/, '')
  return digits === '' ? '0' : `0x${digits}`
}

/**
 * What {@link formatLong} prints, as a multiple of `unit` bytes, at most `most`. Zeros in front count, so that bytes which begin with
 * zeros can be written, too; those that OVS does not print are made up up to the unit. A bare 0 is no bytes.
 */
export function scanLong(scanner: Scanner, unit: number, most: number): Uint8Array {
  const from = scanner.at
  const digits = scanner.match(/0[xX][0-9a-fA-F]+/y)?.slice(2) ?? (scanner.eat('0') ? '' : undefined)
  if (digits === undefined) return scanner.fail('a number like 0x0102 expected')
  const size = Math.ceil(digits.length / 2 / unit) * unit
  if (size > most) {
    scanner.at = from
    scanner.fail(`${size} bytes, more than ${most},`)
  }
  const pairs = digits.padStart(size * 2, '0').match(/../g) ?? []
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))
}

/** Steps over the separators that OVS allows between the parts of some actions; false at the closing parenthesis. */
export function morePart(scanner: Scanner): boolean {
  scanner.delimiters()
  return scanner.text[scanner.at] !== ')'
}
