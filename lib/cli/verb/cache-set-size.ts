import { CliError } from '../error.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'
import { MASKS_CACHE } from './cache-get-size.js'

export const cacheSetSize: Verb = {
  name: 'cache-set-size',
  usage: 'DP CACHE SIZE',
  summary: 'give CACHE of DP that many entries',
  details: `CACHE is ${MASKS_CACHE}. SIZE is rounded up to a power of two; 0 is none.`,
  options: ['json'],
  takes: [3, 3],
  writes: true,
  json: '{ name, cache, size }',
  run: async ({ args: [datapath = '', cache = '', text = ''], kernel, out, options }) => {
    if (!/^\d{1,10}$/.test(text)) throw new CliError(`'${text}' is no number of entries`)
    const { name, masksCacheSize: before } = await kernel.named(datapath)
    if (before === undefined) throw new CliError(`the kernel has no caches whose size can be set`)
    if (cache !== MASKS_CACHE)
      throw new CliError(`'${cache}' is no cache of '${name}'; there is ${MASKS_CACHE}`)
    const { masksCacheSize: size } = await kernel.change(name, { masksCacheSize: roundedUp(Number(text)) })
    if (options.json) return out.line(toJson({ name, cache, size }))
    await out.line(`Setting cache size successful, new size ${size}`)
  },
}

/** To a power of two, as the kernel wants it. */
function roundedUp(size: number): number {
  return size === 0 ? 0 : 2 ** Math.ceil(Math.log2(size))
}
