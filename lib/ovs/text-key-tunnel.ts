import type { TunnelKey, UnknownAttribute, VxlanKey } from '../../types/flow.js'
import { DpifError } from '../errors.js'
import type { Scalar } from '../netlink/codec.js'
import { spelled } from '../netlink/codec.js'
import { be16, be32, hex, u8, u32 } from '../netlink/integers.js'
import type { Scanner } from '../netlink/scanner.js'
import type { NamedRow } from '../netlink/table.js'
import {
  findUnknown,
  formatBytes,
  isExactScalar,
  type Masked,
  parseBytes,
  parseScalar,
  part,
  type Spelling,
  scanParts,
} from './text-attribute.js'
import { formatFlags, formatMaskedFlags, parseFlags, tunnelFlagNames } from './text-flags.js'
import { formatGeneve, parseGeneve } from './text-key-geneve.js'
import { tunnelKey } from './tunnel.js'

/** Flags that are attributes, by bit. What OVS calls `key` is that there is an id. */
const flagBits = { oam: 1, df: 2, csum: 4 } as const
const KEY_FLAG = 8
const flagNames = Object.keys(flagBits) as (keyof typeof flagBits)[]

const u8x = spelled(u8, { format: hex })
const gbpId = part(be16)
const gbpFlags = part(u8x)
const version = part(u8)
const erspanDirection = part({ ...u8, parse: bitsOf(1), parseMask: bitsOf(1) })
const erspanHardware = part({ ...u8x, parse: bitsOf(0xf), parseMask: bitsOf(0xf) })
const gtpuFlags = part(u8x)
const gtpuType = part(u8)

function bitsOf(ones: number): (scanner: Scanner) => number {
  return (scanner) => scanner.integer(ones)
}

/** OVSs number for GTP-U options; the kernel's for something else, which has no bytes. */
const GTPU = 16
const PAD = 14
/** struct erspan_metadata. */
const ERSPAN_SIZE = 12

/**
 * `tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,ttl=64,flags(-df-csum+key)`: the attributes that are there, and the flags behind them. The
 * flag `key` follows from the id: OVS shows it wherever the key has one, and does not listen to it.
 */
export const tunnelSpelling: Spelling = {
  format: (value, mask, { verbose = false }) => {
    const key = value as TunnelKey
    const bits = mask as TunnelKey | undefined
    const shown = tunnelKey.rows.map(({ name, text, codec }) => {
      const attribute = key[name as keyof TunnelKey]
      if (attribute === undefined) return undefined
      const counting = bits?.[name as keyof TunnelKey]
      if (text !== undefined) {
        const scalar = codec as Scalar<unknown>
        return part(scalar).format(text, attribute, bits ? (counting ?? scalar.zero) : scalar.ones, verbose)
      }
      return formats[name as keyof TunnelKey]?.(attribute, bits && (counting ?? 0), verbose)
    })
    for (const { id, data } of key.unknown ?? []) {
      shown.push(
        formatUnknown(id, data, bits && (findUnknown(bits.unknown, id) ?? data.map(() => 0)), verbose),
      )
    }
    shown.push(formatTunnelFlags(key, bits, verbose))
    return shown.filter((text) => text !== undefined).join(',')
  },
  parse: (scanner) => {
    const value: Record<string, unknown> = {}
    const mask: Record<string, unknown> = {}
    scanParts(scanner, () => {
      const row = tunnelKey.rows.find(({ text }) => text !== undefined && scanner.eat(`${text}=`))
      if (row !== undefined) {
        const parsed = parseScalar(scanner, row.codec as Scalar<unknown>)
        value[row.name] = parsed.value
        mask[row.name] = parsed.mask
        return
      }
      const word = scanner.match(/[a-z]+(?=\()/y) ?? scanner.match(/key[0-9]+(?=\()/y) ?? ''
      const parse = parses[word] ?? unknownParse(scanner, word)
      scanner.expect('(')
      parse(scanner, value, mask)
    })
    return { value, mask }
  },
  none: () => ({}),
  wild: () => false,
  exact: (mask, value) => {
    const bits = mask as TunnelKey
    return tunnelKey.rows.every(({ name, text, codec }) => {
      const part = bits[name as keyof TunnelKey]
      if (part === undefined) return true
      if (text !== undefined) return isExactScalar(codec as Scalar<unknown>, part)
      return exacts[name as keyof TunnelKey]?.(part, (value as TunnelKey)[name as keyof TunnelKey]) ?? true
    })
  },
}

type Format = (value: unknown, mask: unknown, verbose: boolean) => string | undefined

/** A mask of 0 stands for one that is not there. */
const formats: { readonly [K in keyof TunnelKey]?: Format } = {
  ipv4InfoBridge: () => `key${GTPU}()`,
  vxlan: (value, mask, verbose) => {
    const { gbp, unknown } = value as VxlanKey
    const bits = mask === undefined ? undefined : ((mask || {}) as VxlanKey)
    const shown: (string | undefined)[] = []
    if (gbp !== undefined) {
      const counting = bits === undefined ? 0xffffffff : (bits.gbp ?? 0)
      const parts = [
        gbpId.format('id', gbp & 0xffff, counting & 0xffff, verbose),
        gbpFlags.format('flags', (gbp >>> 16) & 0xff, (counting >>> 16) & 0xff, verbose),
      ]
      shown.push(`gbp(${parts.filter((text) => text !== undefined).join(',')})`)
    }
    for (const { id, data } of unknown ?? []) {
      shown.push(formatRaw(id, data, bits && (findUnknown(bits.unknown, id) ?? data.map(() => 0))))
    }
    return `vxlan(${shown.join(',')})`
  },
  geneve: (value, mask, verbose) => {
    const key = value as Uint8Array
    const bits = mask === 0 ? new Uint8Array(key.length) : (mask as Uint8Array | undefined)
    return `geneve(${formatGeneve(key, bits, verbose)})`
  },
  erspan: (value, mask, verbose) => {
    const key = erspanOf(value as Uint8Array)
    const bits =
      mask === undefined ? undefined : erspanOf(mask === 0 ? new Uint8Array(0) : (mask as Uint8Array))
    const shown = [version.format('ver', key.version & 0xff, bits ? bits.version & 0xff : 0xff, verbose)]
    if (key.version === 1) {
      // OVS shows this mask even when it is exact.
      shown.push(`idx=${hex(key.index)}${bits ? `/${hex(bits.index)}` : ''}`)
    } else if (key.version === 2) {
      // So it does these: one bit and four bits are not the whole byte it takes them for.
      shown.push(erspanDirection.format('dir', key.direction, bits ? bits.direction : 0xff, verbose))
      shown.push(erspanHardware.format('hwid', key.hardware, bits ? bits.hardware : 0xff, verbose))
    }
    return `erspan(${shown.filter((text) => text !== undefined).join(',')})`
  },
}

interface Erspan {
  readonly version: number
  /** Version 1. */
  readonly index: number
  /** Version 2. */
  readonly direction: number
  /** Version 2, the lower four bits. */
  readonly hardware: number
}

function erspanOf(data: Uint8Array): Erspan {
  const bytes = new Uint8Array(ERSPAN_SIZE)
  bytes.set(data.subarray(0, ERSPAN_SIZE))
  const last = bytes[ERSPAN_SIZE - 1] as number
  return {
    version: u32.take(bytes, 0),
    index: be32.take(bytes, 4),
    direction: (last >> 3) & 1,
    hardware: last >> 4,
  }
}

function erspanBytes({ version = 0, index = 0, direction = 0, hardware = 0 }: Partial<Erspan>): Uint8Array {
  const bytes = new Uint8Array(ERSPAN_SIZE)
  u32.put(bytes, 0, version)
  be32.put(bytes, 4, index)
  bytes[ERSPAN_SIZE - 1] = (hardware << 4) | (direction << 3)
  return bytes
}

function formatTunnelFlags(
  key: TunnelKey,
  mask: TunnelKey | undefined,
  verbose: boolean,
): string | undefined {
  const bitsOf = (side: TunnelKey) =>
    flagNames.reduce(
      (sum, name) => sum | (side[name] ? flagBits[name] : 0),
      key.id === undefined ? 0 : KEY_FLAG,
    )
  if (mask === undefined) return `flags(${formatFlags(tunnelFlagNames, bitsOf(key))})`
  const counting = bitsOf(mask)
  if (counting === 0 && !verbose) return undefined
  const all = 2 ** tunnelFlagNames.length - 1
  const text =
    counting === all
      ? formatFlags(tunnelFlagNames, bitsOf(key))
      : formatMaskedFlags(tunnelFlagNames, bitsOf(key), counting)
  return `flags(${text})`
}

function formatUnknown(
  id: number,
  data: Uint8Array,
  mask: Uint8Array | undefined,
  verbose: boolean,
): string | undefined {
  if (id === PAD) return undefined
  if (id !== GTPU || data.length !== 2) return formatRaw(id, data, mask)
  const shown = [
    gtpuFlags.format('flags', data[0], mask ? (mask[0] ?? 0) : 0xff, verbose),
    gtpuType.format('msgtype', data[1], mask ? (mask[1] ?? 0) : 0xff, verbose),
  ]
  return `gtpu(${shown.filter((text) => text !== undefined).join(',')})`
}

function formatRaw(id: number, data: Uint8Array, mask: Uint8Array | undefined): string {
  const exact = mask === undefined || mask.every((byte) => byte === 0xff)
  return `key${id}(${formatBytes(data)}${exact ? '' : `/${formatBytes(mask)}`})`
}

type Parse = (scanner: Scanner, value: Record<string, unknown>, mask: Record<string, unknown>) => void

/** Each from behind its opening parenthesis to behind its closing one. */
const parses: Readonly<Record<string, Parse>> = {
  flags: (scanner, value, mask) => {
    const parsed = parseFlags(scanner, tunnelFlagNames, 0xffffffff)
    scanner.expect(')')
    for (const name of flagNames) {
      if (parsed.value & flagBits[name]) value[name] = true
      if (parsed.mask & flagBits[name]) mask[name] = true
    }
  },
  vxlan: (scanner, value, mask) => {
    const key: Record<string, unknown> = {}
    const bits: Record<string, unknown> = {}
    scanParts(scanner, () => {
      if (scanner.eat('gbp(')) {
        const { id, flags } = scanNamed(scanner, { id: gbpId.scalar, flags: gbpFlags.scalar })
        key.gbp = join(id?.value, flags?.value)
        bits.gbp = join(id?.mask, flags?.mask)
      } else {
        const word = scanner.match(/key[0-9]+(?=\()/y)
        if (word === undefined) return scanner.fail("'gbp(' or ')' expected")
        const id = attributeId(scanner, word)
        scanner.expect('(')
        addUnknown(scanner, id, key, bits)
      }
    })
    scanner.expect(')')
    value.vxlan = key
    mask.vxlan = bits

    function join(id: unknown = 0, flags: unknown = 0): number {
      return (((flags as number) << 16) | (id as number)) >>> 0
    }
  },
  geneve: (scanner, value, mask) => {
    const parsed = parseGeneve(scanner)
    value.geneve = parsed.value
    mask.geneve = parsed.mask
  },
  erspan: (scanner, value, mask) => {
    const { ver, idx, dir, hwid } = scanNamed(scanner, {
      ver: version.scalar,
      idx: u32 as Scalar<unknown>,
      dir: erspanDirection.scalar,
      hwid: erspanHardware.scalar,
    })
    const bytes = (side: 'value' | 'mask', version: number) =>
      erspanBytes({
        version,
        index: (idx?.[side] ?? 0) as number,
        direction: ((dir?.[side] ?? 0) as number) & 1,
        hardware: ((hwid?.[side] ?? 0) as number) & 0xf,
      })
    // The version is not shown when it does not count, but something says which it is.
    value.erspan = bytes('value', ver ? (ver.value as number) : idx ? 1 : dir || hwid ? 2 : 0)
    mask.erspan = bytes('mask', ver?.mask === 0xff ? 0xffffffff : ((ver?.mask ?? 0) as number))
  },
  gtpu: (scanner, value, mask) => {
    const { flags, msgtype } = scanNamed(scanner, { flags: gtpuFlags.scalar, msgtype: gtpuType.scalar })
    const data = (side: 'value' | 'mask') =>
      Uint8Array.of((flags?.[side] ?? 0) as number, (msgtype?.[side] ?? 0) as number)
    append(value, { id: GTPU, data: data('value') })
    append(mask, { id: GTPU, data: data('mask') })
  },
}

/** `name=value/mask` up to behind the closing parenthesis. */
function scanNamed<K extends string>(
  scanner: Scanner,
  scalars: Readonly<Record<K, Scalar<unknown>>>,
): { readonly [P in K]?: Masked } {
  const found: { [P in K]?: Masked } = {}
  const names = Object.keys(scalars) as K[]
  scanParts(scanner, () => {
    const name = names.find((name) => scanner.eat(`${name}=`))
    if (name === undefined) {
      return scanner.fail(`${names.map((name) => `'${name}='`).join(' ')} or ')' expected`)
    }
    found[name] = parseScalar(scanner, scalars[name])
  })
  scanner.expect(')')
  return found
}

/** `key17(00 01/ff ff)`: an attribute without a row, or the bytes of one that has. */
function unknownParse(scanner: Scanner, word: string): Parse {
  if (!/^key[0-9]+$/.test(word)) {
    scanner.at -= word.length
    const words = tunnelKey.rows.flatMap(({ text }) => (text === undefined ? [] : `'${text}='`))
    scanner.fail(
      `${words.join(' ')} ${Object.keys(parses)
        .map((name) => `'${name}('`)
        .join(' ')} or ')' expected`,
    )
  }
  const id = attributeId(scanner, word)
  return (scanner, value, mask) => addUnknown(scanner, id, value, mask, tunnelKey.row(id))
}

function attributeId(scanner: Scanner, word: string): number {
  const id = Number(word.slice('key'.length))
  if (id <= 0x3fff) return id
  scanner.at -= word.length
  return scanner.fail(`attribute ${id} is more than ${0x3fff}`)
}

function addUnknown(
  scanner: Scanner,
  id: number,
  value: Record<string, unknown>,
  mask: Record<string, unknown>,
  row?: NamedRow,
): void {
  const from = scanner.at
  const data = parseBytes(scanner)
  const bits = scanner.eat('/') ? parseBytes(scanner) : data.map(() => 0xff)
  scanner.expect(')')
  if (row === undefined || (row.codec.size === 0 && data.length > 0)) {
    append(value, { id, data })
    append(mask, { id, data: bits })
    return
  }
  try {
    value[row.name] = row.codec.read(data, 0, data.length)
    mask[row.name] = row.codec.read(bits, 0, bits.length)
  } catch (error) {
    if (!(error instanceof DpifError)) throw error
    scanner.at = from
    scanner.fail(error.message)
  }
}

function append(side: Record<string, unknown>, attribute: UnknownAttribute): void {
  const others = ((side.unknown ?? []) as readonly UnknownAttribute[]).filter(({ id }) => id !== attribute.id)
  side.unknown = [...others, attribute]
}

/** Whether all of an attribute counts, as far as text can say it. */
const exacts: { readonly [K in keyof TunnelKey]?: (mask: unknown, value: unknown) => boolean } = {
  vxlan: (mask) => (((mask as VxlanKey).gbp ?? 0xffffff) & 0xffffff) === 0xffffff,
  geneve: (mask, value) => !/[/]/.test(formatGeneve(value as Uint8Array, mask as Uint8Array, true)),
  erspan: (mask, value) => {
    const bits = erspanOf(mask as Uint8Array)
    const { version } = erspanOf(value as Uint8Array)
    if (bits.version !== 0xffffffff) return false
    return version === 2 ? bits.direction === 1 && bits.hardware === 0xf : bits.index === 0xffffffff
  },
}
