import { be32 } from '../../netlink/integers.js'
import {
  ADD,
  headerTypes,
  type PeditField,
  peditFields,
  type PeditKey,
  peditKeys,
  type PeditOptions,
} from '../action/pedit.js'
import { hexOf, type Phrase } from './phrase.js'

/*
 * Rewrites in the words of `tc`, iproute2 6.1 (tc/m_pedit.c). It names fields, and writes the words of a field all at once; only
 * fields within one word can be written in part.
 */

/** What `tc` calls a field. */
// biome-ignore format: one row per line
const fieldNames: Readonly<Record<string, string>> = {
  'ipv4.src': 'ip src', 'ipv4.dst': 'ip dst', 'ipv4.ttl': 'ip ttl', 'ipv4.tos': 'ip tos',
  'ipv6.src': 'ip6 src', 'ipv6.dst': 'ip6 dst', 'ipv6.hlimit': 'ip6 hoplimit', 'ipv6.tclass': 'ip6 traffic_class', 'ipv6.label': 'ip6 flow_lbl',
  'ethernet.src': 'eth src', 'ethernet.dst': 'eth dst', etherType: 'eth type',
  'tcp.src': 'tcp sport', 'tcp.dst': 'tcp dport', 'udp.src': 'udp sport', 'udp.dst': 'udp dport',
}

/** The field's name in `tc`, the words it takes when all of it is written, and how far it is from the right of the only word. */
interface TextField {
  readonly field: PeditField
  readonly name: string
  readonly words: readonly PeditKey[]
  readonly shift: number
}

const textFields: readonly TextField[] = peditFields.map((field) => {
  const { attribute, part, codec } = field
  const words = peditKeys(field, codec.zero, codec.ones)
  const bits = ~(words[0]?.mask ?? 0) >>> 0
  const name = fieldNames[part === undefined ? attribute : `${attribute}.${part}`] ?? ''
  return { field, name, words, shift: 31 - Math.clz32(bits & -bits) }
})

/** Whether a key is this word of a field, and is used as the first one of the field is: added or put in. */
const isAt = (key: PeditKey | undefined, word: PeditKey, first: PeditKey): boolean =>
  key !== undefined &&
  key.offset === word.offset &&
  key.indirect === undefined &&
  (key.header & 0xffff) === word.header &&
  key.header === first.header

/** Says the words from `at` on that are one field; how many they are, 0 when `tc` has no field for the first one. */
function sayField(keys: readonly PeditKey[], at: number, phrase: Phrase): number {
  const key = keys[at] as PeditKey
  const verb = key.header >= ADD ? 'add' : 'set'
  for (const { field, name, words, shift } of textFields) {
    if (!words.every((word, index) => isAt(keys[at + index], word, key))) continue
    if (words.length === 1) {
      const own = ~(words[0]?.mask ?? 0)
      const bits = ~key.mask
      if (bits & ~own) continue
      phrase.say('munge', name, verb, valueOf(field, key.value, shift))
      // What `tc` writes of a label unless it is told is a bit short.
      if (bits !== own || field.part === 'label') phrase.say('retain', hexOf(bits >>> shift))
      return 1
    }
    if (verb === 'add' || !words.every((word, index) => keys[at + index]?.mask === word.mask)) continue
    const bytes = new Uint8Array(words.length * 4)
    words.forEach((_, index) => be32.put(bytes, index * 4, keys[at + index]?.value ?? 0))
    phrase.say('munge', name, 'set', String(field.codec.take(bytes, field.offset & 3)))
    return words.length
  }
  return 0
}

/** Addresses as such, so that they can be read; other values are numbers. */
function valueOf({ codec }: PeditField, value: number, shift: number): string {
  if (typeof codec.zero === 'number') return hexOf(value >>> shift)
  const bytes = new Uint8Array(4)
  be32.put(bytes, 0, value)
  return String(codec.take(bytes, 0))
}

/** Says every word of a rewrite. */
export function sayPedit({ parms, headers = [] }: PeditOptions, phrase: Phrase): void {
  const keys = (parms?.keys ?? []).map((key, index) => ({ ...key, header: headers[index] ?? 0 }))
  phrase.say('ex')
  for (let at = 0; at < keys.length; ) {
    const count = sayField(keys, at, phrase)
    const { header, offset, mask, value } = keys[at] as PeditKey
    if (count === 0) {
      const name = Object.entries(headerTypes).find(([, type]) => type === (header & 0xffff))?.[0] ?? header
      const what = 'part of a field that is longer, or no field'
      phrase.lack(`pedit ${name} +${offset} ${hexOf(value)}/${hexOf(~mask >>> 0)}: ${what}`)
    }
    at += Math.max(count, 1)
  }
}
