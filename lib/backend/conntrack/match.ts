import { isIPv4, isIPv6 } from 'node:net'
import type { Connection, ConnectionMatch, ConnectionTuple } from '../../../types/conntrack.js'
import { ipv4, ipv6 } from '../../netlink/addresses.js'

type Part = Partial<ConnectionTuple>

/** A match, read: addresses as the kernel's are spelled. */
export interface ReadMatch {
  readonly zone: number | undefined
  readonly original: Part
  readonly reply: Part
}

/** Throws a TypeError or a RangeError on what is no match. */
export function readMatch({ zone, original = {}, reply = {} }: ConnectionMatch): ReadMatch {
  if (zone !== undefined) checkZone(zone)
  return { zone, original: readTuple('original', original), reply: readTuple('reply', reply) }
}

export function checkZone(zone: number): void {
  checkNumber('zone', zone, 0xffff)
}

export function checkNumber(path: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most)
    throw new RangeError(`${path} ${value}: a whole number from 0 to ${most} is needed`)
}

/** Whether a match says nothing. */
export const isEmpty = (part: Part): boolean => Object.keys(part).length === 0

/** Whether all that a match says is so of a connection. */
export function fits({ zone, original, reply }: ReadMatch, connection: Connection): boolean {
  if (zone !== undefined && zone !== connection.zone) return false
  return fitsTuple(original, connection.original) && fitsTuple(reply, connection.reply)
}

const fitsTuple = (part: Part, tuple: ConnectionTuple): boolean =>
  Object.entries(part).every(([name, value]) => tuple[name as keyof ConnectionTuple] === value)

const largest: Readonly<Record<Exclude<keyof ConnectionTuple, 'src' | 'dst'>, number>> = {
  proto: 0xff,
  srcPort: 0xffff,
  dstPort: 0xffff,
  icmpId: 0xffff,
  icmpType: 0xff,
  icmpCode: 0xff,
}

function readTuple(path: string, tuple: Part): Part {
  const read: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(tuple)) {
    if (value === undefined) continue
    if (name === 'src' || name === 'dst') read[name] = readAddress(`${path}.${name}`, value)
    else if (Object.hasOwn(largest, name)) {
      checkNumber(`${path}.${name}`, value as number, largest[name as keyof typeof largest])
      read[name] = value
    } else throw new TypeError(`${path}.${name}: there are src, dst, ${Object.keys(largest).join(', ')}`)
  }
  const { src, dst } = read as Part
  if (src !== undefined && dst !== undefined && src.includes(':') !== dst.includes(':'))
    throw new TypeError(`${path}: '${src}' and '${dst}' are addresses of two versions`)
  return read as Part
}

function readAddress(path: string, text: unknown): string {
  if (typeof text === 'string' && isIPv4(text)) return ipv4.format(text)
  if (typeof text === 'string' && isIPv6(text)) return ipv6.format(text)
  throw new TypeError(`${path} '${text}' is no address`)
}
