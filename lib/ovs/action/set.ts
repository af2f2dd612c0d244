import type { SetMasked } from '../../../types/action.js'
import type { FlowKey, UnknownAttribute } from '../../../types/flow.js'
import { DpifError } from '../../errors.js'
import type { Codec } from '../../netlink/codec.js'
import { eachAttribute } from '../../netlink/reader.js'
import { AttributeSet, type NamedRow } from '../../netlink/table.js'
import type { Writer } from '../../netlink/writer.js'
import { flowKey } from '../key.js'

type Values = Record<string, unknown>

/** The payload is one whole key attribute. */
export const set: Codec<FlowKey> = {
  size: undefined,
  write: (writer, key) => {
    onlyHeader(key)
    flowKey.write(writer, key)
  },
  read: (bytes, start, end) => {
    let count = 0
    eachAttribute(bytes, start, end, () => count++)
    if (count !== 1) throw new DpifError('BAD_MESSAGE', `a set of ${count} headers; it takes one`)
    return flowKey.read(bytes, start, end)
  },
  samples: [{ skbMark: 7 }, { udp: { src: 1, dst: 2 } }],
}

/** The payload is one key attribute whose payload is value, then mask. */
export const setMasked: Codec<SetMasked> = {
  size: undefined,
  write: (writer, { key, mask }) => {
    const header = onlyHeader(key)
    if (header === 'unknown') {
      const { id, data } = onlyUnknown(key)
      const at = writer.begin(id)
      writer.append(data)
      writer.append(onlyUnknown(mask).data)
      writer.end(at)
      return
    }
    const value = (key as Values)[header.name]
    const bits = (mask as Values)[header.name]
    if (bits === undefined)
      throw new TypeError(`setMasked: the mask has no ${header.name}, which the key sets`)
    const at = writer.begin(header.id)
    writeBoth(writer, header, value, bits)
    writer.end(at)
  },
  read: (bytes, start, end) => {
    const result: SetMasked[] = []
    eachAttribute(bytes, start, end, (id, from, to) => {
      const row = flowKey.row(id)
      const both = row === undefined ? undefined : readBoth(row, bytes, from, to)
      if (row !== undefined && both !== undefined) {
        result.push({ key: { [row.name]: both.value }, mask: { [row.name]: both.mask } })
        return
      }
      const middle = from + ((to - from) >> 1)
      const half = (data: Uint8Array) => ({ unknown: [{ id, data }] })
      result.push({ key: half(bytes.slice(from, middle)), mask: half(bytes.slice(middle, to)) })
    })
    const [only] = result
    if (only === undefined || result.length !== 1) {
      throw new DpifError('BAD_MESSAGE', `a masked set of ${result.length} headers; it takes one`)
    }
    return only
  },
  samples: [
    {
      key: { ethernet: { src: '00:11:22:33:44:55', dst: '00:00:00:00:00:00' } },
      mask: { ethernet: { src: 'ff:ff:ff:ff:ff:ff', dst: '00:00:00:00:00:00' } },
    },
    { key: { tcp: { src: 0, dst: 80 } }, mask: { tcp: { src: 0, dst: 0xffff } } },
  ],
}

/** The row of the one header a set is about, or 'unknown'. Throws a TypeError when it is none or several. */
function onlyHeader(key: FlowKey): NamedRow | 'unknown' {
  const names = Object.keys(key)
  const [name] = names
  if (names.length === 1 && name === 'unknown' && key.unknown?.length === 1) return 'unknown'
  const row = flowKey.rows.find((row) => row.name === name)
  if (row === undefined || names.length !== 1) {
    throw new TypeError(`a set writes exactly one header, not { ${names.join(', ')} }`)
  }
  return row
}

function onlyUnknown({ unknown }: FlowKey): UnknownAttribute {
  const [only] = unknown ?? []
  if (only === undefined) throw new TypeError('setMasked: the mask has no unknown, which the key sets')
  return only
}

// The mask stands behind the value; in a header that is a nest itself (nsh), behind the value of each attribute in it
// (nsh_key_from_nlattr(), net/openvswitch/flow_netlink.c).
function writeBoth(writer: Writer, { name, codec }: NamedRow, value: unknown, bits: unknown): void {
  if (!(codec instanceof AttributeSet)) {
    codec.write(writer, value)
    codec.write(writer, bits)
    return
  }
  if (name !== 'nsh') throw new TypeError(`setMasked: ${name} is set as a whole; use set`)
  for (const row of codec.rows) {
    const part = (value as Values)[row.name]
    if (part === undefined) continue
    const at = writer.begin(row.id)
    row.codec.write(writer, part)
    row.codec.write(writer, (bits as Values)[row.name] ?? {})
    writer.end(at)
  }
}

/** Undefined when the attribute cannot be set in part, so that nobody knows what its halves are. */
function readBoth({ name, codec }: NamedRow, bytes: Uint8Array, start: number, end: number) {
  if (codec.size !== undefined || name === 'mpls') return halves(codec, bytes, start, end)
  if (name !== 'nsh' || !(codec instanceof AttributeSet)) return undefined
  const value: Values = {}
  const mask: Values = {}
  eachAttribute(bytes, start, end, (id, from, to) => {
    const row = codec.row(id)
    if (row === undefined)
      throw new DpifError('BAD_MESSAGE', `attribute ${id}, of which the halves are not known`)
    const both = halves(row.codec, bytes, from, to)
    value[row.name] = both.value
    mask[row.name] = both.mask
  })
  return { value, mask }
}

function halves(codec: Codec<unknown>, bytes: Uint8Array, start: number, end: number) {
  const size = end - start
  if (size % 2 !== 0) throw new DpifError('BAD_MESSAGE', `${size} bytes cannot be a value and its mask`)
  const middle = start + size / 2
  return { value: codec.read(bytes, start, middle), mask: codec.read(bytes, middle, end) }
}
