import { hex } from '../netlink/integers.js'
import type { Scanner } from '../netlink/scanner.js'

/** The names of a word's bits, beginning at bit 0. Bits beyond them do not count, in a value as in a mask. */
export type FlagNames = readonly string[]

/** Conntrack state, as in `ct_state(+trk-new)`. */
export const ctStateNames: FlagNames = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat']

/** Flags of a tunnel, as in `flags(-df-csum+key)`. */
export const tunnelFlagNames: FlagNames = ['oam', 'df', 'csum', 'key']

/** TCP flags, as in `tcp_flags(+syn-ack)`. The last three have no name in TCP either. */
// biome-ignore format: one list of bits
export const tcpFlagNames: FlagNames = [
  'fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns', '[200]', '[400]', '[800]',
]

/** `new|trk`, with unnamed bits as a number behind the names; `0` when no bit is set. */
export function formatFlags(names: FlagNames, value: number): string {
  const set = names.filter((_, bit) => value & (1 << bit))
  const unnamed = (value & ~allOf(names)) >>> 0
  if (unnamed !== 0) set.push(hex(unnamed))
  return set.join('|') || '0'
}

/** `+trk-new`: every bit that counts, with the sign that says which way; `0/0` when none does. */
export function formatMaskedFlags(names: FlagNames, value: number, mask: number): string {
  let text = ''
  for (let bit = 0; bit < 32; bit++) {
    if (mask & (1 << bit)) text += `${value & (1 << bit) ? '+' : '-'}${names[bit] ?? '[Unknown]'}`
  }
  return text || '0/0'
}

/**
 * Flags in all three spellings, up to the closing parenthesis: `0x20/0x21`, `+trk-new`, and `trk|new`, which is exact: its mask is
 * `ones`.
 */
export function parseFlags(
  scanner: Scanner,
  names: FlagNames,
  ones: number,
): { value: number; mask: number } {
  if (/[+-]/.test(peek(scanner))) return parseSigned(scanner, names)
  const all = allOf(names)
  let value = 0
  for (let first = true; first || peek(scanner) !== ')'; first = false) {
    if (/[ \t+0-9]/.test(peek(scanner))) {
      value |= scanner.integer(all)
      if (first && scanner.eat('/')) return { value, mask: scanner.integer(all) }
    } else {
      value |= parseName(scanner, names, /[^|)]+/y)
    }
    scanner.eat('|')
  }
  return { value, mask: ones }
}

function parseSigned(scanner: Scanner, names: FlagNames): { value: number; mask: number } {
  let value = 0
  let mask = 0
  while (peek(scanner) !== ')') {
    const from = scanner.at
    const set = scanner.eat('+')
    if (!set && !scanner.eat('-')) scanner.fail("'+' or '-' expected")
    const bit = parseName(scanner, names, /[^+\-)]+/y)
    if (mask & bit) {
      scanner.at = from
      scanner.fail('a flag given twice')
    }
    if (set) value |= bit
    mask |= bit
  }
  return { value, mask }
}

function parseName(scanner: Scanner, names: FlagNames, word: RegExp): number {
  const from = scanner.at
  const bit = names.indexOf(scanner.match(word) ?? '')
  if (bit >= 0) return 1 << bit
  scanner.at = from
  return scanner.fail(`one of the flags ${names.join(' ')} expected`)
}

function peek(scanner: Scanner): string {
  return scanner.text[scanner.at] ?? ''
}

function allOf(names: FlagNames): number {
  return 2 ** names.length - 1
}
