import type { Percentiles } from './histogram.js'
import type { Summary } from './measure.js'
import type { Result } from './result.js'
import { formatBytes, formatCount, formatFacts, formatNs, formatTable, significant } from './table.js'

/** A result as text for a terminal. */
export function summary(result: Result): string {
  const parts = [
    `${result.question}: ${subjectOf(result)}`,
    formatFacts(factsOf(result)),
    ...besideTable(result),
    ...stageTable(result),
    ...(result.tables ?? []).map(({ title, head, rows }) => `${title}\n${formatTable(head, rows)}`),
    ...errorTable(result),
    result.notes.map((note) => `- ${note}`).join('\n'),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

/** What was measured, in a line. */
export function subjectOf({ question, options }: Result): string {
  const { backend, flows, profile, masks, spelling, batch, depth, lanes, skip, kernel } = options
  if (question === 'upcalls') return 'new connections, each answered with a flow and the packet sent on'
  const parts = [
    `${formatCount(flows)} flows`,
    `profile ${profile}`,
    `${masks} ${masks === 1 ? 'mask' : 'masks'}`,
  ]
  if (question !== 'policy' && question !== 'codec') parts.push(`backend ${backend}`, spelling)
  if (backend !== 'ovs' && skip !== 'none') parts.push(`skip_${skip}`)
  parts.push(`batches of ${formatCount(batch)}`, `${depth} at once`)
  if (lanes > 1) parts.push(`${lanes} lanes`)
  if (kernel === 'null') parts.push('on the null kernel')
  return parts.join(', ')
}

/** Everything a result has to say in one line each. */
export function factsOf(result: Result): [string, string][] {
  const { ours, rate, limit, observed, latency, cpu, memory, inHw, environment } = result
  const facts: [string, string][] = []
  if (rate !== undefined) facts.push(['flows a second', `${formatCount(rate.median)}  ${spreadOf(rate)}`])
  if (ours !== undefined) facts.push(['a flow', formatNs(ours.median)])
  if (limit !== undefined) {
    const { ratio, ns, what } = limit
    facts.push(
      [
        'share of the limit',
        `${ratio.median.toFixed(2)}  (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`,
      ],
      ['the limit', `${formatNs(ns.median)} a flow  ${spreadOf(ns)}; ${what}`],
    )
  }
  if (latency !== undefined) facts.push(['latency of a batch', percentilesOf(latency.batch)])
  if (latency?.op !== undefined) facts.push(['latency of an op alone', percentilesOf(latency.op)])
  if (observed !== undefined) {
    const { p50, p99, max } = observed.loopDelayMs
    const late = [p50, p99, max].map(significant)
    facts.push(
      ['event loop late by', `p50 ${late[0]} ms, p99 ${late[1]} ms, at most ${late[2]} ms`],
      [
        'watched turn',
        `${formatNs(observed.ns)} a flow: ${formatNs(observed.exchangeNs)} with an exchange under way, ` +
          `${formatNs(observed.aloneNs)} without; ${formatCount(observed.exchanges)} exchanges`,
      ],
    )
  }
  if (cpu !== undefined)
    facts.push([
      'CPU a turn',
      `${significant(cpu.userSeconds)} s user, ${significant(cpu.kernelSeconds)} s kernel${
        cpu.pageFaults === undefined ? '' : `, ${cpu.pageFaults} page faults`
      }`,
    ])
  if (result.bytesPerFlow !== undefined)
    facts.push(['memory a flow', `${significant(result.bytesPerFlow)} B`])
  facts.push(['peak memory', formatBytes(memory.peakBytes)])
  if (inHw !== undefined) facts.push(['in hardware', `${significant(inHw * 100)} %`])
  facts.push(['errors', formatCount(result.errors.reduce((sum, { count }) => sum + count, 0))])
  facts.push(
    ['kernel', environment.kernel],
    ['CPU', `${environment.cpus} × ${environment.cpu}`],
    ['node', environment.node],
  )
  const { nic } = environment
  if (nic !== undefined) facts.push(['NIC', nicOf(nic)])
  return facts
}

function nicOf(nic: NonNullable<Result['environment']['nic']>): string {
  const known = [
    nic.device,
    nic.driver,
    nic.model,
    nic.bus,
    nic.speedMbps === undefined ? undefined : `${nic.speedMbps / 1000} Gbit/s`,
    nic.firmware === undefined ? undefined : `firmware ${nic.firmware}`,
    nic.eswitchMode,
    nic.steeringMode === undefined ? undefined : `steering ${nic.steeringMode}`,
  ]
  return known.filter((part) => part !== undefined).join(', ')
}

function spreadOf({ turns, spread }: Summary): string {
  return turns.length < 2
    ? '(one turn)'
    : `(median of ${turns.length}, spread ${(spread * 100).toFixed(0)} %)`
}

function percentilesOf({ p50, p99, p999, count }: Percentiles): string {
  return `p50 ${formatNs(p50)}, p99 ${formatNs(p99)}, p99.9 ${formatNs(p999)}  (${formatCount(count)})`
}

function besideTable({ beside }: Result): string[] {
  if (beside.length === 0) return []
  const rows = beside.map(({ name, flows, ns, faster }) => [
    name,
    formatCount(flows),
    formatNs(ns.median),
    `${significant(faster)} ×`,
  ])
  return [formatTable(['beside us', 'flows', 'a flow', 'we are faster by'], rows)]
}

function stageTable({ stages }: Result): string[] {
  if (stages.length === 0) return []
  const total = stages.reduce((sum, { ns }) => sum + ns, 0)
  const rows = stages.map(({ name, ns, how }) => [
    name,
    formatNs(ns),
    `${((100 * ns) / total).toFixed(0)} %`,
    how,
  ])
  return [formatTable(["where a flow's time goes", 'time', 'share', ''], rows)]
}

function errorTable({ errors }: Result): string[] {
  return errors.length === 0
    ? []
    : [
        formatTable(
          ['why ops failed, all turns', 'times'],
          errors.map(({ reason, count }) => [reason, count]),
        ),
      ]
}
