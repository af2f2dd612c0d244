import type { MplsKey } from '../../types/flow.js'
import { MPLS_DEPTH } from './mpls.js'
import { type Spelling, scanParts } from './text-attribute.js'

const parts = [
  { name: 'label', ones: 0xfffff, prefix: '0x' },
  { name: 'tc', ones: 7, prefix: '' },
  { name: 'ttl', ones: 0xff, prefix: '0x' },
  { name: 'bos', ones: 1, prefix: '' },
] as const

type Entry = Record<string, number>

/**
 * `label=100,tc=3,ttl=64,bos=1`, one entry behind the other: a part that was there already begins the next one. Once anything does
 * not count, every mask is shown. Where key and mask differ in length OVS prints an error; here what the mask lacks does not count.
 */
export const mplsSpelling: Spelling = {
  format: (value, mask) => {
    const entries = value as readonly MplsKey[]
    const masks = mask === undefined || isExact(mask) ? undefined : (mask as readonly MplsKey[])
    return entries
      .flatMap((entry, index) =>
        parts.map(({ name, prefix }) => {
          const bits = masks && `/${prefix}${(masks[index]?.[name] ?? 0).toString(16)}`
          return `${name}=${entry[name] ?? 0}${bits ?? ''}`
        }),
      )
      .join(',')
  },
  parse: (scanner) => {
    const value: Entry[] = [zero()]
    const mask: Entry[] = [zero()]
    let seen = new Set<string>()
    scanParts(scanner, () => {
      const from = scanner.at
      const found = parts.find(({ name }) => scanner.eat(`${name}=`))
      if (found === undefined) return scanner.fail("'label=' 'tc=' 'ttl=' 'bos=' or ')' expected")
      if (seen.has(found.name)) {
        if (value.length === MPLS_DEPTH) {
          scanner.at = from
          scanner.fail(`more than ${MPLS_DEPTH} labels`)
        }
        value.push(zero())
        mask.push(zero())
        seen = new Set()
      }
      seen.add(found.name)
      const last = value.length - 1
      Object.assign(value[last] as Entry, { [found.name]: scanner.integer(found.ones) })
      Object.assign(mask[last] as Entry, {
        [found.name]: scanner.eat('/') ? scanner.integer(found.ones) : found.ones,
      })
    })
    return { value, mask }
  },
  none: (value) => (value as readonly MplsKey[]).map(zero),
  wild: (mask) => (mask as readonly MplsKey[]).every((entry) => parts.every(({ name }) => !entry[name])),
  exact: isExact,
}

function isExact(mask: unknown): boolean {
  return (mask as readonly MplsKey[]).every((entry) => parts.every(({ name, ones }) => entry[name] === ones))
}

function zero(): Entry {
  return { label: 0, tc: 0, ttl: 0, bos: 0 }
}
