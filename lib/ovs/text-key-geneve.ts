import { spelled } from '../netlink/codec.js'
import { be16, hex, u8 } from '../netlink/integers.js'
import type { Scanner } from '../netlink/scanner.js'
import { GENEVE_HEADER, GENEVE_LENGTH } from './geneve.js'
import { parseScalar, part, scanParts } from './text-attribute.js'

const classPart = part(spelled(be16, { format: hex }))
const typePart = part(spelled(u8, { format: hex }))
const lengthPart = part(u8)

/** `{class=0x102,type=0x80,len=4,0xa/0xff}`, one option behind the other; what is wrong with the bytes is said where it is. */
export function formatGeneve(key: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  if (mask !== undefined && mask.length !== key.length) {
    return `value len ${key.length} different from mask len ${mask.length}`
  }
  let text = ''
  for (let at = 0; at < key.length; ) {
    const left = key.length - at
    if (left < GENEVE_HEADER) return `${text}opt len ${left} less than minimum ${GENEVE_HEADER}`
    const size = GENEVE_HEADER + ((key[at + 3] as number) & GENEVE_LENGTH) * 4
    if (size > left) return `${text}opt len ${size} greater than remaining ${left}`
    text += `{${formatOption(key.subarray(at, at + size), mask?.subarray(at, at + size), verbose)}}`
    at += size
  }
  return text
}

function formatOption(key: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  const data = key.subarray(GENEVE_HEADER)
  const bits = mask?.subarray(GENEVE_HEADER)
  const lengthMask = (mask?.[3] ?? GENEVE_LENGTH) & GENEVE_LENGTH
  const shown = [
    classPart.format('class', be16.take(key, 0), mask ? be16.take(mask, 0) : 0xffff, verbose),
    typePart.format('type', key[2], mask ? mask[2] : 0xff, verbose),
    lengthPart.format('len', data.length, lengthMask === GENEVE_LENGTH ? 0xff : lengthMask, verbose),
  ].filter((text) => text !== undefined)
  if (data.length > 0 && (verbose || bits === undefined || bits.some((byte) => byte !== 0))) {
    const exact = bits === undefined || bits.every((byte) => byte === 0xff)
    shown.push(exact ? formatHex(data) : `${formatHex(data)}/${formatHex(bits)}`)
  }
  return shown.join(',')
}

/**
 * Reads options up to the closing parenthesis. A part that is not listed is 0 and does not count; reserved bits, which text does not
 * have, neither. Where OVS left the length out, it is what the digits of the data need.
 */
export function parseGeneve(scanner: Scanner): { value: Uint8Array; mask: Uint8Array } {
  const value: number[] = []
  const mask: number[] = []
  while (scanner.eat('{')) {
    const option = scanOption(scanner)
    value.push(...option.value)
    mask.push(...option.mask)
  }
  scanner.expect(')')
  return { value: Uint8Array.from(value), mask: Uint8Array.from(mask) }
}

function scanOption(scanner: Scanner): { value: Uint8Array; mask: Uint8Array } {
  const none = { value: 0, mask: 0 }
  const header: Record<string, { value: unknown; mask: unknown }> = { class: none, type: none, len: none }
  let data: { value: Uint8Array; mask: Uint8Array } | undefined
  scanParts(
    scanner,
    () => {
      const from = scanner.at
      if (data !== undefined) scanner.fail("'}' expected")
      if (scanner.eat('class=')) header.class = parseScalar(scanner, classPart.scalar)
      else if (scanner.eat('type=')) header.type = parseScalar(scanner, typePart.scalar)
      else if (scanner.eat('len=')) {
        const { value } = (header.len = parseScalar(scanner, lengthPart.scalar))
        if ((value as number) % 4 === 0 && (value as number) <= GENEVE_LENGTH * 4) return
        scanner.at = from
        scanner.fail(`the length of an option is a multiple of 4, up to ${GENEVE_LENGTH * 4}`)
      } else {
        const least = header.len === none ? undefined : (header.len?.value as number)
        const digits = scanHex(scanner, least)
        const bits = scanner.eat('/') ? scanHex(scanner, least) : undefined
        const length = least ?? Math.ceil(Math.max(digits.length, bits?.length ?? 0) / 8) * 4
        data = { value: hexBytes(digits, length), mask: hexBytes(bits ?? 'f'.repeat(length * 2), length) }
      }
    },
    '}',
  )
  scanner.expect('}')
  const length = data?.value.length ?? (header.len?.value as number)
  const write = (side: 'value' | 'mask', lengthBits: number) => {
    const bytes = new Uint8Array(GENEVE_HEADER + length)
    be16.put(bytes, 0, header.class?.[side] as number)
    bytes[2] = header.type?.[side] as number
    bytes[3] = lengthBits
    if (data !== undefined) bytes.set(data[side], GENEVE_HEADER)
    return bytes
  }
  return {
    value: write('value', length / 4),
    mask: write('mask', (header.len?.mask as number) & GENEVE_LENGTH),
  }
}

/** As one big number, so without zeros in front. */
function formatHex(data: Uint8Array): string {
  const digits = Buffer.from(data.buffer, data.byteOffset, data.length).toString('hex').replace(/^0+/, '')
  return digits === '' ? '0' : `0x${digits}`
}

/** The hex digits of a number that fits into `length` bytes, without zeros in front. */
function scanHex(scanner: Scanner, length = GENEVE_LENGTH * 4): string {
  const from = scanner.at
  const text = scanner.match(/0[xX][0-9a-fA-F][0-9a-fA-F \t\r\n]*/y)
  const number = text?.slice(2).replace(/\s/g, '') ?? scanner.wide(0xffff_ffff_ffff_ffffn).toString(16)
  const digits = number.replace(/^0+/, '')
  if (digits.length <= length * 2) return digits
  scanner.at = from
  return scanner.fail(`more than ${length * 8} bits`)
}

function hexBytes(digits: string, length: number): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.padStart(length * 2, '0'), 'hex'))
}
