import { plainName } from '../kernel.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

/** The only cache openvswitch has whose size can be set, as ovs-dpctl calls it. */
export const MASKS_CACHE = 'masks-cache'

export const cacheGetSize: Verb = {
  name: 'cache-get-size',
  usage: '[DP]',
  summary: 'print the sizes of the caches of DP, or of all datapaths',
  options: ['json'],
  takes: [0, 1],
  writes: false,
  json: `[{ name, caches: { "${MASKS_CACHE}"?: ENTRIES } }, …]`,
  run: async ({ args, kernel, out, options }) => {
    const all = (await kernel.list()).sort((a, b) => (a.name < b.name ? -1 : 1))
    const wanted = args.length === 0 ? all : [await kernel.named(args[0] as string)]
    const found = wanted.map(({ name, masksCacheSize: size }) => {
      return { name, caches: size === undefined ? {} : { [MASKS_CACHE]: size } }
    })
    if (options.json) return out.line(toJson(found))
    for (const { name, caches } of found) {
      await out.line(`system@${plainName(name)}:`)
      for (const line of cacheLines(caches[MASKS_CACHE])) await out.line(line)
    }
  },
}

/** Nothing where the kernel has no caches. */
export function cacheLines(size: number | undefined): string[] {
  return size === undefined ? [] : ['  caches:', `    ${MASKS_CACHE}: size:${size}`]
}
