import type { Bits, CtAction } from '../../types/action.js'
import { hex, u128 } from '../netlink/integers.js'
import type { Scanner } from '../netlink/scanner.js'
import { formatNat, scanNat } from './text-action-nat.js'
import { type ActionSpelling, decimal, hexadecimal, morePart } from './text-action-spelling.js'
import { scalarSpelling } from './text-attribute.js'

/**
 * `ct`, `ct(commit,zone=5,mark=0x1/0xff,nat(src=10.0.0.1))`. Text has no word for the events that are told, and none for a zone of 0,
 * which is the zone of those that name none.
 */
export const ctSpelling: ActionSpelling<CtAction> = {
  format: ({ commit, forceCommit, zone, mark, labels, helper, timeout, nat }) => {
    const parts: string[] = []
    if (commit) parts.push('commit')
    if (forceCommit) parts.push('force_commit')
    if (zone) parts.push(`zone=${zone}`)
    if (mark) parts.push(`mark=${hex(mark.value ?? 0)}/${hex(mark.mask ?? 0)}`)
    if (labels) parts.push(`label=${label.format(labels.value ?? 0n, labels.mask ?? 0n, {})}`)
    if (helper !== undefined) parts.push(`helper=${helper}`)
    if (timeout !== undefined) parts.push(`timeout=${timeout}`)
    if (nat) parts.push(formatNat(nat))
    return parts.length === 0 ? 'ct' : `ct(${parts.join(',')})`
  },
  parse: (scanner) => {
    if (scanner.eat('ct(')) {
      const ct = scanParts(scanner)
      scanner.expect(')')
      return { ct }
    }
    return scanner.match(/ct(?![a-zA-Z0-9_])/y) ? { ct: {} } : undefined
  },
}

const label = scalarSpelling(u128 as never)

function scanParts(scanner: Scanner): CtAction {
  const ct: { -readonly [K in keyof CtAction]: CtAction[K] } = {}
  while (morePart(scanner)) {
    const from = scanner.at
    if (scanner.eat('commit')) ct.commit = true
    else if (scanner.eat('force_commit')) ct.forceCommit = true
    else if (scanner.eat('zone=')) ct.zone = decimal(scanner, 0xffff)
    else if (scanner.eat('mark=')) ct.mark = scanMark(scanner)
    else if (scanner.eat('label=')) ct.labels = scanLabel(scanner)
    else if (scanner.eat('helper=')) ct.helper = scanName(scanner, 15)
    else if (scanner.eat('timeout=')) ct.timeout = scanName(scanner, 31)
    else if (scanner.eat('nat')) ct.nat = scanNat(scanner)
    else
      scanner.fail(
        "'commit' 'force_commit' 'zone=' 'mark=' 'label=' 'helper=' 'timeout=' 'nat' or ')' expected",
      )
    if (ct.commit && ct.forceCommit) {
      scanner.at = from
      scanner.fail('either commit or force_commit expected')
    }
  }
  // As in OVS: what changes nothing is not said.
  if (ct.zone === 0) delete ct.zone
  if (ct.mark?.mask === 0) delete ct.mark
  if (ct.labels?.mask === 0n) delete ct.labels
  return ct
}

function scanMark(scanner: Scanner): Bits<number> {
  const value = hexadecimal(scanner, 0xffffffff)
  return { value, mask: scanner.eat('/') ? hexadecimal(scanner, 0xffffffff) : 0xffffffff }
}

function scanLabel(scanner: Scanner): Bits<bigint> {
  return { value: scanWide(scanner), mask: scanner.eat('/') ? scanWide(scanner) : u128.ones }
}

// OVS takes blanks between the digits.
function scanWide(scanner: Scanner): bigint {
  const from = scanner.at
  const text = scanner.match(/0[xX][0-9a-fA-F][0-9a-fA-F \t\r\n]*/y)
  if (text === undefined) return scanner.wide(u128.ones)
  const value = BigInt(text.replace(/[ \t\r\n]/g, ''))
  if (value <= u128.ones) return value
  scanner.at = from
  return scanner.fail('more than 128 bits')
}

function scanName(scanner: Scanner, most: number): string {
  const from = scanner.at
  const name = scanner.match(/[^, \t\r\n)]+/y)
  if (name === undefined) return scanner.fail('a name expected')
  if (Buffer.byteLength(name) <= most) return name
  scanner.at = from
  return scanner.fail(`a name of at most ${most} characters expected`)
}
