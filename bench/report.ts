import { type Bar, bars, escape, lines, type Series } from './plot.js'
import type { Result } from './result.js'
import { factsOf, subjectOf } from './summary.js'
import { type Cell, formatCount, formatNs, significant } from './table.js'

/**
 * One or more results as one page that needs nothing else: no script, no font, no network. Written for somebody who was not
 * there, so every plot says what it shows and how it was measured.
 */
export function report(results: readonly Result[]): string {
  const names = namesOf(results)
  const sections = [
    overview(results, names),
    limits(results, names),
    beside(results, names),
    curves(results, names),
    latencies(results, names),
    stages(results, names),
    lanes(results, names),
    ...results.map((result, index) => facts(result, names[index] ?? '')),
  ]
  const title =
    results.length === 1 ? `${results[0]?.question} benchmark` : `${results.length} benchmark runs`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>dpif-hw-acc: ${escape(title)}</title>
<style>${style}</style>
<main>
<h1>dpif-hw-acc: ${escape(title)}</h1>
<p>How fast flows get into the tables of openvswitch and TC flower through the Node library <i>dpif-hw-acc</i>, and how far
that is from what the kernel can do at all. Rates tell of a machine on a day; the <b>share of the limit</b> tells of the
library, because both were measured in turns on the same machine in the same minute.</p>
${sections.filter((section) => section !== '').join('\n')}
</main>
</html>
`
}

/** What tells the runs apart: only the options in which they differ. */
function namesOf(results: readonly Result[]): string[] {
  const settings = results.map(({ options, environment }) => ({ ...options, kernel: environment.kernel }))
  const differing = Object.keys(settings[0] ?? {}).filter((name) => {
    const values = settings.map((options) => String((options as Record<string, unknown>)[name]))
    return new Set(values).size > 1
  })
  const names = results.map(({ question }, index) => {
    const own = settings[index] as unknown as Record<string, unknown>
    return [question, ...differing.map((name) => `${name} ${own[name] ?? '-'}`)].join(', ')
  })
  const doubled = new Set(names).size < names.length
  return doubled ? names.map((name, index) => `${index + 1}: ${name}`) : names
}

function section(title: string, text: string, ...content: string[]): string {
  return `<section><h2>${escape(title)}</h2><p>${text}</p>${content.join('')}</section>`
}

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(String(cell ?? ''))}</${tag}>`).join('')}</tr>`
  return `<div class="wide"><table>${line(head, 'th')}${rows.map((row) => line(row, 'td')).join('')}</table></div>`
}

function overview(results: readonly Result[], names: readonly string[]): string {
  const rows = results.map(({ rate, ours, limit, latency, errors, bytesPerFlow }, index) => [
    names[index],
    rate === undefined ? '' : formatCount(rate.median),
    ours === undefined ? '' : formatNs(ours.median),
    limit === undefined ? '' : limit.ratio.median.toFixed(2),
    latency === undefined ? '' : formatNs(latency.batch.p99),
    bytesPerFlow === undefined ? '' : `${significant(bytesPerFlow)} B`,
    formatCount(errors.reduce((sum, { count }) => sum + count, 0)),
  ])
  return section(
    'At a glance',
    'Medians over all turns. The turns that warmed the code up are not among them.',
    table(
      ['run', 'flows a second', 'a flow', 'share of the limit', 'batch p99', 'memory a flow', 'errors'],
      rows,
    ),
  )
}

function limits(results: readonly Result[], names: readonly string[]): string {
  const rows = results.flatMap(({ limit }, index): Bar[] => {
    if (limit === undefined) return []
    const { median, turns } = limit.ratio
    const part = { name: 'share of the limit', value: median, colour: index }
    return [{ label: `${names[index]}`, parts: [part], text: median.toFixed(2), dots: turns }]
  })
  if (rows.length === 0) return ''
  return section(
    'Share of the limit',
    'Our rate as a share of a C program’s that sends the very same bytes (or, for reading, only receives). 1 is as fast as can be. Each dot is one turn of ours against the turn of the C program right after it: dots far apart mean a noisy machine.',
    bars(rows, { at: 1, name: 'the limit' }),
  )
}

function beside(results: readonly Result[], names: readonly string[]): string {
  const rows = results.flatMap((result, index) =>
    result.beside.map(({ name, flows, ns, faster }) => [
      names[index],
      name,
      formatCount(flows),
      formatNs(ns.median),
      `${significant(faster)} ×`,
    ]),
  )
  if (rows.length === 0) return ''
  return section(
    'Others beside us',
    'The same flows through other programs on the same machine. What starting them takes is subtracted.',
    table(['run', 'program', 'flows', 'a flow', 'we are faster by'], rows),
  )
}

function curves(results: readonly Result[], names: readonly string[]): string {
  const series = results.flatMap(({ curve = [] }, index): Series[] => {
    const limit = curve.flatMap(({ size, limit }) => (limit ? [[size, 1e9 / limit] as const] : []))
    const ours = curve.filter((point) => point.ours > 0).map(({ size, ours }) => [size, 1e9 / ours] as const)
    if (ours.length === 0) return []
    const own = { name: names[index] ?? '', points: ours, colour: index }
    return limit.length === 0
      ? [own]
      : [own, { name: `${names[index]}: the limit`, points: limit, dashed: true, colour: index }]
  })
  if (series.length === 0) return ''
  const axis = { format: formatCount }
  return section(
    'Rate against table size',
    'Flows a second in each part of a turn, over the number of flows in the table at its end. A line that falls means that large tables cost more; where the dashed line falls too, it is the kernel that pays.',
    lines(series, { ...axis, label: 'flows in the table' }, { ...axis, label: 'flows a second' }),
  )
}

const percentileTicks = [0, 50, 90, 99, 99.9, 99.99]
/** Each nine takes as much room as the one before. */
const nines = (percentile: number) => -Math.log10(1 - Math.min(percentile, 99.999) / 100)

function latencies(results: readonly Result[], names: readonly string[]): string {
  const series = results.flatMap(({ latency }, index): Series[] => {
    const kinds = [
      ['a batch', latency?.batch, false],
      ['an op alone', latency?.op, true],
    ] as const
    return kinds.flatMap(([kind, percentiles, dashed]) => {
      if (percentiles === undefined || percentiles.count === 0) return []
      // A percentile of fewer values than it has nines is only the largest one again.
      const known = percentiles.distribution.filter(
        ([percentile]) => percentile < 100 && (1 - percentile / 100) * percentiles.count >= 1,
      )
      const points = known.map(([percentile, ns]) => [nines(percentile), ns] as const)
      return [{ name: `${names[index]}: ${kind}`, points, dashed, colour: index }]
    })
  })
  const most = Math.max(0, ...series.flatMap(({ points }) => points.map(([x]) => x)))
  if (most === 0) return ''
  const ticks = percentileTicks
    .filter((value) => nines(value) <= most)
    .map((value) => [nines(value), value === 0 ? 'least' : `p${value}`] as const)
  return section(
    'Latency',
    'From handing ops over to having their results: for batches while the table filled (calls that are under way at once wait for each other), and for single ops asked one after another on the full table.',
    lines(
      series,
      { label: 'share of the calls that were as fast', format: String },
      { label: 'latency', format: formatNs, logarithmic: true },
      ticks,
    ),
  )
}

const stageColours = ['policy', 'bookkeeping', 'read', 'encode', 'translate', 'library', 'kernel']

function stages(results: readonly Result[], names: readonly string[]): string {
  const shown = results.flatMap((result, index) => (result.stages.length > 0 ? [{ result, index }] : []))
  if (shown.length === 0) return ''
  const colourOf = (name: string) =>
    Math.max(
      0,
      stageColours.findIndex((stage) => name.startsWith(stage)),
    )
  const rows = shown.map(({ result, index }): Bar => {
    const total = result.stages.reduce((sum, { ns }) => sum + ns, 0)
    const parts = result.stages.map(({ name, ns }) => ({ name, value: ns, colour: colourOf(name) }))
    return { label: names[index] ?? '', parts, text: formatNs(total) }
  })
  const kinds = [...new Set(shown.flatMap(({ result }) => result.stages.map(({ name }) => name)))]
  const explained = shown.flatMap(({ result, index }) => {
    const total = result.stages.reduce((sum, { ns }) => sum + ns, 0)
    return result.stages.map(({ name, ns, how }) => [
      names[index],
      name,
      formatNs(ns),
      `${((100 * ns) / total).toFixed(0)} %`,
      how,
    ])
  })
  return section(
    'Where the time of one flow goes',
    'Told from outside, by difference: the library was also run on a kernel that says yes at once, with less and less to do. No clock runs inside the library. Parts that overlap with the kernel’s work are shown in full, and the kernel’s part is what is left.',
    bars(
      rows,
      undefined,
      kinds.map((name) => ({ name, colour: colourOf(name) })),
    ),
    table(['run', 'part', 'time', 'share', 'how it was found'], explained),
  )
}

function lanes(results: readonly Result[], names: readonly string[]): string {
  const runs = results.flatMap(({ rate, options, question }, index) =>
    rate !== undefined && question === 'insertion' ? [{ rate, lanes: options.lanes, index }] : [],
  )
  if (runs.length === 0) return ''
  const text =
    'Several sockets let TC insert in parallel; openvswitch takes one writer at a time, so it has one.'
  if (new Set(runs.map((run) => run.lanes)).size === 1) {
    const [first] = runs
    const many = first?.lanes === 1 ? 'one lane' : `${first?.lanes} lanes`
    return section('Lanes', `${text} All runs here used ${many}; nothing to compare.`)
  }
  const rows = [...runs]
    .sort((a, b) => a.lanes - b.lanes)
    .map(({ rate, lanes: count, index }): Bar => {
      const part = { name: 'flows a second', value: rate.median, colour: index }
      return {
        label: `${count} ${count === 1 ? 'lane' : 'lanes'} (${names[index]})`,
        parts: [part],
        text: `${formatCount(rate.median)} a second`,
        dots: rate.turns,
      }
    })
  return section('Lanes', text, bars(rows))
}

function facts(result: Result, name: string): string {
  const rows = factsOf(result).map(([fact, value]) => [fact, value])
  const errors = result.errors.map(({ reason, count }) => [reason, formatCount(count)])
  const text = `${escape(subjectOf(result))}. Measured on ${escape(result.when)} by <code>${escape(result.command)}</code>.`
  return section(
    `Facts: ${name}`,
    text,
    table(['fact', ''], rows),
    ...(result.tables ?? []).map(
      ({ title, head, rows: cells }) => `<h3>${escape(title)}</h3>${table(head, cells)}`,
    ),
    errors.length === 0 ? '' : `<h3>Why ops failed</h3>${table(['reason', 'times'], errors)}`,
    `<ul>${result.notes.map((note) => `<li>${escape(note)}</li>`).join('')}</ul>`,
  )
}

const style = `
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --line: #d9d9e0; --page: #fcfcfd;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #b0568f; --s4: #b07d00; --s5: #5b6b7b; --s6: #9aa5b1 }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --dim: #a0a4ab; --line: #363a3f; --page: #111113;
  --s0: #4aa8e0; --s1: #f08a4b; --s2: #3dc79b; --s3: #d98fbd; --s4: #e0b040; --s5: #93a4b5; --s6: #5d6b78 } }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, sans-serif }
main { max-width: 900px; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.6rem; margin: 0 0 .75rem } h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem } h3 { font-size: 1rem }
p, li { color: var(--dim) } p b, p i { color: var(--ink) }
figure { margin: .75rem 0 } svg { max-width: 100%; height: auto } figcaption { font-size: .85rem }
figcaption span { display: inline-block; margin-right: 1.25rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .88rem; margin: .5rem 0 }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-weight: 500 } code { font-size: .85em; overflow-wrap: anywhere }
text { fill: var(--ink); font: 12px system-ui, sans-serif } text.tick, text.axis { fill: var(--dim) }
.grid { stroke: var(--line); fill: none } .line { fill: none; stroke-width: 2 } .dashed { stroke-dasharray: 5 4 }
.mark { stroke: var(--ink); stroke-dasharray: 2 3; fill: none } .turn { fill: var(--page); stroke: var(--ink) }
${[0, 1, 2, 3, 4, 5, 6].map((n) => `.line.s${n} { stroke: var(--s${n}) } .fill.s${n} { fill: var(--s${n}) }`).join('\n')}
`
