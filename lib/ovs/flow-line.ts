import type { Action } from '../../types/action.js'
import type { FlowStats } from '../../types/flow.js'
import type { Flow } from '../../types/op.js'
import { Scanner } from '../netlink/scanner.js'
import { formatActions, scanActions } from './text-action.js'
import type { FormatOptions, ParseOptions } from './text-attribute.js'
import { failField, formatKey, type ParsedKey, scanKey } from './text-key.js'
import { formatUfid } from './ufid.js'

export interface FlowLineOptions extends FormatOptions {
  /** Milliseconds on CLOCK_MONOTONIC, which `stats.used` counts on too. */
  readonly now: number
}

/** What a line about a flow says, without its counters. */
export interface ParsedFlow extends ParsedKey {
  readonly actions: readonly Action[]
}

/**
 * A flow as a line of `ovs-dpctl dump-flows`, without the line's end:
 * `in_port(1),eth(),eth_type(0x0800),ipv4(frag=no), packets:9, bytes:882, used:0.010s, actions:3`.
 * Verbose lines also have the ufid and where the flow lives.
 */
export function formatFlow(flow: Flow, options: FlowLineOptions): string {
  const { key, mask, actions, stats, backend, offloaded } = flow
  const fields = [formatKey(key, mask, options), formatStats(stats, options.now)]
  if (options.verbose) {
    if (flow.ufidPresent) fields.unshift(formatUfid(flow.ufid))
    // A device that takes a flow of openvswitch itself takes only a part of it.
    if (offloaded) fields.push(`offloaded:${backend === 'ovs' ? 'partial' : 'yes'}`)
    fields.push(`dp:${backend}`)
  }
  fields.push(`actions:${formatActions(actions, options)}`)
  return fields.join(', ')
}

/** The middle of a flow's line: `packets:9, bytes:882, used:0.010s, flags:S`. `now` is CLOCK_MONOTONIC in ms. */
export function formatStats({ packets, bytes, used, tcpFlags }: FlowStats, now: number): string {
  const since = used === 0 ? 'never' : `${((now - used) / 1000).toFixed(3)}s`
  const flags = tcpFlags === 0 ? '' : `, flags:${formatSeenFlags(tcpFlags)}`
  return `packets:${packets}, bytes:${bytes}, used:${since}${flags}`
}

/** Reads a line of `dump-flows`; its counters are checked for their shape and dropped. Throws SYNTAX with the position. */
export function parseFlowLine(text: string, options: ParseOptions = {}): ParsedFlow {
  const scanner = new Scanner(text)
  const match = scanKey(scanner, options)
  skipCounters(scanner)
  if (!scanner.eat('actions:')) {
    if (/[a-z0-9_]+\(/y.test(scanner.text.slice(scanner.at))) failField(scanner)
    scanner.fail("'actions:' expected")
  }
  const actions = scanActions(scanner, options)
  skipExtra(scanner)
  if (!scanner.done) scanner.fail('an action like 2, pop_vlan or set(…) expected')
  return { ...match, actions }
}

/** Steps over `packets:9, bytes:882, …` and the separators behind it. True when there was any. */
export function skipCounters(scanner: Scanner): boolean {
  const from = scanner.at
  while (scanner.match(counter) !== undefined) scanner.delimiters()
  return scanner.at !== from
}

/** Steps over what newer versions of OVS put behind the actions. */
export function skipExtra(scanner: Scanner): void {
  scanner.match(/dp-extra-info:.*/y)
}

// biome-ignore format: one alternative per line
const counter = new RegExp([
  'packets:[0-9]+',
  'bytes:[0-9]+',
  'used:(never|-?[0-9.]+s)',
  'flags:[A-Z0-9.[\\]]+',
  'offloaded:(yes|partial)',
  'dp:[a-z]+',
].join('|'), 'y')

/** The letters of the TCP flags by bit, and the order in which OVS prints them. */
const letters = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'C', 'N', '[200]', '[400]', '[800]']
const order = [1, 0, 3, 2, 5, 4, 6, 7, 8, 9, 10, 11]

function formatSeenFlags(flags: number): string {
  return order.map((bit) => (flags & (1 << bit) ? letters[bit] : '')).join('')
}
