import type { FlowKey, MplsKey } from '../../types/flow.js'
import type { Scalar } from '../netlink/codec.js'
import { u8, u32 } from '../netlink/integers.js'
import { eachAttribute, NESTED } from '../netlink/reader.js'
import type { Writer } from '../netlink/writer.js'
import type { Supports } from './features.js'
import { counts, put, type Take, taker } from './match-row.js'
import type { Report } from './reasons.js'

/*
 * Label stacks. A field of an entry is matched as a whole or not at all. Both sides take an entry that is named for "there is one at
 * this depth": openvswitch every entry of the mask, flower every depth; the stack may always go on below.
 *
 * One entry has attributes of its own; several are nests in TCA_FLOWER_KEY_MPLS_OPTS, and the kernel reports what can be said
 * with the former so, however it was sent (fl_dump_key_mpls()).
 */

interface Part {
  readonly name: keyof MplsKey
  readonly codec: Scalar<number>
  readonly uapi: string
  /** Alone, and in an entry of several. */
  readonly id: number
  readonly lseId: number
}

// biome-ignore format: one row per line
export const mplsRows: readonly Part[] = [
  { name: 'label', uapi: 'LABEL', id: 70, lseId: 5, codec: { ...u32, ones: 0xfffff } },
  { name: 'tc',    uapi: 'TC',    id: 69, lseId: 4, codec: { ...u8, ones: 7 } },
  { name: 'ttl',   uapi: 'TTL',   id: 67, lseId: 2, codec: u8 },
  { name: 'bos',   uapi: 'BOS',   id: 68, lseId: 3, codec: { ...u8, ones: 1 } },
]

export const mplsOpts = {
  opts: { uapi: 'TCA_FLOWER_KEY_MPLS_OPTS', id: 99 },
  lse: { uapi: 'TCA_FLOWER_KEY_MPLS_OPTS_LSE', id: 1 },
  depth: { uapi: 'TCA_FLOWER_KEY_MPLS_OPT_LSE_DEPTH', id: 1 },
} as const

/** FLOW_DIS_MPLS_MAX. */
const MAX_DEPTH = 7

export const isMpls = (type: number | undefined): boolean => type === 0x8847 || type === 0x8848

export function writeMpls(writer: Writer, key: readonly MplsKey[], mask: readonly MplsKey[]): void {
  // The kernel takes a mask without a bit for none.
  if (!counts(mask)) return
  if (mask.length === 1) {
    const [bits = {}] = mask
    for (const { name, id, codec } of mplsRows) if (bits[name]) put(writer, id, codec, key[0]?.[name] ?? 0)
    return
  }
  const opts = writer.begin(mplsOpts.opts.id | NESTED)
  mask.forEach((bits, index) => {
    const lse = writer.begin(mplsOpts.lse.id | NESTED)
    put(writer, mplsOpts.depth.id, u8, index + 1)
    for (const { name, lseId, codec } of mplsRows)
      if (bits[name]) put(writer, lseId, codec, key[index]?.[name] ?? 0)
    writer.end(lse)
  })
  writer.end(opts)
}

/** The entries that are named, and the first one always: openvswitch wants it in the key of an MPLS packet. */
export function readMpls(take: Take, opts: Uint8Array | undefined): Required<Pick<FlowKey, 'mpls'>>[] {
  const key: MplsKey[] = []
  const mask: MplsKey[] = []
  const read = (index: number, from: Take, which: 'id' | 'lseId') => {
    const entry: Record<string, number> = {}
    const bits: Record<string, number> = {}
    for (const row of mplsRows) {
      const value = from(row[which], row.codec)
      entry[row.name] = value ?? 0
      bits[row.name] = value === undefined ? 0 : row.codec.ones
    }
    key[index] = entry
    mask[index] = bits
  }
  read(0, take, 'id')
  if (opts !== undefined) {
    eachAttribute(opts, 0, opts.length, (_, start, end) => {
      const lse = taker(opts.subarray(start, end))
      read((lse(mplsOpts.depth.id, u8) ?? 1) - 1, lse, 'lseId')
    })
  }
  const nothing = () => undefined
  for (let index = 0; index < key.length; index++) if (key[index] === undefined) read(index, nothing, 'lseId')
  return [{ mpls: key }, { mpls: mask }]
}

/** `etherType` is the one that is matched exactly, if any. */
export function reportMpls(
  prefix: string,
  key: readonly MplsKey[] | undefined,
  mask: readonly MplsKey[],
  etherType: number | undefined,
  supports: Supports,
  report: Report,
): void {
  if (!counts(mask)) return
  const path = `${prefix}mpls`
  if (!isMpls(etherType)) report(path, 'NEEDS_EXACT', 'needs eth_type 0x8847 or 0x8848')
  if (mask.length > (key?.length ?? 0))
    report(path, 'NO_FLOWER_KEY', 'flower cannot match that a label stack has no further entry; match bos')
  if (mask.length > MAX_DEPTH) report(path, 'TOO_DEEP', `flower sees ${MAX_DEPTH} labels`)
  if (mask.length > 1 && !supports.has('mplsOpts'))
    report(path, 'NEEDS_KERNEL', 'flower matches more than one label from Linux 5.8')
  mask.forEach((bits, index) => {
    for (const { name, codec } of mplsRows) {
      const value = bits[name]
      if (value && value !== codec.ones)
        report(`${path}[${index}].${name}`, 'PARTIAL_MASK', 'some bits of it; all or none')
    }
  })
}
