import t from 'tap'
import { keep, renew } from '../../bench/renew.js'
import { specs } from '../../bench/spelling.js'

const ends = { inPorts: [1, 2], outPort: 3 }

t.test('flows of one part of a run become those of another, and stay the objects they were', async (t) => {
  for (const profile of ['l2', '5tuple', 'encap', 'rewrite', 'ct'] as const) {
    for (const spelling of ['typed', 'raw', 'text'] as const) {
      const options = { profile, spelling, masks: 7, shared: false }
      const first = await specs(options, { from: 0, to: 9 }, ends)
      const kept = first.map(keep)
      t.strictSame(kept, first)
      const isCopied = kept.every(({ actions }, index) => actions !== first[index]?.actions)
      t.equal(isCopied, spelling === 'typed')
      const fresh = await specs(options, { from: 1000, to: 1009 }, ends)
      const objects = kept.map(({ key, actions }) => ({ key, actions }))
      for (const [index, flow] of kept.entries()) renew(flow, fresh[index] as (typeof fresh)[number])
      t.strictSame(kept, await specs(options, { from: 1000, to: 1009 }, ends), `${profile}, ${spelling}`)
      if (spelling === 'text') continue
      t.ok(
        kept.every(({ key, actions }, index) => {
          const was = objects[index]
          return key === was?.key && actions === was?.actions && key !== fresh[index]?.key
        }),
      )
    }
  }
})

t.test('what has another shape is taken over as it is', async (t) => {
  const kept: Record<string, unknown> = { bytes: new Uint8Array(2), inner: { a: 1 }, gone: 1n }
  const fresh = { bytes: new Uint8Array([1, 2, 3]), inner: 5, gone: { b: 2 } }
  renew(kept, fresh)
  t.strictSame(kept, fresh)
})
