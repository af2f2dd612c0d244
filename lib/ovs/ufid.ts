import { createHash } from 'node:crypto'
import type { FlowId, FlowWords, Ufid } from '../../types/flow.js'
import { DpifError } from '../errors.js'
import { s32 } from '../netlink/integers.js'
import { Scanner } from '../netlink/scanner.js'

// A ufid is 16 bytes to the kernel, and four 32-bit words in host order to OVS, which prints the words. It is read or written once
// for every put and every dumped flow, so that is written out by hand.

/** Digits are 4 bits, so four of them leave the upper 16 bits free to say what was wrong with any, or worth knowing. */
const NO_DIGIT = 1 << 16
const UPPER_CASE = 1 << 17
const NO_DIGITS = 0x11110000
const UPPER_CASES = 0x22220000
const digit = Int32Array.from({ length: 256 }, (_, code) => {
  const character = String.fromCharCode(code)
  const value = Number.parseInt(character, 16)
  if (Number.isNaN(value)) return NO_DIGIT
  return character === character.toLowerCase() ? value : value | UPPER_CASE
})

function digitAt(ufid: Ufid, at: number): number {
  const code = ufid.charCodeAt(at)
  return code < 256 ? (digit[code] as number) : NO_DIGIT
}

function fourDigits(ufid: Ufid, at: number): number {
  return (
    (digitAt(ufid, at) << 12) |
    (digitAt(ufid, at + 1) << 8) |
    (digitAt(ufid, at + 2) << 4) |
    digitAt(ufid, at + 3)
  )
}

const DASH = 45

/** A ufid that was read; see {@link FlowId}. */
export class ParsedUfid implements FlowId {
  /** In lower case. */
  readonly ufid: Ufid
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number

  /** Throws a TypeError when `ufid` is none. */
  constructor(ufid: Ufid) {
    const a = fourDigits(ufid, 0)
    const b = fourDigits(ufid, 4)
    const c = fourDigits(ufid, 9)
    const d = fourDigits(ufid, 14)
    const e = fourDigits(ufid, 19)
    const f = fourDigits(ufid, 24)
    const g = fourDigits(ufid, 28)
    const h = fourDigits(ufid, 32)
    const all = a | b | c | d | e | f | g | h
    const dashed =
      ufid.charCodeAt(8) === DASH &&
      ufid.charCodeAt(13) === DASH &&
      ufid.charCodeAt(18) === DASH &&
      ufid.charCodeAt(23) === DASH
    if (!dashed || ufid.length !== 36 || (all & NO_DIGITS) !== 0) {
      throw new TypeError(`'${ufid}' is not a ufid like 3f2a9c10-0000-4000-8000-0123456789ab`)
    }
    this.ufid = (all & UPPER_CASES) === 0 ? ufid : ufid.toLowerCase()
    this.w0 = (a << 16) | (b & 0xffff)
    this.w1 = (c << 16) | (d & 0xffff)
    this.w2 = (e << 16) | (f & 0xffff)
    this.w3 = (g << 16) | (h & 0xffff)
  }
}

/** Writes the 16 bytes of OVS_FLOW_ATTR_UFID. */
export function putUfid(bytes: Uint8Array, at: number, { w0, w1, w2, w3 }: FlowWords): void {
  s32.put(bytes, at, w0)
  s32.put(bytes, at + 4, w1)
  s32.put(bytes, at + 8, w2)
  s32.put(bytes, at + 12, w3)
}

/** The 16 bytes of OVS_FLOW_ATTR_UFID. */
export function ufidToBytes(id: FlowWords): Uint8Array {
  const bytes = new Uint8Array(16)
  putUfid(bytes, 0, id)
  return bytes
}

/** The ufid in 16 bytes somewhere; its text is made when asked for. */
export class UfidInBytes implements FlowId {
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number

  /** Throws BAD_MESSAGE when the bytes end before the ufid does. */
  constructor(bytes: Uint8Array, at: number) {
    if (at + 16 > bytes.length) {
      throw new DpifError('BAD_MESSAGE', `${Math.max(0, bytes.length - at)} bytes where a ufid of 16 belongs`)
    }
    this.w0 = s32.take(bytes, at)
    this.w1 = s32.take(bytes, at + 4)
    this.w2 = s32.take(bytes, at + 8)
    this.w3 = s32.take(bytes, at + 12)
  }

  get ufid(): Ufid {
    return ufidOfWords(this)
  }
}

/** The text of four words. */
export function ufidOfWords({ w0, w1, w2, w3 }: FlowWords): Ufid {
  formatQuad(0, w0 >>> 16)
  formatQuad(4, w0)
  formatQuad(9, w1 >>> 16)
  formatQuad(14, w1)
  formatQuad(19, w2 >>> 16)
  formatQuad(24, w2)
  formatQuad(28, w3 >>> 16)
  formatQuad(32, w3)
  return text.toString('latin1')
}

/** The ufid being written; its dashes stay. One string made of it is twice as fast as 20 joined ones. */
const text = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1')
const characterOf = Buffer.from('0123456789abcdef', 'latin1')

function formatQuad(at: number, value: number): void {
  text[at] = characterOf[(value >> 12) & 15] as number
  text[at + 1] = characterOf[(value >> 8) & 15] as number
  text[at + 2] = characterOf[(value >> 4) & 15] as number
  text[at + 3] = characterOf[value & 15] as number
}

/**
 * The ufid of a flow that was put without one: a hash of its encoded key, so the same key has the same ufid in every process. OVS
 * hashes too, but with a secret per process.
 */
export function ufidOfKey(encodedKey: Uint8Array): Ufid {
  const hash = createHash('sha256').update(encodedKey).digest('hex')
  // The bits that say "version 4", as uuid_set_bits_v4() in OVS sets them.
  const variant = '89ab'[Number.parseInt(hash.charAt(16), 16) & 3]
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-4${hash.slice(13, 16)}-${variant}${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}

/** `ufid:3f2a9c10-…`, as OVS prints it. */
export function formatUfid(ufid: Ufid): string {
  return `ufid:${ufid}`
}

/** A ufid with or without `ufid:` before it, in any case. Throws SYNTAX when the text is anything else. */
export function parseUfid(text: string): Ufid {
  const scanner = new Scanner(text)
  scanner.eat('ufid:')
  const ufid = scanUfid(scanner)
  if (!scanner.done) scanner.fail('nothing more expected')
  return ufid
}

/** The ufid that comes next, without its prefix. */
export function scanUfid(scanner: Scanner): Ufid {
  const found = scanner.match(/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/y)
  return found?.toLowerCase() ?? scanner.fail('a ufid like 3f2a9c10-0000-4000-8000-0123456789ab expected')
}
