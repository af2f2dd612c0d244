import type { Meter, MeterBand, MeterSpec, MeterUnit } from '../index.js'
import { CliError } from './error.js'

/** `meter=1,kbps,burst,bands=type=drop,rate=1000,burst_size=100`, as ovs-ofctl takes it. */
export function parseMeter(text: string): MeterSpec {
  const [head = '', tail] = text.split(/\bbands?=/)
  let id: number | undefined
  let unit: MeterUnit = 'kbps'
  for (const word of head.split(/[, ]+/).filter((word) => word !== '')) {
    const [, key = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(word) ?? []
    if (key === 'meter') id = parseNumber(word, value)
    else if (word === 'kbps' || word === 'pktps') unit = word
    // Bursts are said by burst_size, and counters are always there.
    else if (word !== 'burst' && word !== 'stats')
      throw new CliError(
        `'${word}' is nothing of a meter; there are meter=N, kbps, pktps, burst, stats and bands=`,
      )
  }
  if (id === undefined) throw new CliError(`'${text}': meter=N is missing`)
  if (tail === undefined) throw new CliError(`'${text}': bands=type=drop,rate=N is missing`)
  return { id, unit, bands: parseBands(tail) }
}

function parseBands(text: string): MeterBand[] {
  const bands: { type: 'drop'; rate?: number; burst?: number }[] = []
  for (const word of text.split(/[, ]+/).filter((word) => word !== '')) {
    const [, key = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(word) ?? []
    if (key === 'type') {
      if (value !== 'drop') throw new CliError(`'${value}' is no type of band; there is drop`)
      bands.push({ type: 'drop' })
      continue
    }
    const band = bands.at(-1)
    if (band === undefined) throw new CliError(`'${word}': a band begins with type=drop`)
    if (key === 'rate') band.rate = parseNumber(word, value)
    else if (key === 'burst_size') band.burst = parseNumber(word, value)
    else throw new CliError(`'${word}' is nothing of a band; there are type=, rate= and burst_size=`)
  }
  return bands.map(({ type, rate, burst }) => {
    if (rate === undefined) throw new CliError(`'${text}': a band has a rate=`)
    return { type, rate, ...(burst === undefined ? {} : { burst }) }
  })
}

/** `meter=N`, or a number alone. */
export function parseMeterId(text: string): number {
  return parseNumber(text, text.replace(/^meter=/, ''))
}

function parseNumber(word: string, text: string): number {
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= 0xffffffff)) throw new CliError(`'${word}': '${text}' is no number from 0 to 4294967295`)
  return value
}

/** As `ovs-ofctl dump-meters` prints them; what openvswitch does not tell is left out. With counters, as `meter-stats` does. */
export function* meterLines({ id, unit, bands, stats }: Meter, counters: boolean): Generator<string> {
  const burst = bands.some((band) => band.burst) ? ' burst' : ''
  yield `meter=${id}${unit === undefined ? '' : ` ${unit}`}${burst} stats bands=`
  for (const { type = 'drop', rate, burst } of bands) {
    const size = burst ? ` burst_size=${burst}` : ''
    yield `type=${type}${rate === undefined ? '' : ` rate=${rate}`}${size}`
  }
  if (!counters) return
  yield `meter:${id} packet_in_count:${stats.packets} byte_in_count:${stats.bytes} bands:`
  for (const [index, band] of bands.entries())
    yield `${index}: packet_count:${band.stats.packets} byte_count:${band.stats.bytes}`
}
