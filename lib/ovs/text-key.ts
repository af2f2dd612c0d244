import type { FlowKey, TunnelKey, Ufid, UnknownAttribute } from '../../types/flow.js'
import type { Codec, Scalar } from '../netlink/codec.js'
import { Scanner } from '../netlink/scanner.js'
import type { Struct } from '../netlink/struct.js'
import { bytes, type NamedRow } from '../netlink/table.js'
import { flowKey } from './key.js'
import {
  bytesSpelling,
  type FormatOptions,
  findUnknown,
  flagsSpelling,
  type Masked,
  namedPart,
  narrowPart,
  type ParseOptions,
  type Part,
  part,
  type Spelling,
  scalarSpelling,
  structSpelling,
  vlanSpelling,
} from './text-attribute.js'
import { ctStateNames, tcpFlagNames } from './text-flags.js'
import { mplsSpelling } from './text-key-mpls.js'
import { nshSpelling } from './text-key-nsh.js'
import { tunnelSpelling } from './text-key-tunnel.js'
import { scanUfid } from './ufid.js'

/** What the text of a match says. */
export interface ParsedKey {
  readonly ufid?: Ufid
  readonly key: FlowKey
  readonly mask: FlowKey
}

/**
 * Key and mask in one text, byte for byte as `ovs-dpctl dump-flows` prints the same attributes:
 * `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.0.0.0,frag=no)`.
 *
 * Without a mask everything is exact. With one, what is absent from it does not count, and only `verbose` shows it.
 */
export function formatKey(key: FlowKey, mask?: FlowKey, options: FormatOptions = {}): string {
  let line = ''
  let comma = ''
  let empty = true
  // Which packets there are is then said already.
  let typed = false
  for (const { name, text, spelling, value, bits, whenWild } of attributesOf(key, mask)) {
    empty = false
    const wild = mask !== undefined && (bits === undefined || spelling.wild(bits))
    if (options.verbose || !wild || whenWild === 'all') {
      const counting = mask === undefined ? undefined : (bits ?? spelling.none(value))
      line += `${comma}${text}(${spelling.format(value, counting, options)})`
      comma = ','
      if (name === 'packetType') typed = true
    } else if (whenWild === 'name' && !typed) {
      // No comma follows when it comes first. That is how OVS prints it, and it reads it, too.
      line += `${comma}${text}()`
    }
  }
  if (empty) return '<empty>'
  // A frame without Ethernet type is a match of its own, and this is how OVS says it.
  if (key.etherType !== undefined || mask?.etherType === undefined) return line
  return `${line},${noEtherType}0x${mask.etherType.toString(16).padStart(4, '0')})`
}

/**
 * Reads what `formatKey()` and ovs-dpctl write, with prefix lengths (`10.0.0.0/8`) as well. Both results are whole: a part that
 * the text leaves out is there as zero. Throws SYNTAX with the position.
 */
export function parseKey(text: string, options: ParseOptions = {}): ParsedKey {
  const scanner = new Scanner(text)
  const parsed = scanKey(scanner, options)
  if (!scanner.done) failField(scanner)
  return parsed
}

/** Reads fields as far as there are any, and the separators behind them. */
export function scanKey(scanner: Scanner, options: ParseOptions, depth = 0): ParsedKey {
  const key: Record<string, unknown> = {}
  const mask: Record<string, unknown> = {}
  let ufid: Ufid | undefined
  for (;;) {
    scanner.delimiters()
    const from = scanner.at
    if (depth === 0 && scanner.eat('ufid:')) {
      if (ufid !== undefined) failTwice(scanner, from)
      ufid = scanUfid(scanner)
      continue
    }
    if (scanner.eat('<empty>')) continue
    if (scanner.match(noEtherTypeText) !== undefined) {
      if ('etherType' in mask) failTwice(scanner, from)
      mask.etherType = scanner.integer(0xffff)
      scanner.expect(')')
      continue
    }
    const attribute = scanAttribute(scanner, options, depth)
    if (attribute === undefined) return ufid === undefined ? { key, mask } : { ufid, key, mask }
    if (!add(key, attribute, whole(attribute))) failTwice(scanner, from)
    add(mask, attribute, attribute.mask)
  }
}

/** A tunnel that is matched has a TTL, which the kernel insists on and OVS leaves out of its text when it does not count. */
function whole({ name, value }: ParsedAttribute): unknown {
  if (name !== 'tunnel') return value
  const { ttl, ipv4InfoBridge } = value as TunnelKey
  return ttl === undefined && ipv4InfoBridge === undefined ? { ...(value as TunnelKey), ttl: 0 } : value
}

/** One attribute read from text; `name` is its property, or `unknown`. */
export interface ParsedAttribute extends Masked {
  readonly name: string
  readonly id: number
  readonly exact: boolean
}

/** Reads one field, or returns undefined and stays where it is when there is none. */
export function scanAttribute(
  scanner: Scanner,
  options: ParseOptions,
  depth = 0,
): ParsedAttribute | undefined {
  const from = scanner.at
  const word = scanner.match(fieldName) ?? ''
  const entry = byText.get(word) ?? unknownEntry(scanner, word)
  if (entry === undefined) {
    scanner.at = from
    return undefined
  }
  scanner.expect('(')
  const { name, id, spelling } = entry
  const { value, mask } = spelling.parse(scanner, options, depth)
  scanner.expect(')')
  return { name, id, value, mask, exact: spelling.exact(mask, value) }
}

/** A key with only this attribute, for the value or for the mask. */
export function keyOf(attribute: ParsedAttribute, value: unknown): FlowKey {
  const key = {}
  add(key, attribute, value)
  return key
}

/** All attributes of a key as a set action prints them: each with its parentheses, whether it counts or not. */
export function formatHeader(key: FlowKey, mask?: FlowKey): string {
  return Array.from(attributesOf(key, mask), ({ text, spelling, value, bits }) => {
    const counting = mask === undefined ? undefined : (bits ?? spelling.none(value))
    return `${text}(${spelling.format(value, counting, { verbose: mask === undefined })})`
  }).join(',')
}

/** Says what is wrong where a field should be. */
export function failField(scanner: Scanner): never {
  const word = /^[a-zA-Z0-9_]+(?=\()/.exec(scanner.text.slice(scanner.at, scanner.at + 40))?.[0]
  return scanner.fail(
    word === undefined ? 'a field like in_port(1) expected' : `no field is called '${word}'`,
  )
}

const fieldName = /[a-z0-9_]+(?=\()/y
const noEtherType = 'eth_type(0/'
// A value always has four digits, so nothing else looks like this.
const noEtherTypeText = /eth_type\(0\/(?=0x[0-9a-f]{4}\))/y
/** As deep as OVS reads encap() in encap(). */
const deepest = 31

interface Entry {
  /** The property, or `unknown`. */
  readonly name: string
  readonly id: number
  /** The name in text. */
  readonly text: string
  readonly spelling: Spelling
}

function inPortSpelling(scalar: Scalar<unknown>): Spelling {
  const plain = scalarSpelling(scalar)
  return {
    ...plain,
    format: (value, mask, options) => {
      const name = mask === undefined || plain.exact(mask) ? options.portName?.(value as number) : undefined
      return name ?? plain.format(value, mask, options)
    },
    parse: (scanner, options, depth) => {
      const from = scanner.at
      const port = scanPortName(scanner, options, /[^)]+/y)
      if (port !== undefined) return { value: port, mask: scalar.ones }
      if (!/[ \t+0-9]/.test(scanner.text[from] ?? '')) scanner.fail('a port expected')
      return plain.parse(scanner, options, depth)
    },
  }
}

/** The number of the port whose name comes next; stays where it is when there is none or it looks like a number. */
export function scanPortName(scanner: Scanner, options: ParseOptions, word: RegExp): number | undefined {
  const from = scanner.at
  const name = scanner.match(word)
  const port =
    name === undefined || /^\+?(0x[0-9a-f]+|[0-9]+)$/i.test(name) ? undefined : options.portNumber?.(name)
  if (port === undefined) scanner.at = from
  return port
}

/** OVS takes blanks between the digits of a label, and behind them. */
function labelSpelling(scalar: Scalar<unknown>): Spelling {
  const parse = (scanner: Scanner): unknown => {
    const from = scanner.at
    const text = scanner.match(/0[xX][0-9a-fA-F][0-9a-fA-F \t\r\n]*/y)
    if (text === undefined) return scalar.parse(scanner)
    const value = BigInt(text.replace(/[ \t\r\n]/g, ''))
    if (value <= (scalar.ones as bigint)) return value
    scanner.at = from
    return scanner.fail('more than 128 bits')
  }
  return scalarSpelling({ ...scalar, parse, parseMask: parse })
}

/** OVS prints these two without a value when there is no mask to say that they count. */
function emptySpelling(scalar: Scalar<unknown>): Spelling {
  const plain = scalarSpelling(scalar)
  return {
    ...plain,
    parse: (scanner, options, depth) => {
      if (scanner.text[scanner.at] === ')') return { value: scalar.zero, mask: scalar.zero }
      return plain.parse(scanner, options, depth)
    },
  }
}

const encapSpelling: Spelling = {
  format: (value, mask, { verbose }) => {
    const text = formatKey(value as FlowKey, mask as FlowKey | undefined, { verbose })
    return text === '<empty>' ? '' : text
  },
  parse: (scanner, options, depth) => {
    if (depth + 1 >= deepest) scanner.fail('nested too deep')
    const { key, mask } = scanKey(scanner, options, depth + 1)
    if (scanner.text[scanner.at] !== ')') failField(scanner)
    return { value: key, mask }
  },
  none: () => ({}),
  wild: () => false,
  exact: () => false,
}

// Every attribute is spelled as its codec says, but for these.
const oddAttributes: { readonly [K in keyof FlowKey]?: (codec: Codec<unknown>) => Spelling } = {
  inPort: (codec) => inPortSpelling(codec as Scalar<unknown>),
  ctState: (codec) => flagsSpelling(codec as Scalar<unknown>, ctStateNames, { numbersIfVerbose: true }),
  ctZone: (codec) => emptySpelling(codec as Scalar<unknown>),
  ctMark: (codec) => emptySpelling(codec as Scalar<unknown>),
  ctLabels: (codec) => labelSpelling(codec as Scalar<unknown>),
  ctTuple4: (codec) => structSpelling(codec as Struct<object>, {}, tupleWords('tp_src', 'tp_dst')),
  ctTuple6: (codec) => structSpelling(codec as Struct<object>, {}, tupleWords('src_port', 'dst_port')),
  tunnel: () => tunnelSpelling,
  vlan: () => vlanSpelling,
  encap: () => encapSpelling,
  nsh: () => nshSpelling,
  mpls: () => mplsSpelling,
  ndExtensions: (codec) =>
    structSpelling(
      codec as Struct<object>,
      { reserved: alwaysPart },
      {
        reserved: ['nd_reserved'],
        optionsType: ['nd_options_type'],
      },
    ),
  tcpFlags: (codec) => flagsSpelling(codec as Scalar<unknown>, tcpFlagNames, { numbersIfVerbose: false }),
}

/** OVS prints the ports of a tuple by one name for IPv4 and by another for IPv6, and reads only the first. */
function tupleWords(src: string, dst: string): Record<string, [string, ...string[]]> {
  return {
    src: ['src'],
    dst: ['dst'],
    proto: ['proto'],
    tpSrc: [src, 'tp_src', 'src_port'],
    tpDst: [dst, 'tp_dst', 'dst_port'],
  }
}

/** OVS does not look at the mask of this part. */
function alwaysPart(scalar: Scalar<unknown>): Part {
  return { ...part(scalar), format: (name, value) => `${name}=0x${(value as number).toString(16)}` }
}

const oddParts = { frag: namedPart, label: narrowPart(20) }

/**
 * What is shown of attributes that do not count. That there is an Ethernet header tells a frame from a bare IP packet; what is
 * nested may count in part.
 */
const shownWhenWild: { readonly [K in keyof FlowKey]?: 'name' | 'all' } = {
  tunnel: 'all',
  ethernet: 'name',
  encap: 'all',
  nsh: 'all',
}

function spellingOf({ name, text, codec }: NamedRow): Spelling {
  if (text === undefined) return bytesSpelling(codec)
  const odd = oddAttributes[name as keyof FlowKey]
  if (odd !== undefined) return odd(codec)
  if ('fields' in codec) return structSpelling(codec as Struct<object>, oddParts)
  return scalarSpelling(codec as Scalar<unknown>)
}

const entries: readonly Entry[] = flowKey.rows.map((row) => {
  return { name: row.name, id: row.id, text: row.text ?? `key${row.id}`, spelling: spellingOf(row) }
})
const byText = new Map(entries.map((entry) => [entry.text, entry]))
const unknownSpelling = bytesSpelling(bytes)

/** `key99(…)` for an attribute without a row; also the raw bytes of one that has. */
function unknownEntry(scanner: Scanner, word: string): Entry | undefined {
  const digits = /^key([0-9]+)$/.exec(word)?.[1]
  if (digits === undefined) return undefined
  const id = Number(digits)
  if (id > 0x3fff) scanner.fail(`attribute ${id} is more than ${0x3fff}`)
  const row = flowKey.row(id)
  if (row === undefined) return { name: 'unknown', id, text: word, spelling: unknownSpelling }
  return { name: row.name, id, text: word, spelling: bytesSpelling(row.codec) }
}

interface Attribute {
  readonly name: string
  readonly text: string
  readonly spelling: Spelling
  readonly value: unknown
  /** The mask, undefined when it has nothing about the attribute. */
  readonly bits: unknown
  readonly whenWild?: 'name' | 'all' | undefined
}

/** The attributes of a key with their masks, in the order of the kernel. */
function* attributesOf(key: FlowKey, mask: FlowKey | undefined): Generator<Attribute> {
  for (const { name, text, spelling } of entries) {
    const value = (key as Record<string, unknown>)[name]
    if (value === undefined) continue
    const bits = (mask as Record<string, unknown> | undefined)?.[name]
    yield { name, text, spelling, value, bits, whenWild: shownWhenWild[name as keyof FlowKey] }
  }
  for (const { id, data } of key.unknown ?? []) {
    const bits = findUnknown(mask?.unknown, id)
    yield { name: 'unknown', text: `key${id}`, spelling: unknownSpelling, value: data, bits }
  }
}

/** False when the attribute is there already: the kernel refuses keys that have one twice. */
function add(key: Record<string, unknown>, { name, id }: ParsedAttribute, value: unknown): boolean {
  if (name !== 'unknown') {
    if (name in key) return false
    key[name] = value
    return true
  }
  const list = (key.unknown ?? []) as readonly UnknownAttribute[]
  if (findUnknown(list, id) !== undefined) return false
  key.unknown = [...list, { id, data: value as Uint8Array }]
  return true
}

function failTwice(scanner: Scanner, from: number): never {
  scanner.at = from
  return scanner.fail('given twice')
}
