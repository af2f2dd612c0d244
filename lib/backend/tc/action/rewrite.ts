import type { Action, SetMasked } from '../../../../types/action.js'
import type { FlowKey } from '../../../../types/flow.js'
import {
  fieldFrom,
  isKnownWord,
  type PeditField,
  type PeditKey,
  peditFields,
  peditKeys,
} from '../../../tc/action/pedit.js'
import { isFound } from './headers.js'
import { translateMark, translatePriority } from './metadata.js'
import { translateSetMpls } from './mpls.js'
import type { Read } from './reading.js'
import { isDecrement } from './ttl.js'
import type { Place, Translate, Translation } from './translation.js'
import { translateSetTunnel } from './tunnel.js'

/** One header that is written; without a mask, the whole of it. */
export interface Rewrite {
  readonly value: unknown
  readonly bits?: unknown
}

/** What is not written with pedit. */
const others: { readonly [K in keyof FlowKey]?: Translate<Rewrite> } = {
  tunnel: translateSetTunnel,
  mpls: translateSetMpls,
  skbMark: translateMark,
  skbPriority: translatePriority,
}

export const translateSet: Translate<FlowKey> = (key, translation, place) => {
  const [attribute = '?', value] = Object.entries(key)[0] ?? []
  translate(attribute, { value }, translation, place)
}

export const translateSetMasked: Translate<SetMasked> = ({ key, mask }, translation, place) => {
  const [attribute = '?', value] = Object.entries(key)[0] ?? []
  const bits = (mask as Record<string, unknown>)[attribute]
  if (bits !== undefined) translate(attribute, { value, bits }, translation, place)
  else
    translation.refuse(
      `${place.path}.${attribute}`,
      'KERNEL_RULE',
      'the mask does not have what the key sets',
    )
}

function translate(attribute: string, rewrite: Rewrite, translation: Translation, place: Place): void {
  const path = `${place.path}.${attribute}`
  const other = others[attribute as keyof FlowKey]
  if (other !== undefined) other(rewrite, translation, { ...place, path })
  else translateFields(attribute, rewrite, translation, path)
}

const byAttribute = new Map<string, PeditField[]>()
for (const field of peditFields) {
  byAttribute.set(field.attribute, [...(byAttribute.get(field.attribute) ?? []), field])
}

function translateFields(attribute: string, rewrite: Rewrite, translation: Translation, path: string): void {
  const fields = byAttribute.get(attribute)
  if (fields === undefined || attribute === 'etherType') {
    translation.refuse(path, 'NO_TC_ACTION', refusals[attribute] ?? 'TC cannot rewrite it here')
    return
  }
  const { value, bits } = rewrite
  const rest = new Map(Object.entries(value as object))
  const keys: PeditKey[] = []
  for (const field of fields) {
    const part = field.part ?? ''
    const mask = bits === undefined ? field.codec.ones : (partOf(bits, part) ?? field.codec.zero)
    const wanted = rest.get(part) ?? field.codec.zero
    keys.push(...peditKeys(field, wanted, mask))
    if (part === 'ttl' || part === 'hlimit') noteTtl(translation, wanted as number, mask as number)
    rest.delete(part)
  }
  for (const [part, wanted] of rest) {
    // Parts without a field may be written only when writing them changes nothing.
    const same = bits === undefined ? isMatched(translation, attribute, part, wanted) : !partOf(bits, part)
    if (!same) translation.refuse(`${path}.${part}`, 'NO_TC_ACTION', 'TC cannot rewrite it')
  }
  if (keys.length === 0 || !isFound(keys[0] as PeditKey, translation, path)) return
  translation.rewrite(keys)
}

const refusals: Readonly<Record<string, string>> = {
  sctp: 'pedit finds the headers of TCP and UDP only',
  ctMark: 'write it with ct(commit,mark=…)',
  ctLabels: 'write it with ct(commit,label=…)',
}

function noteTtl({ packet }: Translation, value: number, mask: number): void {
  if (mask !== 0) packet.ttl = value & mask
}

const partOf = (value: unknown, part: string): unknown =>
  (value as Record<string, unknown> | undefined)?.[part]

function isMatched({ inner }: Translation, attribute: string, part: string, value: unknown): boolean {
  const held = partOf((inner.key as Record<string, unknown>)[attribute], part) ?? 0
  const bits = partOf((inner.mask as Record<string, unknown>)[attribute], part)
  return bits === 0xff && held === (value ?? 0)
}

export const readPedit: Read<'pedit'> = ({ options }) => {
  const { parms, headers = [] } = options
  const keys = (parms?.keys ?? []).map((word, index) => ({ ...word, header: headers[index] ?? 0 }))
  if (isDecrement(keys)) return [{ decTtl: { action: [] } }]
  if (!keys.every(isKnownWord)) return undefined
  const actions: Action[] = []
  for (const [attribute, fields] of byAttribute) {
    const written = fields.map((field) => fieldFrom(field, keys))
    if (attribute === 'etherType') {
      if (written[0] !== undefined) return undefined
      continue
    }
    if (written.every((part) => part === undefined)) continue
    const parts = (which: 'value' | 'mask') =>
      Object.fromEntries(fields.map(({ part = '', codec }, at) => [part, written[at]?.[which] ?? codec.zero]))
    actions.push({
      setMasked: { key: { [attribute]: parts('value') }, mask: { [attribute]: parts('mask') } },
    })
  }
  return actions
}
