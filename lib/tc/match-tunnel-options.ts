import type { TunnelKey } from '../../types/flow.js'
import { be16, be32, u8, u32 } from '../netlink/integers.js'
import { eachAttribute, type Found, NESTED } from '../netlink/reader.js'
import type { Writer } from '../netlink/writer.js'
import type { Supports } from './features.js'
import { put, taker } from './match-row.js'
import type { Report } from './reasons.js'

/*
 * What a tunnel header says beyond address and id. The kernel keeps it as bytes whose length and kind are part of the match; flower
 * takes them apart into attributes, one list for the values and one for what counts of them.
 */

/** TCA_FLOWER_KEY_ENC_OPTS, and what its nests hold. */
export const encOpts = {
  opts: { uapi: 'TCA_FLOWER_KEY_ENC_OPTS', id: 84 },
  mask: { uapi: 'TCA_FLOWER_KEY_ENC_OPTS_MASK', id: 85 },
  geneve: { uapi: 'TCA_FLOWER_KEY_ENC_OPTS_GENEVE', id: 1 },
  vxlan: { uapi: 'TCA_FLOWER_KEY_ENC_OPTS_VXLAN', id: 2 },
  erspan: { uapi: 'TCA_FLOWER_KEY_ENC_OPTS_ERSPAN', id: 3 },
  class: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_GENEVE_CLASS', id: 1 },
  type: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_GENEVE_TYPE', id: 2 },
  data: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_GENEVE_DATA', id: 3 },
  gbp: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_VXLAN_GBP', id: 1 },
  version: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_ERSPAN_VER', id: 1 },
  index: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_ERSPAN_INDEX', id: 2 },
  dir: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_ERSPAN_DIR', id: 3 },
  hwid: { uapi: 'TCA_FLOWER_KEY_ENC_OPT_ERSPAN_HWID', id: 4 },
} as const

interface Kind {
  readonly attribute: 'geneve' | 'vxlan' | 'erspan'
  /** Writes the nests of one list. `key` says how things are divided, `from` is the key itself or the mask. */
  write(writer: Writer, key: TunnelKey, from: TunnelKey, isMask: boolean): void
  /** Only for a mask that has the attribute, with a key that has it too. */
  report(key: TunnelKey, mask: TunnelKey, supports: Supports, report: Report): void
}

/** Where an option begins and ends in GENEVE's bytes; undefined when they do not add up. */
function geneveOptions(bytes: Uint8Array): { at: number; end: number }[] | undefined {
  const found: { at: number; end: number }[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + 4 * ((bytes[at + 3] ?? 0) & LENGTH)
    if (end > bytes.length) return undefined
    found.push({ at, end })
    at = end
  }
  return found
}

/** The bits of an option's fourth byte that are its length, in words; the others are reserved. */
const LENGTH = 0x1f
const none = new Uint8Array(0)

const geneve: Kind = {
  attribute: 'geneve',
  write(writer, { geneve: key = none }, { geneve: bytes = none }) {
    for (const { at, end } of geneveOptions(key) ?? []) {
      const nest = writer.begin(encOpts.geneve.id | NESTED)
      put(writer, encOpts.class.id, be16, be16.take(bytes, at))
      put(writer, encOpts.type.id, u8, bytes[at + 2] ?? 0)
      const data = writer.begin(encOpts.data.id)
      writer.append(bytes.subarray(at + 4, end))
      writer.end(data)
      writer.end(nest)
    }
  },
  report({ geneve: key = none }, { geneve: mask = none }, supports, report) {
    const path = 'tunnel.geneve'
    if (!supports.has('geneveOpts'))
      return report(path, 'NEEDS_KERNEL', 'flower matches GENEVE options from Linux 4.19')
    const options = geneveOptions(key)
    if (options === undefined || mask.length !== key.length)
      return report(path, 'KERNEL_RULE', 'the options of key and mask do not add up')
    if (options.length === 0) report(path, 'NO_FLOWER_KEY', 'flower cannot match that there is no option')
    // Of lengths flower compares the bits that are set in them (fl_set_enc_opt() makes a length its own mask).
    if (!supports.has('geneveLength'))
      report(
        path,
        'TOO_WIDE',
        `flower would match packets with more than these ${key.length} bytes of options`,
      )
    for (const { at, end } of options) {
      const length = mask[at + 3] ?? 0
      if (end === at + 4) report(path, 'NO_FLOWER_KEY', 'flower has no options without data')
      if ((length & LENGTH) !== LENGTH)
        report(path, 'NEEDS_EXACT', 'flower always matches the length of an option; its mask is 0x1f')
      if (length & ~LENGTH) report(path, 'NO_FLOWER_KEY', "flower has no match for an option's reserved bits")
    }
  },
}

/** VXLAN_GBP_MASK: flower keeps no other bits, and no packet has any. */
const GBP = 0x48ffff
/** All that openvswitch's key has. */
const isWholeGbp = (mask: number) => mask === 0xffffff || mask === 0xffffffff

const vxlan: Kind = {
  attribute: 'vxlan',
  write(writer, _, { vxlan }) {
    const nest = writer.begin(encOpts.vxlan.id | NESTED)
    put(writer, encOpts.gbp.id, u32, ((vxlan?.gbp ?? 0) & GBP) >>> 0)
    writer.end(nest)
  },
  report({ vxlan: key }, { vxlan: mask }, supports, report) {
    const path = 'tunnel.vxlan'
    const bits = mask?.gbp ?? 0
    if (!supports.has('vxlanGbp'))
      return report(path, 'NEEDS_KERNEL', 'flower matches VXLAN group policy from Linux 5.5')
    if ((key?.gbp ?? 0) & bits & ~GBP)
      report(`${path}.gbp`, 'VALUE_TOO_LARGE', 'flower has the id and two flags, 0x48ffff')
    else if (bits & ~GBP && !isWholeGbp(bits))
      report(`${path}.gbp`, 'PARTIAL_MASK', 'flower has the id and two flags, 0x48ffff')
    if (mask?.unknown?.length) report(`${path}.unknown`, 'NO_FLOWER_KEY', 'flower has no such match')
  },
}

// struct erspan_metadata: where things are. Direction and hardware id share bytes with more.
const INDEX = 4
const UPPER = 10
const LOWER = 11
const UPPER_HWID = 0x03
const LOWER_HWID = 0xf0
const DIR = 0x08
const ERSPAN_SIZE = 12

const versionOf = (bytes: Uint8Array | undefined): number =>
  bytes === undefined || bytes.length < 8 ? 0 : u32.take(bytes, 0)

const erspan: Kind = {
  attribute: 'erspan',
  write(writer, key, from) {
    const version = versionOf(key.erspan)
    const bytes = new Uint8Array(ERSPAN_SIZE)
    bytes.set(from.erspan?.subarray(0, ERSPAN_SIZE) ?? none)
    const nest = writer.begin(encOpts.erspan.id | NESTED)
    // In the mask too: it says how the mask is to be read, and its one bit tells the two versions apart.
    put(writer, encOpts.version.id, u8, version)
    if (version === 1) put(writer, encOpts.index.id, be32, be32.take(bytes, INDEX))
    else {
      const [upper = 0, lower = 0] = bytes.subarray(UPPER)
      put(writer, encOpts.dir.id, u8, (lower & DIR) >> 3)
      put(writer, encOpts.hwid.id, u8, ((upper & UPPER_HWID) << 4) | ((lower & LOWER_HWID) >> 4))
    }
    writer.end(nest)
  },
  report({ erspan: key = none }, { erspan: mask = none }, supports, report) {
    const path = 'tunnel.erspan'
    const version = versionOf(key)
    if (!supports.has('erspanOpts'))
      return report(path, 'NEEDS_KERNEL', 'flower matches ERSPAN options from Linux 5.5')
    if (version !== 1 && version !== 2) return report(path, 'KERNEL_RULE', 'ERSPAN has the versions 1 and 2')
    if (version === 2 && !supports.has('erspanV2')) {
      const problem = 'kernels before 6.13, 6.12.5, 6.6.66 and 6.1.120 match no packet so'
      return report(path, 'NEEDS_KERNEL', `ERSPAN version 2: ${problem}`)
    }
    if (versionOf(mask) !== 0xffffffff)
      return report(path, 'NEEDS_EXACT', 'flower always matches the version')
    const known = new Uint8Array(mask.length)
    if (version === 1) known.fill(0xff, INDEX, INDEX + 4)
    else {
      known[UPPER] = UPPER_HWID
      known[LOWER] = LOWER_HWID | DIR
    }
    if (mask.some((bits, at) => at >= 4 && (bits & ~(known[at] ?? 0)) !== 0)) {
      const parts = version === 1 ? 'the index' : 'direction and hardware id'
      report(path, 'NO_FLOWER_KEY', `of ERSPAN version ${version} flower has ${parts} only`)
    }
  },
}

const kinds = [geneve, vxlan, erspan] as const

export function optionObjections(key: TunnelKey, mask: TunnelKey, supports: Supports, report: Report): void {
  const wanted = kinds.filter(({ attribute }) => mask[attribute] !== undefined)
  if (wanted.length > 1) report('tunnel', 'KERNEL_RULE', 'a tunnel has options of one kind')
  for (const kind of wanted) {
    const { attribute } = kind
    if (key[attribute] !== undefined) kind.report(key, mask, supports, report)
    else {
      const problem = 'flower cannot match that a tunnel has no such options'
      report(`tunnel.${attribute}`, 'NO_FLOWER_KEY', problem)
    }
  }
}

export function writeOptions(writer: Writer, key: TunnelKey, mask: TunnelKey): void {
  const kind = kinds.find(({ attribute }) => mask[attribute] !== undefined)
  if (kind === undefined) return
  const values = writer.begin(encOpts.opts.id)
  kind.write(writer, key, key, false)
  writer.end(values)
  const bits = writer.begin(encOpts.mask.id)
  kind.write(writer, key, mask, true)
  writer.end(bits)
}

type Parts = Record<string, unknown>

/** Adds the options that are matched. */
export function readOptions(found: Found, key: Parts, mask: Parts): void {
  const values = found.get(encOpts.opts.id)
  if (values === undefined) return
  readList(values, key, false)
  const bits = found.get(encOpts.mask.id)
  if (bits !== undefined) readList(bits, mask, true)
}

function readList(list: Uint8Array, into: Parts, isMask: boolean): void {
  const options: number[] = []
  eachAttribute(list, 0, list.length, (id, start, end) => {
    const nest = list.subarray(start, end)
    if (id === encOpts.geneve.id) readGeneve(nest, options, isMask)
    else if (id === encOpts.vxlan.id) {
      const gbp = taker(nest)(encOpts.gbp.id, u32) ?? 0
      into.vxlan = { gbp: isMask && gbp === GBP ? 0xffffffff : gbp }
    } else if (id === encOpts.erspan.id) into.erspan = readErspan(nest, isMask)
  })
  if (options.length > 0) into.geneve = Uint8Array.from(options)
}

/** The kernel reports all options in one nest, one behind the other; they may as well be sent in one each. */
function readGeneve(nest: Uint8Array, options: number[], isMask: boolean): void {
  eachAttribute(nest, 0, nest.length, (id, start, end) => {
    const data = nest.subarray(start, end)
    if (id === encOpts.class.id) options.push(...data)
    else if (id === encOpts.type.id) options.push(...data)
    else if (id === encOpts.data.id) options.push(isMask ? LENGTH : data.length >> 2, ...data)
  })
}

function readErspan(nest: Uint8Array, isMask: boolean): Uint8Array {
  const take = taker(nest)
  const bytes = new Uint8Array(ERSPAN_SIZE)
  const version = take(encOpts.version.id, u8) ?? 0
  u32.put(bytes, 0, isMask && version !== 0 ? 0xffffffff : version)
  const index = take(encOpts.index.id, be32)
  if (index !== undefined) be32.put(bytes, INDEX, index)
  const hwid = take(encOpts.hwid.id, u8) ?? 0
  bytes[UPPER] = hwid >> 4
  bytes[LOWER] = ((hwid << 4) & LOWER_HWID) | (take(encOpts.dir.id, u8) ? DIR : 0)
  return bytes
}
