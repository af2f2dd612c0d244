/** Plots as SVG text. Colours are classes of the page's style sheet (`s0`, `s1`, …), so that it can be light or dark. */

export interface Axis {
  readonly label: string
  format(value: number): string
  /** Each step is ten times the last. */
  readonly logarithmic?: boolean
}

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
  readonly dashed?: boolean
  /** Which colour; series of one result share it. */
  readonly colour: number
}

const WIDTH = 860
const LEFT = 76
const RIGHT = 14
const TOP = 12
const BOTTOM = 46
const COLOURS = 7

/** Lines over a number. The ticks of `x` are given where its scale is not an ordinary one. */
export function lines(
  series: readonly Series[],
  x: Axis,
  y: Axis,
  ticks?: readonly (readonly [at: number, label: string])[],
): string {
  const height = 320
  const points = series.flatMap((each) => each.points)
  if (points.length === 0) return ''
  const xs = scale(
    points.map(([value]) => value),
    [LEFT, WIDTH - RIGHT],
    x.logarithmic === true,
    false,
  )
  const ys = scale(
    points.map(([, value]) => value),
    [height - BOTTOM, TOP],
    y.logarithmic === true,
    true,
  )
  const grid = ys.ticks.map((value) => {
    const at = ys.at(value)
    return `<path class="grid" d="M${LEFT} ${round(at)}H${WIDTH - RIGHT}"/>${label(LEFT - 8, at + 4, y.format(value), 'end')}`
  })
  const below = (ticks ?? xs.ticks.map((value) => [value, x.format(value)] as const)).map(([value, text]) =>
    label(xs.at(value), height - BOTTOM + 18, text, xs.at(value) > WIDTH - 40 ? 'end' : 'middle'),
  )
  const paths = series.map(({ points: own, dashed, colour, name }) => {
    const path = own
      .map(([a, b], index) => `${index === 0 ? 'M' : 'L'}${round(xs.at(a))} ${round(ys.at(b))}`)
      .join('')
    const classes = `line s${colour % COLOURS}${dashed ? ' dashed' : ''}`
    const only = own.length === 1 ? own[0] : undefined
    // A line of one point is none.
    const dot = only === undefined ? '' : dotAt(xs.at(only[0]), ys.at(only[1]), colour)
    return `<path class="${classes}" d="${path}"><title>${escape(name)}</title></path>${dot}`
  })
  return figure(
    height,
    [
      ...grid,
      ...below,
      label((LEFT + WIDTH - RIGHT) / 2, height - 6, x.label, 'middle', 'axis'),
      `<text class="axis" transform="translate(14 ${(height - BOTTOM + TOP) / 2}) rotate(-90)" text-anchor="middle">${escape(y.label)}</text>`,
      ...paths,
    ],
    legend(series.map(({ name, colour, dashed }) => ({ name, colour, dashed: dashed === true }))),
  )
}

export interface Bar {
  readonly label: string
  /** Pieces, one behind the other. */
  readonly parts: readonly { readonly name: string; readonly value: number; readonly colour: number }[]
  /** What stands behind the bar. */
  readonly text: string
  /** Single values to show as dots on the bar. */
  readonly dots?: readonly number[]
}

/** Bars that lie, with their names above them. `mark` draws a line across, for what they are compared with. */
export function bars(
  rows: readonly Bar[],
  mark?: { readonly at: number; readonly name: string },
  names: readonly { readonly name: string; readonly colour: number }[] = [],
): string {
  const step = 46
  const right = 190
  const height = TOP + rows.length * step + 20
  const totals = rows.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0))
  const most = Math.max(...totals, ...rows.flatMap(({ dots = [] }) => dots), mark?.at ?? 0) || 1
  const at = (value: number) => 4 + ((WIDTH - right - 4) * value) / most
  const drawn = rows.map(({ label: name, parts, text, dots = [] }, index) => {
    const top = TOP + index * step
    let from = 0
    const pieces = parts.map((part) => {
      const start = at(from)
      from += part.value
      const width = Math.max(0, at(from) - start - 1)
      const title = `${part.name}: ${text}`
      return `<rect class="fill s${part.colour % COLOURS}" x="${round(start)}" y="${top + 16}" width="${round(width)}" height="20" rx="2"><title>${escape(title)}</title></rect>`
    })
    const turns = dots.map((value) => dotAt(at(value), top + 26, undefined))
    return [
      label(4, top + 11, name, 'start'),
      ...pieces,
      ...turns,
      label(at(Math.max(from, ...dots)) + 10, top + 31, text, 'start', 'value'),
    ].join('')
  })
  const line =
    mark === undefined
      ? ''
      : `<path class="mark" d="M${round(at(mark.at))} ${TOP + 12}V${height - 16}"/>${label(at(mark.at), height - 3, mark.name, 'middle')}`
  return figure(height, [...drawn, line], legend(names.map((each) => ({ ...each, dashed: false }))))
}

function figure(height: number, content: readonly string[], below: string): string {
  const svg = `<svg viewBox="0 0 ${WIDTH} ${height}" role="img">${content.join('')}</svg>`
  return `<figure>${svg}${below}</figure>`
}

function legend(
  entries: readonly { readonly name: string; readonly colour: number; readonly dashed: boolean }[],
): string {
  if (entries.length === 0) return ''
  const items = entries.map(({ name, colour, dashed }) => {
    const swatch = `<svg width="26" height="10"><path class="line s${colour % COLOURS}${dashed ? ' dashed' : ''}" d="M1 5H25"/></svg>`
    return `<span>${swatch} ${escape(name)}</span>`
  })
  return `<figcaption>${items.join('')}</figcaption>`
}

function dotAt(x: number, y: number, colour: number | undefined): string {
  const kind = colour === undefined ? 'turn' : `fill s${colour % COLOURS}`
  return `<circle class="${kind}" cx="${round(x)}" cy="${round(y)}" r="3.5"/>`
}

function label(x: number, y: number, text: string, anchor: string, kind = 'tick'): string {
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escape(text)}</text>`
}

interface Scale {
  at(value: number): number
  readonly ticks: readonly number[]
}

function scale(
  values: readonly number[],
  [from, to]: readonly [number, number],
  logarithmic: boolean,
  fromZero: boolean,
): Scale {
  const most = Math.max(...values)
  const least = Math.min(...values)
  if (logarithmic) {
    const low = Math.floor(Math.log10(Math.max(least, 1e-9)))
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(most, 1e-9))))
    return {
      at: (value) => from + ((to - from) * (Math.log10(Math.max(value, 1e-9)) - low)) / (high - low),
      ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
    }
  }
  const start = fromZero ? 0 : least
  const step = niceStep((most - start) / 5 || 1)
  const end = fromZero ? Math.max(step, Math.ceil(most / step) * step) : most
  const ticks: number[] = []
  for (let value = Math.ceil(start / step) * step; value <= end + step / 1e6; value += step) ticks.push(value)
  return { at: (value) => from + ((to - from) * (value - start)) / (end - start || 1), ticks }
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough))
  return ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
}

const round = (value: number) => Math.round(value * 10) / 10

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
