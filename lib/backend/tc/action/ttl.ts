import type { DecTtl } from '../../../../types/action.js'
import { ADD, headerTypes, type PeditKey } from '../../../tc/action/pedit.js'
import { isFound } from './headers.js'
import type { Translate } from './translation.js'

/** Adds 255 to the one byte that is the TTL; what is carried falls under the mask. */
const decrements: Readonly<Record<'ipv4' | 'ipv6', PeditKey>> = {
  ipv4: { header: headerTypes.IP4 + ADD, offset: 8, mask: 0x00ffffff, value: 0xff000000 },
  ipv6: { header: headerTypes.IP6 + ADD, offset: 4, mask: 0xffffff00, value: 0x000000ff },
}

/** pedit takes 1 off every TTL, so none may be there that must not be decremented. */
export const translateDecTtl: Translate<DecTtl> = ({ action = [], unknown }, translation, { path }) => {
  const { packet, inner } = translation
  const name = inner.key.ipv6 === undefined ? 'ipv4' : 'ipv6'
  if (unknown !== undefined)
    translation.refuse(`${path}.unknown`, 'NO_TC_ACTION', 'an attribute nobody knows')
  if (packet.ttl <= 1) {
    const part = name === 'ipv4' ? 'ttl' : 'hlimit'
    const problem = `pedit would decrement a TTL of 1 and of 0 too; match ${name}.${part} so that it is at least 2`
    translation.refuse(path, 'UNPROVEN', problem)
  }
  if (action.length > 0) {
    const problem =
      'what is done at a TTL of 1 never happens here, and TC has no place to keep it; leave it empty'
    translation.refuse(`${path}.action`, 'LOST_VALUE', problem)
  }
  packet.ttl--
  const word = decrements[name]
  if (isFound(word, translation, path)) translation.rewrite([word])
}

/** Whether words are those of {@link translateDecTtl}. */
export function isDecrement(keys: readonly PeditKey[]): boolean {
  const [key] = keys
  if (key === undefined || keys.length !== 1 || key.indirect) return false
  return Object.values(decrements).some(
    ({ header, offset, mask, value }) =>
      key.header === header && key.offset === offset && key.mask === mask && key.value === value,
  )
}
