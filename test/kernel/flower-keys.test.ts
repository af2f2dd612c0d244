import t from 'tap'
import { tcOnly } from '../../lib/index.js'
import { matchRows } from '../../lib/tc/match.js'
import type { FlowKey } from '../../types/flow.js'
import { bench, missing, run, show, tc } from '../fixtures/lab.js'
import { flowerFlows as flows, ones, v4 } from '../fixtures/flower-flows.js'
import { canonical } from '../tc/canonical.js'

// One filter for every key flower has, through the real kernel and back: it takes what we take for expressible, and what it
// reports is read as what was asked.

t.setTimeout(0)

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('every key goes into the kernel and comes back as it went', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    let count = 0
    for (const [name, [key, mask]] of Object.entries(flows)) {
      const ufid = `3f2a9c10-0000-4000-8000-${(++count).toString(16).padStart(12, '0')}`
      const flow = { key: { inPort: 1, ethernet: {}, ...key }, mask: { inPort: ones.u32, ...mask } }
      const { error } = await dpif.put({ ufid, ...flow, actions: [] })
      // A kernel built without conntrack zones says so, and is believed.
      if (error?.code === 'UNSUPPORTED' && /^ct/.test(name) && /n't enabled/.test(error.kernel ?? '')) {
        t.comment(`${name}: ${error.kernel}`)
        continue
      }
      t.equal(error, undefined, `${name} ${error?.message ?? ''}`)
      if (error !== undefined) continue
      const got = await dpif.get({ ufid })
      t.equal(got.error, undefined, name)
      if (got.flow === undefined) continue
      const asked = canonical(flow.key, flow.mask)
      const { recircId: _, ...read } = canonical(got.flow.key, got.flow.mask)
      if (!t.same(read, asked, name)) t.comment(show(got.flow), tc(`filter show dev ${ports[0]} ingress`))
      // And what is read can be put again.
      await dpif.del({ ufid })
      const again = await dpif.put({ ufid, key: got.flow.key, mask: got.flow.mask, actions: [] })
      t.equal(again.error, undefined, `${name} ${again.error?.message ?? ''}`)
      const { recircId: __, ...twice } = canonical(...pair(await dpif.get({ ufid })))
      t.same(twice, asked, `${name}, once more`)
      await dpif.del({ ufid })
    }
    for (const { attribute, part } of matchRows) {
      const path = part === undefined ? attribute : `${attribute}.${part}`
      t.ok(path in flows, `${path} has been tried`)
    }
  })

  t.test('filters of several templates keep apart', async (t) => {
    const { dpif } = await bench(t, tcOnly(), 2)
    const ufid = (index: number) => `3f2a9c10-0000-4000-8000-${index.toString(16).padStart(12, '0')}`
    const mask = {
      inPort: ones.u32,
      etherType: 0xffff,
      tunnel: { id: ones.u64, dst: ones.ipv4 },
      ctState: 0x21,
    }
    const keys = Array.from({ length: 40 }, (_, index) => ({
      inPort: 1,
      ethernet: {},
      ...v4,
      ctState: index % 2 === 0 ? 0x21 : 0x20,
      tunnel: { id: BigInt(index + 1), dst: `10.0.${index}.1`, ttl: 64 },
    }))
    const results = await dpif.operate(
      keys.map((key, index) => ({ op: 'put', ufid: ufid(index), key, mask, actions: [] as const })),
    )
    for (const { error } of results) t.equal(error, undefined)
    const { error } = await dpif.put({
      ufid: ufid(99),
      key: { ...(keys[0] as object), tunnel: { id: 1n << 32n, dst: '10.0.0.1', ttl: 64 } },
      mask,
      actions: [],
    })
    t.match(error, { code: 'UNSUPPORTED_MATCH', path: 'tunnel.id', reason: 'VALUE_TOO_LARGE' })
    for (const [index, key] of keys.entries()) {
      const { recircId: _, ...read } = canonical(...pair(await dpif.get({ ufid: ufid(index) })))
      t.same(read, canonical(key, mask))
    }
  })

  t.test('the kernel refuses the conntrack states we refuse', async (t) => {
    const { ports } = await bench(t, tcOnly(), 1)
    tc(`qdisc add dev ${ports[0]} ingress`)
    for (const state of ['+est', '+trk+new+est', '+trk+inv+new', '+trk+new+rpl'])
      t.throws(
        () =>
          run(
            'tc',
            ...`filter add dev ${ports[0]} ingress protocol ip flower ct_state ${state} action drop`.split(
              ' ',
            ),
          ),
        state,
      )
  })
}

function pair(got: { flow?: { key: FlowKey; mask: FlowKey } }): [FlowKey, FlowKey] {
  return [got.flow?.key ?? {}, got.flow?.mask ?? {}]
}
