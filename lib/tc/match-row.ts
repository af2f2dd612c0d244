import type { FlowKey } from '../../types/flow.js'
import type { Scalar } from '../netlink/codec.js'
import { AttributeIndex } from '../netlink/reader.js'
import type { Writer } from '../netlink/writer.js'

/** A field of a flow and its attribute of flower, with that of its mask. */
export interface MatchRow {
  /** Where a flow names the field. */
  readonly attribute: keyof FlowKey & string
  /** Absent where the attribute is the field. */
  readonly part?: string
  readonly uapi: string
  readonly id: number
  /** Absent where flower can only match the field as a whole. */
  readonly maskId?: number
  /** The field's bytes in flower. */
  readonly codec: Scalar<unknown>
  /** Ethernet type the row is for, where two rows share an attribute. */
  readonly etherType?: number
  /** IP protocol without which flower does not look at the field. */
  readonly proto?: number
}

export const row = <T>(
  path: string,
  uapi: string,
  id: number,
  maskId: number | undefined,
  codec: Scalar<T>,
  needs: Pick<MatchRow, 'etherType' | 'proto'> = {},
): MatchRow => {
  const [attribute, part] = path.split('.')
  return {
    attribute: attribute as MatchRow['attribute'],
    ...(part === undefined ? {} : { part }),
    uapi: `TCA_FLOWER_KEY_${uapi}`,
    id,
    ...(maskId === undefined ? {} : { maskId }),
    codec: codec as Scalar<unknown>,
    ...needs,
  }
}

/** The value of a row's field, 0 where the key does not say. */
export function fieldOf(key: FlowKey, { attribute, part, codec }: MatchRow): unknown {
  const whole: unknown = key[attribute]
  return (part === undefined ? whole : (whole as Record<string, unknown> | undefined)?.[part]) ?? codec.zero
}

/** Writes a row's field, if the mask wants any of it. */
export function writeRow(writer: Writer, row: MatchRow, key: FlowKey, mask: FlowKey): void {
  const bits = fieldOf(mask, row)
  if (bits === row.codec.zero) return
  if (row.maskId !== undefined) put(writer, row.maskId, row.codec, bits)
  put(writer, row.id, row.codec, fieldOf(key, row))
}

export function put<T>(writer: Writer, id: number, codec: Scalar<T>, value: T): void {
  const at = writer.attribute(id, codec.size)
  codec.put(writer.bytes, at, value)
}

/** The value of an attribute, if it is there; of its bits only those that count, where `maskId` is given and there. */
export type Take = <T>(id: number, codec: Scalar<T>, maskId?: number) => T | undefined

/** What an attribute list says, by number. */
export const taker = (data: Uint8Array): Take => takeFrom(new AttributeIndex(data, 0, data.length))

/** What attributes say, wherever they lie. */
export function takeFrom(found: AttributeIndex): Take {
  const { bytes, starts, ends } = found
  return (id, codec, maskId) => {
    const at = found.find(id)
    if (at < 0) return undefined
    const start = starts[at] as number
    const end = ends[at] as number
    const mask = maskId === undefined ? -1 : found.find(maskId)
    if (mask < 0 || isWhole(bytes, starts[mask] as number, ends[mask] as number))
      return codec.read(bytes, start, end)
    return codec.read(
      masked(bytes.subarray(start, end), bytes.subarray(starts[mask], ends[mask])),
      0,
      end - start,
    )
  }
}

function isWhole(mask: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (mask[at] !== 0xff) return false
  return true
}

/** flower reports a key as it came, openvswitch and OVS only those of its bits that count. */
const masked = (data: Uint8Array, mask: Uint8Array): Uint8Array =>
  data.map((byte, at) => byte & (mask[at] ?? 0))

/** Reads the parts that `rows` name, all of them: what is not matched is zero. */
export function readParts(
  rows: readonly MatchRow[],
  take: Take,
): { key: Record<string, unknown>; mask: Record<string, unknown> } {
  const key: Record<string, unknown> = {}
  const mask: Record<string, unknown> = {}
  for (const row of rows) {
    const value = take(row.id, row.codec, row.maskId)
    const bits = row.maskId === undefined ? undefined : take(row.maskId, row.codec)
    const part = row.part ?? ''
    key[part] = value ?? row.codec.zero
    mask[part] = value === undefined ? row.codec.zero : (bits ?? row.codec.ones)
  }
  return { key, mask }
}

/** Whether a mask, or any part of one, has a bit that counts. */
export function counts(bits: unknown): boolean {
  if (typeof bits === 'string') return !/^[0:.]*$/.test(bits)
  if (typeof bits !== 'object' || bits === null) return Boolean(bits)
  if (bits instanceof Uint8Array) return bits.some((byte) => byte !== 0)
  if (Array.isArray(bits)) return bits.some(counts)
  // An unknown attribute is its payload; the number does not count.
  if ('data' in bits && 'id' in bits) return counts(bits.data)
  return Object.values(bits).some(counts)
}
