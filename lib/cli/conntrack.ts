import { CliError } from './error.js'
import { withDatapath } from './flows.js'
import type { Conntrack } from '../index.js'
import type { Call } from './verb.js'

/**
 * The connections a call is about. They are the network namespace's, but ovs-dpctl asks for a datapath, and so do its scripts; words
 * that begin with `KEY=` are never one.
 */
export async function withConntrack(
  call: Call,
  work: (conntrack: Conntrack, rest: readonly string[]) => Promise<void>,
): Promise<void> {
  const [first, ...others] = call.args
  const isKey = (word: string) => /^[a-z0-9_]+=|^verbose$|^$/.test(word)
  const datapath = first === undefined || isKey(first) ? [] : [first]
  const rest = datapath.length > 0 ? others : call.args
  // Where nothing can be left out, a first word that is no datapath is an error.
  const verb = { ...call.verb, takes: [0, 1] as const }
  await withDatapath({ ...call, verb, args: datapath }, (dpif) => work(dpif.conntrack, rest))
}

/** `zone=N`. */
export function parseZone(word: string): number {
  const zone = Number(/^zone=([0-9]{1,5})$/.exec(word)?.[1] ?? Number.NaN)
  if (!(zone <= 0xffff)) throw new CliError(`'${word}' is no zone; zone=0 to zone=65535 are`)
  return zone
}

/** `zone=N1,N2`. */
export function parseZones(word: string): number[] {
  const list = /^zone=([0-9]{1,5}(?:,[0-9]{1,5})*)$/.exec(word)?.[1]
  if (list === undefined) throw new CliError(`'${word}' is no list of zones; zone=1,2 is`)
  return list.split(',').map((zone) => parseZone(`zone=${zone}`))
}

/** Splits `zone=N` from other words; more of one kind than there can be is an error. */
export function splitZone(words: readonly string[], others: number) {
  const zones = words.filter((word) => word.startsWith('zone='))
  const rest = words.filter((word) => !word.startsWith('zone='))
  const [zone] = zones
  if (zones.length > 1) throw new CliError(`one zone, not '${zones.join(' ')}'`)
  if (rest.length > others) throw new CliError(`invalid arguments: '${rest.slice(others).join(' ')}'`)
  return { ...(zone === undefined ? {} : { zone: parseZone(zone) }), rest }
}
