import { type Datapath, DpifError, type Port, type PortStats, type PortType } from '../../index.js'
import { CliError } from '../error.js'
import { toJson } from '../json.js'
import { plainName } from '../kernel.js'
import type { Verb } from '../verb.js'
import { cacheLines } from './cache-get-size.js'

export const show: Verb = {
  name: 'show',
  usage: '[DP...]',
  summary: 'print counters and ports of each DP, or of all datapaths',
  options: ['statistics', 'json'],
  takes: [0, Number.POSITIVE_INFINITY],
  writes: false,
  json: `[{ name, ifindex, features: [FEATURE, …], masksCacheSize?, stats?: { hit, missed, lost, flows, maskHit?, masks?, cacheHit? },
  ports: [{ number, name, type, tunnel?: { dstPort?, gbp? }, layer3?, ifindex, switchId?, portName?, stats?: { rxPackets,
  txPackets, rxBytes, txBytes, rxErrors, txErrors, rxDropped, txDropped } }, …] }, …]`,
  run: async ({ args, kernel, out, options, fail }) => {
    const all = args.length > 0 ? args : (await kernel.list()).map(({ name }) => name).sort()
    const documents: object[] = []
    for (const word of all) {
      try {
        const dpif = await kernel.open(word)
        try {
          const ports = await dpif.ports()
          if (options.json) documents.push({ ...dpif.datapath, ports })
          else for (const line of lines(dpif.datapath, ports, options.statistics)) await out.line(line)
        } finally {
          await dpif.close()
        }
      } catch (error) {
        // One that went away does not keep the others from being shown.
        if (!(error instanceof CliError) && !(error instanceof DpifError && error.code === 'NO_DATAPATH'))
          throw error
        if (args.length > 0) fail(error.message)
      }
    }
    if (options.json) await out.line(toJson(documents))
  },
}

function* lines({ name, stats, masksCacheSize }: Datapath, ports: readonly Port[], counters: boolean) {
  yield `system@${plainName(name)}:`
  if (stats !== undefined) {
    const { hit, missed, lost, flows, masks, maskHit = 0n, cacheHit } = stats
    const packets = hit + missed
    yield `  lookups: hit:${hit} missed:${missed} lost:${lost}`
    yield `  flows: ${flows}`
    if (masks !== undefined) {
      yield `  masks: hit:${maskHit} total:${masks} hit/pkt:${ratio(maskHit, packets).toFixed(2)}`
    }
    if (cacheHit !== undefined) {
      yield `  cache: hit:${cacheHit} hit-rate:${(ratio(cacheHit, packets) * 100).toFixed(2)}%`
    }
  }
  yield* cacheLines(masksCacheSize)
  for (const port of ports) {
    yield `  port ${port.number}: ${port.name}${port.type === 'netdev' ? '' : ` (${kindOf(port)})`}`
    if (counters) yield* statsLines(port.stats)
  }
}

/** A tunnel has its options, sorted, as ovs-vswitchd has them for its own: what flows say, and what differs from the default. */
function kindOf({ type, tunnel }: Port): string {
  if (tunnel === undefined) return type
  const { dstPort, gbp } = tunnel
  const options = [
    ...(dstPort === undefined || dstPort === defaultPorts[type] ? [] : [`dst_port=${dstPort}`]),
    ...(gbp ? ['exts=gbp'] : []),
    'key=flow',
    'remote_ip=flow',
  ]
  return `${type}: ${options.join(', ')}`
}

const defaultPorts: Readonly<Partial<Record<PortType, number>>> = { vxlan: 4789, geneve: 6081 }

/** A vport has no counters for the kinds of error a device tells apart; OVS prints `?` for what it does not know. */
function* statsLines(stats: Partial<PortStats> = {}) {
  yield `    RX packets:${known(stats.rxPackets)} errors:${known(stats.rxErrors)} dropped:${known(stats.rxDropped)} overruns:? frame:?`
  yield `    TX packets:${known(stats.txPackets)} errors:${known(stats.txErrors)} dropped:${known(stats.txDropped)} aborted:? carrier:?`
  yield '    collisions:?'
  yield `    RX bytes:${known(stats.rxBytes)}${human(stats.rxBytes)}  TX bytes:${known(stats.txBytes)}${human(stats.txBytes)}`
}

const known = (value: bigint | undefined): string => (value === undefined ? '?' : String(value))
const ratio = (part: bigint, whole: bigint): number => (whole === 0n ? 0 : Number(part) / Number(whole))

function human(bytes = 0n): string {
  for (const [unit, power] of [
    ['TiB', 4],
    ['GiB', 3],
    ['MiB', 2],
    ['KiB', 1],
  ] as const) {
    const size = 1024 ** power
    if (bytes >= BigInt(size)) return ` (${(Number(bytes) / size).toFixed(1)} ${unit})`
  }
  return ''
}
