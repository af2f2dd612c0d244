import { CliError, fromInput } from '../error.js'
import { withDatapath } from '../flows.js'
import { failureJson, toJson } from '../json.js'
import { meterLines, parseMeter, parseMeterId } from '../meters.js'
import type { Dpif, Meter } from '../../index.js'
import { DpifError } from '../../index.js'
import type { Call, Verb } from '../verb.js'

// Verbs and text of ovs-ofctl: ovs-dpctl has none for meters.

const meterDetails = `METER is meter=N[,kbps|pktps],bands=type=drop,rate=R[,burst_size=B], in kilobits or packets; one band. It is a meter of
openvswitch and, where it can be, a police in TC; -v says why it is not.`
const meterShape = `{ id, unit?, bands: [{ type?, rate?, burst?, stats: { packets, bytes } }, …], stats: { packets, bytes }, used (ms on
  CLOCK_MONOTONIC), police?, declined?: FAILURE }`

export const addMeter: Verb = {
  name: 'add-meter',
  usage: '[DP] METER',
  summary: 'make a meter for the action meter(N) to name',
  details: meterDetails,
  options: ['verbose', 'more', 'json'],
  takes: [1, 2],
  writes: true,
  json: meterShape,
  run: (call) =>
    withDatapath(call, async (dpif, [text = '']) => {
      const meter = parseMeter(text)
      if ((await find(dpif, meter.id)) !== undefined)
        throw new CliError(`meter ${meter.id} is there already; change it with mod-meter`)
      await print(call, await fromInput(() => dpif.setMeter(meter)))
    }),
}

export const modMeter: Verb = {
  name: 'mod-meter',
  usage: '[DP] METER',
  summary: 'change a meter; its counters go on unless --clear is given',
  details: meterDetails,
  options: ['clear', 'verbose', 'more', 'json'],
  takes: [1, 2],
  writes: true,
  json: meterShape,
  run: (call) =>
    withDatapath(call, async (dpif, [text = '']) => {
      const meter = parseMeter(text)
      await dpif.getMeter(meter.id)
      await print(call, await fromInput(() => dpif.setMeter(meter, { zeroStats: call.options.clear })))
    }),
}

export const delMeter: Verb = {
  name: 'del-meter',
  usage: '[DP] meter=N',
  summary: 'delete a meter; with -s print what it had counted',
  options: ['statistics', 'json'],
  takes: [1, 2],
  writes: true,
  json: meterShape,
  run: (call) =>
    withDatapath(call, async (dpif, [text = '']) => {
      const meter = await dpif.delMeter(parseMeterId(text))
      if (call.options.json) return call.out.line(toJson(documentOf(meter)))
      if (call.options.statistics) for (const line of meterLines(meter, true)) await call.out.line(line)
    }),
}

export const dumpMeters: Verb = {
  name: 'dump-meters',
  usage: '[DP] [meter=N]',
  summary: 'print meters, and with -s what they have counted',
  details:
    'Of meters that other processes made, below number 1024, openvswitch tells the counters and not the rates.',
  options: ['statistics', 'json'],
  takes: [0, 2],
  writes: false,
  json: `[METER, …], METER: ${meterShape}`,
  run: async (call) => {
    const { args, kernel, options, out } = call
    const named = args.filter((word) => word.startsWith('meter='))
    const { datapath, rest } = await kernel.choose(
      args.filter((word) => !word.startsWith('meter=')),
      1,
    )
    if (rest.length > 0 || named.length > 1) throw new CliError(`usage: hwacc dump-meters ${call.verb.usage}`)
    const dpif = await kernel.open(datapath)
    try {
      const [name] = named
      const meters = name === undefined ? await dpif.dumpMeters() : [await dpif.getMeter(parseMeterId(name))]
      if (options.json) return await out.line(toJson(meters.map(documentOf)))
      for (const meter of meters)
        for (const line of meterLines(meter, options.statistics)) await out.line(line)
    } finally {
      await dpif.close()
    }
  },
}

export const meterFeatures: Verb = {
  name: 'meter-features',
  usage: '[DP]',
  summary: 'print how many meters there can be, and of what kind',
  options: ['json'],
  takes: [0, 1],
  writes: false,
  json: '{ maxMeters, maxBands, bandTypes: [NAME, …] }',
  run: (call) =>
    withDatapath(call, async (dpif) => {
      const features = await dpif.meterFeatures()
      if (call.options.json) return call.out.line(toJson(features))
      const { maxMeters, maxBands, bandTypes } = features
      await call.out.line(`max_meter:${maxMeters} max_bands:${maxBands}`)
      await call.out.line(`band_types: ${bandTypes.join(' ')}`)
      await call.out.line('capabilities: kbps pktps burst stats')
    }),
}

async function find(dpif: Dpif, id: number): Promise<Meter | undefined> {
  try {
    return await dpif.getMeter(id)
  } catch (error) {
    if (error instanceof DpifError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

async function print({ options, out }: Call, meter: Meter): Promise<void> {
  if (options.json) return out.line(toJson(documentOf(meter)))
  if (!options.verbose) return
  const { id, police, declined } = meter
  await out.line(
    police === undefined ? `meter ${id} is in ovs` : `meter ${id} is in ovs and tc (police ${police})`,
  )
  if (declined !== undefined) await out.line(`  tc declined: ${declined.message}`)
}

const documentOf = ({ declined, ...meter }: Meter): object => ({
  ...meter,
  ...(declined === undefined ? {} : { declined: failureJson(declined) }),
})
