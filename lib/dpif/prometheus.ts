import type { Metrics } from '../../types/dpif.js'

type Counts = Omit<Metrics, 'toPrometheus'>

interface Family {
  readonly name: string
  readonly help: string
  /** Labels beside the datapath's, and a value, for each line. */
  readonly lines: (counts: Counts) => readonly (readonly [labels: Labels, value: number])[]
}

type Labels = Readonly<Record<string, string>>

/** One family for each property of {@link Metrics}. */
const families: readonly Family[] = [
  {
    name: 'dpif_hw_acc_placed_total',
    help: 'Puts that ended in a backend.',
    lines: ({ placed }) => Object.entries(placed).map(([backend, count]) => [{ backend }, count]),
  },
  {
    name: 'dpif_hw_acc_refused_total',
    help: 'Refusals of backends.',
    lines: ({ refused }) =>
      Object.entries(refused).map(([name, count]) => {
        const [code = '', reason = ''] = name.split('/')
        return [{ code, reason }, count]
      }),
  },
  {
    name: 'dpif_hw_acc_moved_total',
    help: 'Flows that came to a backend from another one.',
    lines: ({ moved }) => Object.entries(moved).map(([backend, count]) => [{ backend }, count]),
  },
  {
    name: 'dpif_hw_acc_removed_total',
    help: 'Flows that are gone.',
    lines: ({ removed }) => Object.entries(removed).map(([cause, count]) => [{ cause }, count]),
  },
]

/** Counts in the text form of Prometheus (version 0.0.4). */
export function formatMetrics(counts: Counts, datapath: string): string {
  const lines = families.flatMap(({ name, help, lines }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} counter`,
    ...lines(counts).map(([labels, value]) => `${name}{${formatLabels({ datapath, ...labels })}} ${value}`),
  ])
  return `${lines.join('\n')}\n`
}

function formatLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',')
}

/** In a label's value a backslash, a quote and the end of a line are spelled with a backslash. */
function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
}
