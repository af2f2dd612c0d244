import { isIPv4, isIPv6 } from 'node:net'
import { DpifError } from '../errors.js'
import type { Scalar } from './codec.js'
import type { Scanner } from './scanner.js'

const hexByte = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

function address(
  size: number,
  zero: string,
  ones: string,
  samples: readonly string[],
  parts: Pick<Scalar<string>, 'put' | 'take' | 'parse'> & { parseMask?: Scalar<string>['parseMask'] },
): Scalar<string> {
  const scratch = new Uint8Array(size)
  const canonical = (value: string): string => {
    if (value === zero || value === ones) return value
    parts.put(scratch, 0, value)
    return parts.take(scratch, 0)
  }
  return {
    parseMask: parts.parse,
    ...parts,
    size,
    zero,
    ones,
    write: (writer, value) => {
      const at = writer.reserve(size)
      parts.put(writer.bytes, at, value)
    },
    read: (bytes, start, end) => {
      if (end - start !== size)
        throw new DpifError('BAD_MESSAGE', `${end - start} bytes where ${size} belong`)
      return parts.take(bytes, start)
    },
    format: canonical,
    formatMask: canonical,
    samples,
  }
}

/** 0-15 for a hex digit, else NaN; the table spares a branch per digit. */
const digit = Float64Array.from({ length: 128 }, (_, code) => Number.parseInt(String.fromCharCode(code), 16))

/** `00:11:22:33:44:55`, in any case; written in lower case. */
export const mac: Scalar<string> = address(
  6,
  '00:00:00:00:00:00',
  'ff:ff:ff:ff:ff:ff',
  ['00:00:00:00:00:00', '00:11:22:33:44:55', 'fe:dc:ba:98:76:54', 'ff:ff:ff:ff:ff:ff'],
  {
    put: (to, at, value) => {
      let wrong = value.length !== 17
      for (let index = 0; index < 6; index++) {
        const from = index * 3
        const byte = (digit[value.charCodeAt(from)] ?? NaN) * 16 + (digit[value.charCodeAt(from + 1)] ?? NaN)
        // NaN compares false with everything.
        if (!(byte >= 0) || (index > 0 && value.charCodeAt(from - 1) !== 58)) wrong = true
        to[at + index] = byte
      }
      if (wrong) throw new TypeError(`'${value}' is not a MAC address like 00:11:22:33:44:55`)
    },
    take: (from, at) => {
      const byte = (index: number) => hexByte[from[at + index] as number]
      return `${byte(0)}:${byte(1)}:${byte(2)}:${byte(3)}:${byte(4)}:${byte(5)}`
    },
    parse: (scanner) => {
      const from = scanner.at
      const bytes = scanner
        .match(macText)
        ?.split(':')
        .map((byte) => Number.parseInt(byte, 16))
      if (bytes?.every((byte) => byte < 256)) return bytes.map((byte) => hexByte[byte]).join(':')
      scanner.at = from
      return scanner.fail('a MAC address expected')
    },
  },
)

function ipv4Put(to: Uint8Array, at: number, value: string): void {
  let index = 0
  let part = 0
  let digits = 0
  for (let position = 0; position < value.length; position++) {
    const code = value.charCodeAt(position)
    if (code >= 48 && code <= 57 && digits < 3) {
      part = part * 10 + code - 48
      digits++
    } else if (code === 46 && digits > 0 && part < 256 && index < 3) {
      to[at + index++] = part
      part = 0
      digits = 0
    } else {
      index = 9
    }
  }
  if (index !== 3 || digits === 0 || part > 255)
    throw new TypeError(`'${value}' is not an IPv4 address like 10.0.0.1`)
  to[at + 3] = part
}

const ipv4Take = (from: Uint8Array, at: number) =>
  `${from[at]}.${from[at + 1]}.${from[at + 2]}.${from[at + 3]}`

/** `10.0.0.1`. As a mask also a prefix length: `/24`. */
export const ipv4: Scalar<string> = address(
  4,
  '0.0.0.0',
  '255.255.255.255',
  ['0.0.0.0', '10.0.0.1', '224.0.0.251', '255.255.255.255'],
  {
    put: ipv4Put,
    take: ipv4Take,
    parse: (scanner) => {
      const from = scanner.at
      const text = scanner.match(ipv4Text)?.split('.').map(Number).join('.')
      if (text !== undefined && isIPv4(text)) return text
      scanner.at = from
      return scanner.fail('an IPv4 address expected')
    },
    parseMask: (scanner) => prefixLength(scanner, 4, ipv4Take) ?? ipv4.parse(scanner),
  },
)

function ipv6Groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

/** Reads groups of digits and one gap; false when there is anything else, which may be an address all the same. */
function ipv6PutPlain(to: Uint8Array, at: number, value: string): boolean {
  const { length } = value
  let index = 0
  let gap = -1
  let group = 0
  let digits = 0
  for (let position = 0; position < length; position++) {
    const code = value.charCodeAt(position)
    if (code !== COLON) {
      const part = digit[code] ?? NaN
      // NaN compares false with everything.
      if (!(part >= 0) || ++digits > 4) return false
      group = group * 16 + part
      continue
    }
    if (digits > 0) {
      if (index === 7) return false
      to[at + index * 2] = group >> 8
      to[at + index * 2 + 1] = group
      index++
      group = 0
      digits = 0
      if (value.charCodeAt(position + 1) !== COLON) {
        // One colon at the end is none between groups.
        if (position + 1 === length) return false
        continue
      }
      position++
    } else if (position > 0 || value.charCodeAt(++position) !== COLON) return false
    if (gap >= 0) return false
    gap = index
  }
  if (digits > 0) {
    to[at + index * 2] = group >> 8
    to[at + index * 2 + 1] = group
    index++
  }
  if (gap < 0) return index === 8
  if (index > 7) return false
  to.copyWithin(at + 16 - (index - gap) * 2, at + gap * 2, at + index * 2)
  to.fill(0, at + gap * 2, at + 16 - (index - gap) * 2)
  return true
}

const COLON = 58

function ipv6Put(to: Uint8Array, at: number, value: string): void {
  if (ipv6PutPlain(to, at, value)) return
  if (!isIPv6(value) || value.includes('%')) {
    throw new TypeError(`'${value}' is not an IPv6 address like fe80::1`)
  }
  let text = value
  const lastColon = text.lastIndexOf(':')
  if (text.includes('.')) {
    const tail = new Uint8Array(4)
    ipv4Put(tail, 0, text.slice(lastColon + 1))
    const word = (high: number) => (((tail[high] as number) << 8) | (tail[high + 1] as number)).toString(16)
    text = `${text.slice(0, lastColon + 1)}${word(0)}:${word(2)}`
  }
  const gap = text.indexOf('::')
  const head = ipv6Groups(gap < 0 ? text : text.slice(0, gap))
  const tail = gap < 0 ? [] : ipv6Groups(text.slice(gap + 2))
  for (let index = 0; index < 8; index++) {
    const fromEnd = index - (8 - tail.length)
    const group = head[index] ?? (fromEnd >= 0 ? (tail[fromEnd] ?? 0) : 0)
    to[at + index * 2] = group >> 8
    to[at + index * 2 + 1] = group
  }
}

/** As inet_ntop() writes it, which is what OVS prints: the first longest run of two or more zero groups becomes `::`. */
function ipv6Take(from: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => {
    return ((from[at + index * 2] as number) << 8) | (from[at + index * 2 + 1] as number)
  })
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  const spell = (part: number[]) => part.map((group) => group.toString(16)).join(':')
  // inet_ntop() writes addresses that hold an IPv4 address (::a.b.c.d and ::ffff:a.b.c.d) with dots.
  const mapped = best.start === 0 && best.length === 5 && groups[5] === 0xffff
  if (mapped || (best.start === 0 && best.length === 6)) {
    return `${mapped ? '::ffff:' : '::'}${ipv4Take(from, at + 12)}`
  }
  if (best.start < 0) return spell(groups)
  return `${spell(groups.slice(0, best.start))}::${spell(groups.slice(best.start + best.length))}`
}

/** `fe80::1`. As a mask also a prefix length: `/64`. */
export const ipv6: Scalar<string> = address(
  16,
  '::',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ['::', '::1', 'fe80::1', '2001:db8::1:0:0:1', '::ffff:10.0.0.1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  {
    put: ipv6Put,
    take: ipv6Take,
    parse: (scanner) => {
      const from = scanner.at
      const text = scanner.match(ipv6Text)
      if (text !== undefined && isIPv6(text)) return ipv6.format(text)
      scanner.at = from
      return scanner.fail('an IPv6 address expected')
    },
    parseMask: (scanner) => prefixLength(scanner, 16, ipv6Take) ?? ipv6.parse(scanner),
  },
)

function prefixLength(scanner: Scanner, size: number, take: Scalar<string>['take']): string | undefined {
  const from = scanner.at
  const digits = scanner.match(prefixText)
  if (digits === undefined) return undefined
  const length = Number(digits)
  if (length > size * 8) {
    scanner.at = from
    scanner.fail(`prefix length ${length} is more than ${size * 8}`)
  }
  const bytes = Uint8Array.from({ length: size }, (_, index) => {
    const set = Math.min(8, Math.max(0, length - index * 8))
    return 0xff & ~(0xff >> set)
  })
  return take(bytes, 0)
}

// Number by number, as OVS reads them: with blanks and zeros before each, and an IPv4 address never in octal.
const macText = /[ \t]*\+?(0x)?[0-9a-f]+(:[ \t]*\+?(0x)?[0-9a-f]+){5}/iy
const ipv4Text = /[ \t]*\+?[0-9]+(\.[ \t]*\+?[0-9]+){3}/y
const ipv6Text = /[0-9a-fA-F:.]+/y
const prefixText = /[0-9]{1,3}(?![0-9a-fA-F:.])/y
