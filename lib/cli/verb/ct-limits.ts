import { formatLimits, type ZoneLimit } from '../../index.js'
import { parseZones, withConntrack } from '../conntrack.js'
import { CliError } from '../error.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

const MANY = Number.POSITIVE_INFINITY

export const ctSetLimits: Verb = {
  name: 'ct-set-limits',
  usage: '[DP] [default=L] [zone=N,limit=L]...',
  summary: 'let zones have L tracked connections at most, or zones without a limit of their own',
  details: '0 is as many as fit. Connections that are there stay.',
  options: [],
  takes: [1, MANY],
  writes: true,
  run: (call) =>
    withConntrack(call, async (conntrack, words) => {
      const [first, ...others] = words
      if (first === undefined) throw new CliError(`usage: hwacc ct-set-limits ${call.verb.usage}`)
      const isDefault = first.startsWith('default=')
      const zones = (isDefault ? others : words).map(parseLimit)
      await conntrack.setLimits({
        ...(isDefault ? { default: parseNumber(first, first.slice('default='.length), 0xffffffff) } : {}),
        zones,
      })
    }),
}

export const ctDelLimits: Verb = {
  name: 'ct-del-limits',
  usage: '[DP] zone=N1[,N2]...',
  summary: 'let zones have the default limit again',
  options: [],
  takes: [1, 2],
  writes: true,
  run: (call) =>
    withConntrack(call, async (conntrack, words) => {
      await conntrack.delLimits(parseZones(only(words) ?? ''))
    }),
}

export const ctGetLimits: Verb = {
  name: 'ct-get-limits',
  usage: '[DP] [zone=N1[,N2]...]',
  summary: 'print the limits of zones and how many tracked connections they have',
  options: ['json'],
  takes: [0, 2],
  writes: false,
  json: '{ default, zones: [{ zone, limit, count }, …] }',
  run: (call) =>
    withConntrack(call, async (conntrack, words) => {
      const word = only(words)
      const limits = await conntrack.getLimits(word === undefined ? undefined : parseZones(word))
      await call.out.line(call.options.json ? toJson(limits) : formatLimits(limits))
    }),
}

function only([word, ...others]: readonly string[]): string | undefined {
  if (others.length > 0) throw new CliError(`invalid arguments: '${others.join(' ')}'`)
  return word
}

/** `zone=5,limit=10`, in either order. */
function parseLimit(word: string): ZoneLimit {
  const found: { zone?: number; limit?: number } = {}
  for (const part of word.split(',')) {
    const [, key, value = ''] = /^(zone|limit)=(.*)$/.exec(part) ?? []
    if (key === undefined) throw new CliError(`'${word}' is no limit; zone=5,limit=10 is`)
    found[key as keyof typeof found] = parseNumber(part, value, key === 'zone' ? 0xffff : 0xffffffff)
  }
  const { zone, limit } = found
  if (zone === undefined || limit === undefined)
    throw new CliError(`'${word}' is no limit; zone=5,limit=10 is`)
  return { zone, limit }
}

function parseNumber(word: string, text: string, most: number): number {
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= most)) throw new CliError(`'${word}': '${text}' is no number from 0 to ${most}`)
  return value
}
