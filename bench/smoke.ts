import { type Options, parseRequest, type Question } from './options.js'
import type { Result } from './result.js'
import { formatTable } from './table.js'

/** Shares of the limit the project promises for 100,000 flows in the lab. */
const floors: readonly { readonly args: readonly string[]; readonly share: number }[] = [
  { args: ['insertion', '--backend', 'ovs'], share: 0.8 },
  { args: ['insertion', '--backend', 'ovs', '--spelling', 'raw'], share: 0.92 },
  { args: ['insertion', '--backend', 'tc'], share: 0.8 },
  { args: ['sweep', '--backend', 'both'], share: 0.7 },
]

/** A machine that does other things besides must not turn a build red: only half of a floor is a gross regression. */
const TOLERANCE = 0.5
const bounded = ['--flows', '20000', '--repeat', '3', '--beside', '0']

/** A minute at most. Fails on ratios only, never on a time. */
export async function smoke(
  measure: (question: Question, options: Options) => Promise<Result>,
  json: boolean,
): Promise<number> {
  const rows: { what: string; share: number; least: number }[] = []
  for (const { args, share } of floors) {
    const request = parseRequest([...args, ...bounded])
    if (request.verb !== 'measure') throw new Error('the floors are about measurements')
    const { limit, errors } = await measure(request.question, request.options)
    if (limit === undefined || errors.length > 0) {
      throw new Error(`cannot compare ${args.join(' ')}: ${errors[0]?.reason ?? 'nothing was measured'}`)
    }
    rows.push({ what: args.join(' '), share: limit.ratio.median, least: share * TOLERANCE })
  }
  const slow = rows.filter(({ share, least }) => share < least)
  const cells = rows.map(({ what, share, least }) => [
    what,
    share.toFixed(2),
    least.toFixed(2),
    share < least ? 'too slow' : 'ok',
  ])
  process.stdout.write(
    json
      ? `${JSON.stringify({ ok: slow.length === 0, rows })}\n`
      : `${formatTable(['what', 'share of the limit', 'at least', ''], cells)}\n`,
  )
  return slow.length === 0 ? 0 : 1
}
