import { createHash } from 'node:crypto'
import type { FlowId, FlowWords, Ufid } from '../../types/flow.js'
import { DpifError } from '../errors.js'
import { s32 } from '../netlink/integers.js'
import { Scanner } from '../netlink/scanner.js'

// A ufid is 16 bytes to the kernel, and four 32-bit words in host order to OVS, which prints the words. It is read or written once
// for every put and every dumped flow, so that is written out by hand.

/** Bits above those of a digit say what was wrong with any, or worth knowing. */
const NO_DIGIT = 1 << 16
const UPPER_CASE = 1 << 17
const digit = Int32Array.from({ length: 256 }, (_, code) => {
  const character = String.fromCharCode(code)
  const value = Number.parseInt(character, 16)
  if (Number.isNaN(value)) return NO_DIGIT
  return character === character.toLowerCase() ? value : value | UPPER_CASE
})

/** What was special about the digits read since it was set to 0. */
const seen = Int32Array.of(0)

/** Eight digits from `at` on, with or without a dash among them. A loop, since V8 makes calls of what is written out in functions. */
function word(ufid: Ufid, at: number, dash = NONE): number {
  const end = at + (dash === NONE ? 8 : 9)
  let value = 0
  let special = 0
  for (let next = at; next < end; next++) {
    if (next === dash) continue
    const code = ufid.charCodeAt(next)
    const found = code < 256 ? (digit[code] as number) : NO_DIGIT
    special |= found
    value = (value << 4) | (found & 15)
  }
  seen[0] = (seen[0] as number) | special
  return value
}

const NONE = -1
const DASH = 45

/** The words of the ufid that was read last. */
export const ufidWords = new Int32Array(4)

/** Reads a ufid into {@link ufidWords}, and answers it in lower case. Throws a TypeError when it is none. */
export function readUfid(ufid: Ufid): Ufid {
  seen[0] = 0
  ufidWords[0] = word(ufid, 0)
  ufidWords[1] = word(ufid, 9, 13)
  ufidWords[2] = word(ufid, 19, 23)
  ufidWords[3] = word(ufid, 28)
  const special = seen[0] as number
  const dashed =
    ufid.charCodeAt(8) === DASH &&
    ufid.charCodeAt(13) === DASH &&
    ufid.charCodeAt(18) === DASH &&
    ufid.charCodeAt(23) === DASH
  if (!dashed || ufid.length !== 36 || (special & NO_DIGIT) !== 0) {
    throw new TypeError(`'${ufid}' is not a ufid like 3f2a9c10-0000-4000-8000-0123456789ab`)
  }
  return (special & UPPER_CASE) === 0 ? ufid : ufid.toLowerCase()
}

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
    this.ufid = readUfid(ufid)
    this.w0 = ufidWords[0] as number
    this.w1 = ufidWords[1] as number
    this.w2 = ufidWords[2] as number
    this.w3 = ufidWords[3] as number
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
