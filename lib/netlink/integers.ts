import { DpifError } from '../errors.js'
import type { Scalar } from './codec.js'
import { LITTLE } from './writer.js'

/** Lower-case hex with `0x`, but plain `0` for zero: what C prints for `%#x`. */
export function hex(value: number | bigint): string {
  return value === 0 || value === 0n ? '0' : `0x${value.toString(16)}`
}

function checkLength(size: number, start: number, end: number): void {
  if (end - start !== size) throw new DpifError('BAD_MESSAGE', `${end - start} bytes where ${size} belong`)
}

type Bytes = Pick<Scalar<number>, 'put' | 'take'>

/** Unsigned integers of up to 32 bits. Values outside the range are a RangeError: they would be sent as something else. */
function integer(bits: number, { put, take }: Bytes): Scalar<number> {
  const size = bits >> 3
  const ones = 2 ** bits - 1
  return {
    size,
    zero: 0,
    ones,
    put,
    take,
    write: (writer, value) => {
      const at = writer.reserve(size)
      put(writer.bytes, at, value)
    },
    read: (from, start, end) => {
      checkLength(size, start, end)
      return take(from, start)
    },
    format: String,
    formatMask: hex,
    parse: (scanner) => scanner.integer(ones),
    parseMask: (scanner) => scanner.integer(ones),
    samples: [0, 1, 2 ** (bits - 1), ones],
  }
}

function misfit(value: number, bits: number): never {
  throw new RangeError(`${value} does not fit in ${bits} bits`)
}

// Each is written out, with its check, so that the engine can inline it where a table is compiled.
const big: Record<16 | 24 | 32, Bytes> = {
  16: {
    put: (to, at, value) => {
      if ((value & 0xffff) !== value) misfit(value, 16)
      to[at] = value >> 8
      to[at + 1] = value
    },
    take: (from, at) => (byte(from, at) << 8) | byte(from, at + 1),
  },
  24: {
    put: (to, at, value) => {
      if ((value & 0xffffff) !== value) misfit(value, 24)
      to[at] = value >> 16
      to[at + 1] = value >> 8
      to[at + 2] = value
    },
    take: (from, at) => (byte(from, at) << 16) | (byte(from, at + 1) << 8) | byte(from, at + 2),
  },
  32: {
    put: (to, at, value) => {
      if (value >>> 0 !== value) misfit(value, 32)
      to[at] = value >>> 24
      to[at + 1] = value >>> 16
      to[at + 2] = value >>> 8
      to[at + 3] = value
    },
    take: (from, at) =>
      ((byte(from, at) << 24) |
        (byte(from, at + 1) << 16) |
        (byte(from, at + 2) << 8) |
        byte(from, at + 3)) >>>
      0,
  },
}

const little: Record<16 | 32, Bytes> = {
  16: {
    put: (to, at, value) => {
      if ((value & 0xffff) !== value) misfit(value, 16)
      to[at] = value
      to[at + 1] = value >> 8
    },
    take: (from, at) => byte(from, at) | (byte(from, at + 1) << 8),
  },
  32: {
    put: (to, at, value) => {
      if (value >>> 0 !== value) misfit(value, 32)
      to[at] = value
      to[at + 1] = value >>> 8
      to[at + 2] = value >>> 16
      to[at + 3] = value >>> 24
    },
    take: (from, at) =>
      (byte(from, at) |
        (byte(from, at + 1) << 8) |
        (byte(from, at + 2) << 16) |
        (byte(from, at + 3) << 24)) >>>
      0,
  },
}

// Lengths are checked before anything is taken, so the index is always inside.
function byte(from: Uint8Array, at: number): number {
  return from[at] as number
}

const host = LITTLE ? little : big

export const u8 = integer(8, {
  put: (to, at, value) => {
    if ((value & 0xff) !== value) misfit(value, 8)
    to[at] = value
  },
  take: byte,
})
/** Host order. */
export const u16 = integer(16, host[16])
/** Host order. */
export const u32 = integer(32, host[32])
/** Network order. */
export const be16 = integer(16, big[16])
/** Network order, three bytes. */
export const be24 = integer(24, big[24])
/** Network order. */
export const be32 = integer(32, big[32])

/** Host order, two's complement. */
export const s32: Scalar<number> = {
  ...u32,
  ones: -1,
  put: (to, at, value) => host[32].put(to, at, value >>> 0),
  take: (from, at) => host[32].take(from, at) | 0,
  write: (writer, value) => {
    const at = writer.reserve(4)
    host[32].put(writer.bytes, at, value >>> 0)
  },
  read: (from, start, end) => u32.read(from, start, end) | 0,
  samples: [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)],
}

/** Integers too wide for a double, written as 32-bit words in the host's or the network's order. */
function wide(words: number, order: 'host' | 'network'): Scalar<bigint> {
  const size = words * 4
  const bits = BigInt(size * 8)
  const ones = (1n << bits) - 1n
  const lowFirst = order === 'host' && LITTLE
  const word = order === 'host' ? host[32] : big[32]
  const place = (index: number) => (lowFirst ? index : words - 1 - index) * 4
  const put = (to: Uint8Array, at: number, value: bigint): void => {
    if (value < 0n || value > ones) throw new RangeError(`${value} does not fit in ${bits} bits`)
    let rest = value
    for (let index = 0; index < words; index++) {
      word.put(to, at + place(index), Number(rest & 0xffffffffn))
      rest >>= 32n
    }
  }
  const take = (from: Uint8Array, at: number): bigint => {
    let value = 0n
    for (let index = words - 1; index >= 0; index--) {
      value = (value << 32n) | BigInt(word.take(from, at + place(index)))
    }
    return value
  }
  return {
    size,
    zero: 0n,
    ones,
    put,
    take,
    write: (writer, value) => {
      const at = writer.reserve(size)
      put(writer.bytes, at, value)
    },
    read: (from, start, end) => {
      checkLength(size, start, end)
      return take(from, start)
    },
    format: hex,
    formatMask: hex,
    parse: (scanner) => scanner.wide(ones),
    parseMask: (scanner) => scanner.wide(ones),
    samples: [0n, 1n, 0x0123456789abcdefn, ones],
  }
}

/** Host order. */
export const u64 = wide(2, 'host')
/** Network order. */
export const be64 = wide(2, 'network')
/** A 128-bit integer in host order (conntrack labels). */
export const u128 = wide(4, 'host')
