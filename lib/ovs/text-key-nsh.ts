import type { NshKey } from '../../types/flow.js'
import { type Spelling, scanParts } from './text-attribute.js'

interface NshPart {
  readonly name: string
  readonly of: 'base' | 'md1'
  readonly ones: number
  readonly hex: boolean
}

const part = (of: NshPart['of'], name: string, ones: number, hex = false): NshPart => ({
  name,
  of,
  ones,
  hex,
})

const parts: readonly NshPart[] = [
  part('base', 'flags', 0xff),
  part('base', 'ttl', 0xff),
  part('base', 'mdtype', 0xff),
  part('base', 'np', 0xff),
  part('base', 'spi', 0xffffff, true),
  part('base', 'si', 0xff),
  ...['c1', 'c2', 'c3', 'c4'].map((name) => part('md1', name, 0xffffffff, true)),
]
const wanted = `${parts.map(({ name }) => `'${name}='`).join(' ')} or ')' expected`

/**
 * `flags=0,ttl=63,mdtype=1,np=3,spi=0x1,si=255,c1=0x1,…`. With a mask a part that does not count is not shown, not even by verbose
 * text. A context that the key does not have is shown as zeros that do, because OVS shows it so.
 */
export const nshSpelling: Spelling = {
  format: (value, mask) => {
    const key = value as NshKey
    return parts
      .flatMap(({ name, of, ones, hex }) => {
        const number = numberOf(key, of, name)
        if (mask === undefined) {
          if (of === 'md1' && key.base?.mdtype !== 1) return []
          return `${name}=${plain(number, hex)}`
        }
        const bits = key[of] === undefined ? ones : numberOf(mask as NshKey, of, name)
        if (bits === 0) return []
        if (bits === ones) return `${name}=${plain(number, hex)}`
        const digits = hex ? 8 : 2
        return `${name}=0x${padded(number, hex ? 0 : 2)}/0x${padded(bits, digits)}`
      })
      .join(',')
  },
  // As the kernel sends it: a context in the key of type 1 only, in the mask always.
  parse: (scanner) => {
    const value: Sides = sides()
    const mask: Sides = sides()
    let context = false
    let typed = false
    scanParts(scanner, () => {
      const found = parts.find(({ name }) => scanner.eat(`${name}=`))
      if (found === undefined) return scanner.fail(wanted)
      const { name, of, ones } = found
      if (of === 'md1') context = true
      if (name === 'mdtype') typed = true
      value[of][name] = scanner.integer(ones)
      mask[of][name] = scanner.eat('/') ? scanner.integer(ones) : ones
    })
    if (context && !typed) value.base.mdtype = 1
    const { base, md1 } = value
    if (base.mdtype === 1) return { value, mask }
    // What OVS shows of a context that is not there is not there.
    if (Object.values(md1).every((word) => word === 0))
      return { value: { base }, mask: { ...mask, md1: sides().md1 } }
    return { value, mask }
  },
  none: () => ({}),
  wild: (mask) => parts.every(({ of, name }) => numberOf(mask as NshKey, of, name) === 0),
  exact: (mask, value) =>
    parts.every(({ of, name, ones }) => {
      return (value as NshKey)[of] === undefined || numberOf(mask as NshKey, of, name) === ones
    }),
}

type Sides = { base: Record<string, number>; md1: Record<string, number> }

function sides(): Sides {
  const zeros = (of: NshPart['of']) =>
    Object.fromEntries(parts.filter((part) => part.of === of).map(({ name }) => [name, 0]))
  return { base: zeros('base'), md1: zeros('md1') }
}

function numberOf(key: NshKey, of: NshPart['of'], name: string): number {
  return (key[of] as Record<string, number> | undefined)?.[name] ?? 0
}

function plain(number: number, hex: boolean): string {
  return hex ? `0x${number.toString(16)}` : String(number)
}

function padded(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0')
}
