import type { Verb } from '../verb.js'

export const delDp: Verb = {
  name: 'del-dp',
  usage: 'DP',
  summary: 'delete datapath DP with its flows',
  details: 'Our filters in TC go first: they live on the devices and would go on forwarding.',
  options: [],
  takes: [1, 1],
  writes: true,
  run: async ({ kernel, args: [name = ''] }) => {
    const dpif = await kernel.open(name)
    try {
      await dpif.flush()
    } finally {
      await dpif.close()
    }
    await kernel.delete(name)
  },
}
