import { createHash } from 'node:crypto'
import type { Ufid } from '../../types/flow.js'
import { DpifError } from '../errors.js'
import { Scanner } from '../netlink/scanner.js'
import { LITTLE } from '../netlink/writer.js'

// A ufid is 16 bytes to the kernel, and four 32-bit words in host order to OVS, which prints the words. Both spellings are made
// once per flow, on the way of every put and every dumped flow, so they are written out by hand.

/** Where in the text the two digits of each byte stand, in the order of the text. */
const positions = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]
/** Which of the 16 bytes these digits are. */
const places = positions.map((_, index) => (LITTLE ? index ^ 3 : index))
const dashes = [8, 13, 18, 23]
const hexDigits = '0123456789abcdef'
/** The ufid being written; its dashes stay. One string made of it is twice as fast as 20 joined ones. */
const text = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1')
/** 0-15 for a hex digit, 255 for every other character up to 255. */
const digit = Uint8Array.from({ length: 256 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16)
  return Number.isNaN(value) ? 255 : value
})

/** Writes the 16 bytes of OVS_FLOW_ATTR_UFID. Throws a TypeError when `ufid` is none; `bytes` then holds rubbish. */
export function putUfid(bytes: Uint8Array, at: number, ufid: Ufid): void {
  let wrong = ufid.length === 36 ? 0 : 1
  for (const dash of dashes) wrong |= ufid.charCodeAt(dash) ^ 45
  for (let index = 0; index < 16; index++) {
    const position = positions[index] as number
    const high = digit[ufid.charCodeAt(position)] ?? 255
    const low = digit[ufid.charCodeAt(position + 1)] ?? 255
    wrong |= (high | low) & 0xf0
    bytes[at + (places[index] as number)] = (high << 4) | low
  }
  if (wrong !== 0) throw new TypeError(`'${ufid}' is not a ufid like 3f2a9c10-0000-4000-8000-0123456789ab`)
}

const wordBytes = new Uint8Array(16)
const fourWords = new Uint32Array(wordBytes.buffer)

/** The four words OVS prints, as integers: for tables. Throws a TypeError when `ufid` is none. */
export function readUfid(ufid: Ufid, words: Uint32Array): void {
  putUfid(wordBytes, 0, ufid)
  words.set(fourWords)
}

/** The 16 bytes of OVS_FLOW_ATTR_UFID. Throws a TypeError when `ufid` is none. */
export function ufidToBytes(ufid: Ufid): Uint8Array {
  const bytes = new Uint8Array(16)
  putUfid(bytes, 0, ufid)
  return bytes
}

/** The ufid in the 16 bytes from `at` on. */
export function ufidFromBytes(bytes: Uint8Array, at = 0): Ufid {
  if (at + 16 > bytes.length) {
    throw new DpifError('BAD_MESSAGE', `${Math.max(0, bytes.length - at)} bytes where a ufid of 16 belongs`)
  }
  for (let index = 0; index < 16; index++) {
    const byte = bytes[at + (places[index] as number)] as number
    const position = positions[index] as number
    text[position] = hexDigits.charCodeAt(byte >> 4)
    text[position + 1] = hexDigits.charCodeAt(byte & 15)
  }
  return text.toString('latin1')
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
