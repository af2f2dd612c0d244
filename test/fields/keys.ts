import type { Codec } from '../../lib/netlink/codec.js'
import type { Struct } from '../../lib/netlink/struct.js'
import { AttributeSet, type NamedRow, type StructArray } from '../../lib/netlink/table.js'
import { formatKey } from '../../lib/ovs/text-key.js'
import { features } from '../../lib/tc/features.js'
import { MAX_TAGS } from '../../lib/tc/match.js'
import { code, kernelName, typeOf } from './cell.js'
import { oddMasks, type PartOf, type Probe, probesOf, settable, tcMatch, withField } from './probe.js'

/** The line of an attribute of a key, and those of its parts. */
export function keyLines(row: NamedRow): string[][] {
  const { name, codec, doc, since = '', text } = row
  const line = [code(name), doc, kernelName(row), typeOf(codec)]
  const parts = partsOf(codec)
  if (parts === undefined) {
    const shown = text === undefined ? '' : textOf(name, undefined, probesOf(name, codec))
    return [
      [...line, code(shown), maskOf(name, codec), since, tcMatch(name, undefined, codec), ...settable(name)],
    ]
  }
  const shown = name === 'encap' ? code('encap(eth_type(0x0800))') : ''
  const head = [...line, shown, oddMasks[name] ?? 'by part', since, depths[name] ?? '', '', '']
  return [head, ...parts.map((part) => partLine(name, part))]
}

function partLine(attribute: string, part: PartOf): string[] {
  const { name, codec } = part
  const path = `${attribute}.${name}`
  const known = 'uapi' in part ? (part as PartOf & NamedRow) : undefined
  const line = [code(path), known?.doc ?? '', known === undefined ? '' : kernelName(known), typeOf(codec)]
  const since = known?.since ?? ''
  if (isDivided(codec)) return [...line, '', 'by part', since, '', '', '']
  const shown = textOf(attribute, name, probesOf(path, codec))
  return [
    ...line,
    code(shown),
    maskOf(path, codec, attribute),
    since,
    tcMatch(attribute, name, codec),
    ...settable(attribute, part),
  ]
}

const isDivided = (codec: Codec<unknown>): boolean => codec instanceof AttributeSet || 'fields' in codec

/** How much of what comes more than once TC looks through. */
const depths: Readonly<Record<string, string>> = {
  encap: `up to ${MAX_TAGS} tags`,
  mpls: `more than one label from Linux ${features.mplsOpts.since}`,
}

/** The parts a mask can tell apart. Attributes within the attribute have a number of their own. */
function partsOf(codec: Codec<unknown>): readonly PartOf[] | undefined {
  const fields = (struct: Struct<object>) =>
    struct.fields.map(({ name, scalar }) => ({ name, codec: scalar }))
  if (codec instanceof AttributeSet) {
    return codec.rows.flatMap((row): PartOf[] => {
      const inner = isDivided(row.codec) ? (partsOf(row.codec) ?? []) : []
      return [row, ...inner.map((one) => ({ ...one, name: `${row.name}.${one.name}` }))]
    })
  }
  if ('target' in codec) return []
  if ('struct' in codec) return fields((codec as StructArray<object>).struct)
  if ('fields' in codec) return fields(codec as Struct<object>)
  return undefined
}

function maskOf(path: string, codec: Codec<unknown>, attribute = path): string {
  const odd = oddMasks[path] ?? oddMasks[attribute]
  if (odd !== undefined) return odd
  if (codec.size === 0) return 'there'
  return 'bits'
}

/** The field as text shows it: alone and exact. */
function textOf(attribute: string, part: string | undefined, probes: readonly Probe[]): string {
  const [probe] = probes
  if (probe === undefined || probe.value === undefined) return ''
  if (attribute === 'nsh' && part === 'md2') return ''
  const none = attribute === 'nsh' ? { nsh: { base: {}, md1: {} } } : {}
  const { key, mask } = withField({ key: none, mask: none }, attribute, part, probe)
  return formatKey(key, mask)
    .replace(/^eth\(\),?/, '')
    .replace(/,eth_type\(0\/0x0000\)$/, '')
}
