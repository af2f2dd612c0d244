import { type Options, parseRequest, type Question } from './options.js'
import type { Result } from './result.js'
import { formatTable } from './table.js'

/** Shares of the limit: what the project aims for with 100,000 flows in the lab, and what it has reached there. */
const shares: readonly {
  readonly args: readonly string[]
  readonly aim: number
  readonly reached: number
}[] = [
  { args: ['insertion', '--backend', 'ovs'], aim: 0.8, reached: 0.51 },
  { args: ['insertion', '--backend', 'ovs', '--spelling', 'raw'], aim: 0.92, reached: 0.6 },
  { args: ['insertion', '--backend', 'tc'], aim: 0.8, reached: 0.73 },
  { args: ['sweep', '--backend', 'both'], aim: 0.7, reached: 0.6 },
]

/**
 * How much of what was reached has to be left. Processors and other work on the machine move these shares by a factor of two, and only a
 * gross regression may turn a build red.
 */
const TOLERANCE = 0.4
const bounded = ['--flows', '20000', '--repeat', '3', '--beside', '0']

/** A minute at most. Fails on ratios only, never on a time. */
export async function smoke(
  measure: (question: Question, options: Options) => Promise<Result>,
  json: boolean,
): Promise<number> {
  const rows: { what: string; share: number; least: number; aim: number }[] = []
  for (const { args, aim, reached } of shares) {
    const request = parseRequest([...args, ...bounded])
    if (request.verb !== 'measure') throw new Error('the floors are about measurements')
    const { limit, errors } = await measure(request.question, request.options)
    if (limit === undefined || errors.length > 0) {
      throw new Error(`cannot compare ${args.join(' ')}: ${errors[0]?.reason ?? 'nothing was measured'}`)
    }
    rows.push({ what: args.join(' '), share: limit.ratio.median, least: reached * TOLERANCE, aim })
  }
  const slow = rows.filter(({ share, least }) => share < least)
  const cells = rows.map(({ what, share, least, aim }) => [
    what,
    share.toFixed(2),
    least.toFixed(2),
    aim.toFixed(2),
    share < least ? 'too slow' : 'ok',
  ])
  process.stdout.write(
    json
      ? `${JSON.stringify({ ok: slow.length === 0, rows })}\n`
      : `${formatTable(['what', 'share of the limit', 'at least', 'aim', ''], cells)}\n`,
  )
  return slow.length === 0 ? 0 : 1
}
