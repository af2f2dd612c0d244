import type { Action, CheckPktLen, DecTtl, HashAction, Psample, SampleAction } from '../../types/action.js'
import type { Scanner } from '../netlink/scanner.js'
import { type ActionSpelling, formatLong, scanLong } from './text-action-spelling.js'

const ALL = 0xffffffff

/** `sample(sample=50.0%,actions(1))`. One decimal place is what OVS shows; more are read. */
export const sampleSpelling: ActionSpelling<SampleAction> = {
  format: ({ probability, actions }, { list }) => {
    if (probability === undefined || actions === undefined) return 'sample(error)'
    return `sample(sample=${((100 * probability) / ALL).toFixed(1)}%,actions(${list(actions)}))`
  },
  parse: (scanner, { list }) => {
    if (!scanner.eat('sample(')) return undefined
    scanner.expect('sample=')
    const probability = Math.floor((ALL * scanPercentage(scanner)) / 100 + 0.5)
    scanner.expect('%,actions(')
    const actions = list(scanner)
    scanner.expect('))')
    return { sample: { probability, actions } }
  },
}

export const cloneSpelling: ActionSpelling<readonly Action[]> = {
  format: (actions, { list }) => `clone(${list(actions)})`,
  parse: (scanner, { list }) => {
    if (!scanner.eat('clone(')) return undefined
    const clone = list(scanner)
    scanner.expect(')')
    return { clone }
  },
}

/** `check_pkt_len(size=1500,gt(drop),le(2))`. */
export const checkPktLenSpelling: ActionSpelling<CheckPktLen> = {
  format: ({ size, greater, lessEqual }, { list }) => {
    if (size === undefined || greater === undefined || lessEqual === undefined) return 'check_pkt_len(error)'
    return `check_pkt_len(size=${size},gt(${list(greater)}),le(${list(lessEqual)}))`
  },
  parse: (scanner, { list }) => {
    if (!scanner.eat('check_pkt_len(')) return undefined
    scanner.expect('size=')
    const size = scanner.integer(0xffff)
    scanner.expect(',gt(')
    const greater = list(scanner)
    scanner.expect('),le(')
    const lessEqual = list(scanner)
    scanner.expect('))')
    return { checkPktLen: { size, greater, lessEqual } }
  },
}

/** `dec_ttl(le_1(drop))`. OVS prints this and does not read it. */
export const decTtlSpelling: ActionSpelling<DecTtl> = {
  format: ({ action = [] }, { list }) => `dec_ttl(le_1(${list(action)}))`,
  parse: (scanner, { list }) => {
    if (!scanner.eat('dec_ttl(')) return undefined
    scanner.expect('le_1(')
    const action = list(scanner)
    scanner.expect('))')
    return { decTtl: { action } }
  },
}

/** `hash(l4(0))`. OVS prints this and does not read it. */
export const hashSpelling: ActionSpelling<HashAction> = {
  format: ({ alg = 0, basis = 0 }) => {
    const name = algorithms[alg]
    return name === undefined ? `hash(Unknown hash algorithm(${alg}))` : `hash(${name}(${basis}))`
  },
  parse: (scanner) => {
    if (!scanner.eat('hash(')) return undefined
    let hash: HashAction
    if (scanner.eat('Unknown hash algorithm(')) hash = { alg: scanner.integer(ALL), basis: 0 }
    else {
      const alg = algorithms.findIndex((name) => scanner.eat(`${name}(`))
      if (alg < 0) scanner.fail(`one of ${algorithms.join(' ')} expected`)
      hash = { alg, basis: scanner.integer(ALL) }
    }
    scanner.expect('))')
    return { hash }
  },
}

const algorithms = ['l4', 'sym_l4']

/** `psample(group=1,cookie=0x102)`. A cookie that begins with zeros loses them, as in OVS. */
export const psampleSpelling: ActionSpelling<Psample> = {
  format: ({ group, cookie }) => {
    if (group === undefined) return 'psample(error)'
    return `psample(group=${group}${cookie === undefined ? '' : `,cookie=${formatLong(cookie)}`})`
  },
  parse: (scanner) => {
    if (!scanner.eat('psample(')) return undefined
    scanner.expect('group=')
    const group = scanner.integer(ALL)
    const cookie = scanner.eat(',cookie=') ? scanLong(scanner, 1, 16) : undefined
    scanner.expect(')')
    return { psample: cookie === undefined ? { group } : { group, cookie } }
  },
}

function scanPercentage(scanner: Scanner): number {
  const from = scanner.at
  const digits = scanner.match(/[ \t\r\n]*\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/y)
  const percentage = digits === undefined ? Number.NaN : Number(digits)
  if (percentage <= 100) return percentage
  scanner.at = from
  return scanner.fail('a percentage from 0 to 100 expected')
}
