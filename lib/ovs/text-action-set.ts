import type { SetMasked } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'
import type { ActionSpelling } from './text-action-spelling.js'
import { failField, formatHeader, keyOf, scanAttribute } from './text-key.js'

/** `set(ipv4(ttl=63))`: a header of which all parts are named is written as a whole, any other in part. */
export const setSpelling: ActionSpelling<FlowKey> = {
  format: (key) => `set(${formatHeader(key)})`,
  parse: (scanner, context) => {
    if (!scanner.eat('set(')) return undefined
    const from = scanner.at
    const header = scanAttribute(scanner, context) ?? failField(scanner)
    scanner.expect(')')
    const key = keyOf(header, header.value)
    if (header.exact) return { set: key }
    if (header.name === 'tunnel') {
      scanner.at = from
      scanner.fail('a tunnel without masks, which is set as a whole, expected')
    }
    return { setMasked: { key, mask: keyOf(header, header.mask) } }
  },
}

export const setMaskedSpelling: ActionSpelling<SetMasked> = {
  format: ({ key, mask }) => `set(${formatHeader(key, mask)})`,
}
