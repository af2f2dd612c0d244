export type Cell = string | number | undefined

/** Rows with their columns aligned: the first to the left, the others to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [head, ...rows].map((row) => row.map((cell) => String(cell ?? '')))
  const widths = head.map((_, column) => Math.max(...lines.map((line) => [...(line[column] ?? '')].length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => pad(cell, widths[column] ?? 0, column > 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Names and what they are, one on a line. */
export function formatFacts(facts: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...facts.map(([name]) => [...name].length))
  return facts.map(([name, value]) => `${pad(name, width, false)}  ${value}`).join('\n')
}

function pad(text: string, width: number, right: boolean): string {
  const blanks = ' '.repeat(Math.max(0, width - [...text].length))
  return right ? blanks + text : text + blanks
}

/** `1.23 ms`: nanoseconds in the unit people would choose. */
export function formatNs(ns: number): string {
  for (const [unit, size] of units) if (Math.abs(ns) >= size) return `${significant(ns / size)} ${unit}`
  return `${significant(ns)} ns`
}

const units = [
  ['s', 1e9],
  ['ms', 1e6],
  ['µs', 1e3],
] as const

/** Three digits, which is more than a benchmark knows. */
export function significant(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 6))
}

/** `123,456`. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function formatBytes(bytes: number): string {
  return bytes >= 1 << 20 ? `${significant(bytes / (1 << 20))} MiB` : `${formatCount(bytes)} B`
}
