import type { FlowKey } from '../../../types/flow.js'
import { DpifError } from '../../errors.js'
import { ipv4, ipv6, mac } from '../../netlink/addresses.js'
import type { Codec, Scalar } from '../../netlink/codec.js'
import { be16, be32, u8, u16, u32 } from '../../netlink/integers.js'
import { eachAttribute } from '../../netlink/reader.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

/** One aligned 4-byte word of a header: bits that are clear in `mask` are kept, `value` is put in for the others. Network order. */
export interface PeditKey {
  /** One of {@link headerTypes}: what `offset` counts from. With {@link ADD} the value is added instead of put in. */
  readonly header: number
  readonly offset: number
  readonly mask: number
  readonly value: number
  /** The offset depends on what the packet holds (`at`, `offmask` and `shift` of struct tc_pedit_key); never written. */
  readonly indirect?: true
}

export interface PeditParms extends General {
  readonly keys: readonly Omit<PeditKey, 'header'>[]
}

export interface PeditOptions extends CommonOptions {
  readonly parms?: PeditParms
  /** `header` of every key, in the same order. */
  readonly headers?: readonly number[]
}

/** TCA_PEDIT_KEY_EX_HDR_TYPE_*. */
export const headerTypes = { ETH: 1, IP4: 2, IP6: 3, TCP: 4, UDP: 5 } as const

/** Upper half of {@link PeditKey.header}: TCA_PEDIT_KEY_EX_CMD_ADD. */
export const ADD = 0x10000

/** A field that can be rewritten: where a flow names it, and where it lies. */
export interface PeditField {
  readonly header: number
  readonly attribute: keyof FlowKey & string
  /** Absent where the attribute is the field. */
  readonly part?: string
  readonly offset: number
  readonly codec: Scalar<unknown>
  /** Bits by which the field is shifted left inside its word; its word begins at `offset`. */
  readonly shift?: number
}

const field = <T>(
  header: keyof typeof headerTypes,
  path: string,
  offset: number,
  codec: Scalar<T>,
  shift?: number,
): PeditField => {
  const [attribute, part] = path.split('.')
  return {
    header: headerTypes[header],
    attribute: attribute as PeditField['attribute'],
    ...(part === undefined ? {} : { part }),
    offset,
    codec: codec as Scalar<unknown>,
    ...(shift === undefined ? {} : { shift }),
  }
}

/** The lower 20 bits of a word. */
const label: Scalar<number> = { ...be32, ones: 0xfffff }

/** What can be rewritten, in the order OVS writes it (lib/tc.c, flower_pedit_map). */
// biome-ignore format: one row per line
export const peditFields: readonly PeditField[] = [
  field('IP4', 'ipv4.src',     12, ipv4),
  field('IP4', 'ipv4.dst',     16, ipv4),
  field('IP4', 'ipv4.ttl',      8, u8),
  field('IP4', 'ipv4.tos',      1, u8),
  field('IP6', 'ipv6.hlimit',   7, u8),
  field('IP6', 'ipv6.src',      8, ipv6),
  field('IP6', 'ipv6.dst',     24, ipv6),
  field('IP6', 'ipv6.tclass',   0, u8, 20),
  field('IP6', 'ipv6.label',    0, label, 0),
  field('ETH', 'ethernet.src',  6, mac),
  field('ETH', 'ethernet.dst',  0, mac),
  field('ETH', 'etherType',    12, be16),
  field('TCP', 'tcp.src',       0, be16),
  field('TCP', 'tcp.dst',       2, be16),
  field('UDP', 'udp.src',       0, be16),
  field('UDP', 'udp.dst',       2, be16),
]

/** Whether a word is all in fields of {@link peditFields}. */
export function isKnownWord({ header, offset, mask, indirect }: PeditKey): boolean {
  return indirect === undefined && (~mask & ~(fieldBits.get(`${header} ${offset}`) ?? 0)) === 0
}

/** The words that write `value` under `mask` into a field. */
export function peditKeys(field: PeditField, value: unknown, mask: unknown): PeditKey[] {
  const { header, offset, codec } = field
  const base = offset & ~3
  const size = (offset - base + codec.size + 3) & ~3
  const bits = layOut(field, mask, base, size)
  const bytes = layOut(field, value, base, size)
  const keys: PeditKey[] = []
  for (let at = 0; at < size; at += 4) {
    const word = be32.take(bits, at)
    if (word === 0) continue
    keys.push({ header, offset: base + at, mask: ~word >>> 0, value: (be32.take(bytes, at) & word) >>> 0 })
  }
  return keys
}

/** Value and mask of a field as far as `keys` write it; undefined when they leave it alone. */
export function fieldFrom(
  field: PeditField,
  keys: readonly PeditKey[],
): { value: unknown; mask: unknown } | undefined {
  const base = field.offset & ~3
  const size = (field.offset - base + field.codec.size + 3) & ~3
  const bits = new Uint8Array(size)
  const bytes = new Uint8Array(size)
  for (const key of keys) {
    const at = key.offset - base
    if (key.header !== field.header || at < 0 || at >= size) continue
    // Two fields may share a word, with a key each: what one leaves alone the other has written.
    be32.put(bits, at, (be32.take(bits, at) | ~key.mask) >>> 0)
    be32.put(bytes, at, ((be32.take(bytes, at) & key.mask) | key.value) >>> 0)
  }
  const mask = pickUp(field, bits, base)
  return mask === field.codec.zero ? undefined : { value: pickUp(field, bytes, base), mask }
}

/** The bits of every word that belong to a field. */
const fieldBits = new Map<string, number>()
for (const field of peditFields) {
  for (const { header, offset, mask } of peditKeys(field, field.codec.zero, field.codec.ones)) {
    const word = `${header} ${offset}`
    fieldBits.set(word, (fieldBits.get(word) ?? 0) | ~mask)
  }
}

function layOut(
  { offset, codec, shift }: PeditField,
  value: unknown,
  base: number,
  size: number,
): Uint8Array {
  const bytes = new Uint8Array(size)
  if (shift === undefined) codec.put(bytes, offset - base, value)
  else be32.put(bytes, 0, ((value as number) << shift) >>> 0)
  return bytes
}

function pickUp({ offset, codec, shift }: PeditField, bytes: Uint8Array, base: number): unknown {
  return shift === undefined
    ? codec.take(bytes, offset - base)
    : (be32.take(bytes, 0) >>> shift) & (codec.ones as number)
}

const generalStruct = struct<General>(general)

/** struct tc_pedit_sel: the general part, a count, then 24 bytes for every key. */
const parms: Codec<PeditParms> = {
  size: undefined,
  write: (writer, value) => {
    generalStruct.write(writer, value)
    const at = writer.reserve(4 + value.keys.length * 24)
    writer.bytes[at] = value.keys.length
    value.keys.forEach((key, index) => {
      const from = at + 4 + index * 24
      be32.put(writer.bytes, from, key.mask)
      be32.put(writer.bytes, from + 4, key.value)
      u32.put(writer.bytes, from + 8, key.offset)
    })
  },
  read: (from, start, end) => {
    const count = end - start < 24 ? 0 : (from[start + 20] as number)
    if (end - start < 24 + count * 24) {
      throw new DpifError('BAD_MESSAGE', `${end - start} bytes do not hold ${count} keys`)
    }
    const keys = Array.from({ length: count }, (_, index) => {
      const at = start + 24 + index * 24
      const key = {
        mask: be32.take(from, at),
        value: be32.take(from, at + 4),
        offset: u32.take(from, at + 8),
      }
      const indirect = from.subarray(at + 12, at + 24).some((byte) => byte !== 0)
      return indirect ? { ...key, indirect: true as const } : key
    })
    return { ...generalStruct.take(from, start), keys }
  },
  samples: [{ action: 3, keys: [{ mask: 0x00ffffff, value: 0x3f000000, offset: 8 }] }],
}

interface ExtendedKey {
  readonly header?: number
  readonly command?: number
}

// biome-ignore format: one row per line
export const extendedKey = new AttributeSet<ExtendedKey>('key', {
  header: { uapi: 'TCA_PEDIT_KEY_EX_HTYPE', id: 1, codec: u16, doc: 'Which header.' },
  command: { uapi: 'TCA_PEDIT_KEY_EX_CMD', id: 2, codec: u16, doc: 'Set (0) or add (1).' },
})

/** The attribute around each key of TCA_PEDIT_KEYS_EX. */
export const KEY_EX = { uapi: 'TCA_PEDIT_KEY_EX', id: 6 } as const

/** TCA_PEDIT_KEYS_EX: one attribute for every key. */
const headers: Codec<readonly number[]> = {
  size: undefined,
  write: (writer, value) => {
    for (const header of value) {
      const at = writer.begin(KEY_EX.id)
      extendedKey.write(writer, { header: header & 0xffff, command: header >>> 16 })
      writer.end(at)
    }
  },
  read: (from, start, end) => {
    const found: number[] = []
    eachAttribute(from, start, end, (_id, begin, stop) => {
      const { header, command } = extendedKey.read(from, begin, stop)
      if (header === undefined || command === undefined) {
        throw new DpifError('BAD_MESSAGE', 'a key without header or command')
      }
      found.push(header + command * ADD)
    })
    return found
  },
  samples: [[2, 4]],
}

/** Rewrites words of headers. */
export const pedit: ActionKind<PeditOptions> = {
  kind: 'pedit',
  // biome-ignore format: one row per line
  options: new AttributeSet<PeditOptions>('pedit', {
    parms: { uapi: 'TCA_PEDIT_PARMS_EX', id: 4, codec: parms, doc: 'The words.' },
    headers: { uapi: 'TCA_PEDIT_KEYS_EX', id: 5, codec: headers, doc: 'What their offsets count from.' },
    times: { uapi: 'TCA_PEDIT_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 3 }),
}
