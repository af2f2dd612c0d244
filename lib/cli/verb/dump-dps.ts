import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const dumpDps: Verb = {
  name: 'dump-dps',
  usage: '',
  summary: 'print the names of all datapaths',
  options: ['json'],
  takes: [0, 0],
  writes: false,
  json: '[{ name, ifindex, features: [FEATURE, …], masksCacheSize?, stats?: { hit, missed, lost, flows, maskHit?, masks?, cacheHit? } }, …]',
  run: async ({ kernel, out, options }) => {
    const datapaths = (await kernel.list()).sort((a, b) => (a.name < b.name ? -1 : 1))
    if (options.json) return out.line(toJson(datapaths))
    for (const { name } of datapaths) await out.line(`system@${name}`)
  },
}
