import { DpifError } from '../errors.js'

/** Walks through text and says, when something is wrong, what was expected and where. */
export class Scanner {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  get done(): boolean {
    return this.at >= this.text.length
  }

  /** Steps over `word` if it is next. */
  eat(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false
    this.at += word.length
    return true
  }

  expect(word: string): void {
    if (!this.eat(word)) this.fail(`'${word}' expected`)
  }

  /** The longest run of `pattern` (sticky, global state kept here) or undefined. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found === undefined || found === '') return undefined
    this.at += found.length
    return found
  }

  /** Steps over what ovs-dpctl takes as separators between items: commas and white space, any number of them. */
  delimiters(): void {
    this.match(delimiter)
  }

  /**
   * A non-negative integer: decimal, `0x` hex, or octal with a leading 0; like C, blanks and a plus may stand before it. Larger than
   * `max` is an error, never wrapped.
   */
  integer(max: number): number {
    const from = this.at
    const digits = this.#digits()
    const value = Number(digits)
    if (value > max) this.#tooMuch(from, digits, max)
    return value
  }

  wide(max: bigint): bigint {
    const from = this.at
    const digits = this.#digits()
    const value = BigInt(digits)
    if (value > max) this.#tooMuch(from, digits, max)
    return value
  }

  /** Digits as Number() and BigInt() read them. */
  #digits(): string {
    const from = this.at
    this.match(sign)
    const digits = this.match(number)
    if (digits === undefined) {
      this.at = from
      this.fail('a number expected')
    }
    return digits.length > 1 && digits[0] === '0' && digits[1] !== 'x' && digits[1] !== 'X'
      ? `0o${digits.slice(1)}`
      : digits
  }

  #tooMuch(from: number, digits: string, max: number | bigint): never {
    this.at = from
    this.fail(`${digits.replace('0o', '0')} is more than ${max}`)
  }

  fail(problem: string): never {
    const rest = this.text.slice(this.at, this.at + 40)
    const where = rest === '' ? 'at the end' : `at position ${this.at + 1}, before '${rest}'`
    throw new DpifError('SYNTAX', `${problem} ${where}`)
  }
}

const delimiter = /[, \t\r\n]+/y
const sign = /[ \t\r\n]*\+?/y
const number = /0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*/y
