import type { KernelFeature } from '../../index.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const features: Verb = {
  name: 'features',
  usage: '[DP]',
  summary: 'print what the kernel of DP has of what openvswitch and TC learned over the years',
  details: `The kernel is asked, not its version. Nothing is written to DP and no packet is sent; for a moment, filters of TC hang on lo. The number is
that of the first Linux with the feature; ? is what cannot be found out.`,
  options: ['json'],
  takes: [0, 1],
  // For a moment only, but it does.
  writes: true,
  json: '[{ backend: "ovs"|"tc", name, since, doc, present? (absent: not known) }, …]',
  run: async ({ args, kernel, out, options }) => {
    const { datapath } = await kernel.choose(args, 1)
    const found = await kernel.features(datapath)
    if (options.json) return out.line(toJson(found))
    for (const feature of found) await out.line(lineOf(feature))
  },
}

function lineOf({ backend, name, since, doc, present }: KernelFeature): string {
  const answer = present === undefined ? '?' : present ? 'yes' : 'no'
  return `${backend.padEnd(4)}${name.padEnd(15)}${answer.padEnd(5)}${since.padEnd(9)}${doc}`
}
