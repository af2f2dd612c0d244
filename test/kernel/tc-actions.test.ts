import t from 'tap'
import { type Abilities } from '../../lib/backend/tc/action/index.js'
import { TcBackend } from '../../lib/backend/tc/flows.js'
import { NativeTransport, tcOnly } from '../../lib/index.js'
import { ParsedUfid, ufidToBytes } from '../../lib/ovs/ufid.js'
import type { FlowView } from '../../types/backend.js'
import type { Action } from '../../types/action.js'
import { canonicalActions } from '../backend/tc/actions.js'
import {
  actionRows as rows,
  everyBit,
  ipv4Match,
  type Match,
  tunnelMatch,
} from '../fixtures/tc-action-rows.js'
import { bench, missing, run, show, tc } from '../fixtures/lab.js'

// One filter for every action TC has, through the real kernel and back: it takes what we take for expressible, and what it reports is
// read as what was asked. Then filters of others: what openvswitch has no word for is never taken for something it has.

t.setTimeout(0)

/** Filters of others, as `tc` takes them; none of them is anything openvswitch has a word for. */
// biome-ignore format: one row per line
const strange: readonly (readonly [actions: string, read: readonly Action[]])[] = [
  ['vlan modify id 5', [foreign('vlan'), { output: 2 }]],
  ['mpls dec_ttl', [foreign('mpls'), { output: 2 }]],
  ['pedit munge offset 0 u8 set 5', [foreign('pedit'), { output: 2 }]],
  ['pedit ex munge ip ihl set 5', [foreign('pedit'), { output: 2 }]],
  ['pedit ex munge ip ttl add 2', [foreign('pedit'), { output: 2 }]],
  ['pedit ex munge eth type set 0x88b5', [foreign('pedit'), { output: 2 }]],
  ['skbedit queue_mapping 0', [foreign('skbedit'), { output: 2 }]],
  ['skbedit ptype host', [foreign('skbedit'), { output: 2 }]],
  ['sample rate 10 group 5', [foreign('sample'), { output: 2 }]],
  ['sample rate 1 group 5 trunc 99', [foreign('sample'), { output: 2 }]],
  ['police rate 1mbit burst 10k conform-exceed drop/pipe', [foreign('police'), { output: 2 }]],
  ['police mtu 99 conform-exceed drop/pipe', [foreign('police'), { output: 2 }]],
  ['gact ok', [foreign('gact'), { output: 2 }]],
  ['gact pipe random determ drop 5', [foreign('gact'), { output: 2 }]],
  ['csum ip4h continue', [foreign('csum'), { output: 2 }]],
  ['tunnel_key unset jump 1', [foreign('tunnel_key'), { output: 2 }]],
  ['simple sdata "x"', [foreign('simple'), { output: 2 }]],
]

function foreign(name: string): Action {
  return { unknown: [{ id: 0, data: new TextEncoder().encode(name) }] }
}

// User-mode Linux, as Debian builds it.
const noZones = "Conntrack zones isn't enabled"

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('every action comes back as it went in', async (t) => {
    const { dpif, ports, name } = await bench(t, tcOnly(), 3)
    const transport = new NativeTransport()
    t.teardown(() => transport.close())
    // A meter, and the address of the host's own port.
    tc('actions add action police index 268435457 rate 1mbit burst 10k conform-exceed drop/pipe')
    t.teardown(() => tc('actions flush action police'))
    const [host] = JSON.parse(run('ip', '-j', 'link', 'show', name))
    const abilities: Abilities = {
      chains: true,
      meters: {
        indexOf: (meter) => (meter === 1 ? 268435457 : undefined),
        meterOf: (index) => (index === 268435457 ? 1 : undefined),
      },
      macOf: () => host.address,
    }
    const backend = new TcBackend(transport, { abilities })
    backend.portsChanged(await dpif.ports())
    const to = (dst: string): Match => ({
      key: { ...ipv4Match.key, ethernet: { dst } },
      mask: { ...ipv4Match.mask, ethernet: { dst: everyBit.mac } },
    })
    // biome-ignore format: one row per line
    const more: typeof rows = [
      ['meter', ipv4Match, [{ meter: 1 }, { output: 2 }]],
      ['recirc', ipv4Match, [{ ct: {} }, { recirc: 0x7ffffff }]],
      ['recirc out of a tunnel', tunnelMatch, [{ ctClear: true }, { recirc: 5 }]],
      ['to the host', to(host.address), [{ output: 0 }, { output: 2 }]],
      ['to the host, broadcast', to(everyBit.mac), [{ output: 2 }, { output: 0 }]],
    ]
    const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
    const id = new ParsedUfid(ufid)
    for (const [name, { key, mask }, actions] of [...rows, ...more]) {
      const flow: FlowView = {
        ufid,
        w0: id.w0,
        w1: id.w1,
        w2: id.w2,
        w3: id.w3,
        mode: 'create',
        inPort: 1,
        key: { recircId: 0, inPort: 1, ethernet: {}, ...key },
        mask: { recircId: 0xffffffff, inPort: 0xffffffff, ethernet: {}, ...mask },
        actions,
        ufidGiven: true,
      }
      const [put] = await backend.operate([{ verb: 'create', flow, choice: { backend: 'tc' } }])
      if (put?.error?.kernel?.includes(noZones)) {
        t.comment(`${name}: ${put.error.kernel}`)
        t.match(show(actions), /"zone":/, 'only a kernel without CONFIG_NF_CONNTRACK_ZONES says so')
        continue
      }
      if (!t.equal(put?.error, undefined, `${name}: ${put?.error?.kernel ?? put?.error?.message ?? 'taken'}`))
        continue
      const [got] = await backend.operate([{ verb: 'get', id }])
      t.same(got?.flow?.actions, canonicalActions(actions), `${name}: ${show(got?.flow?.actions)}`)
      if (process.env.DPIF_SHOW) t.comment(tc(`filter show dev ${ports[0]} ingress`))
      await backend.operate([{ verb: 'del', id, wantStats: false }])
    }
  })

  t.test('what openvswitch has no word for is not taken for something else', async (t) => {
    const { dpif, ports } = await bench(t, tcOnly(), 2)
    const ufid = '3f2a9c10-0000-4000-8000-0123456789ab'
    const cookie = Buffer.from(ufidToBytes(new ParsedUfid(ufid))).toString('hex')
    tc(`qdisc add dev ${ports[0]} ingress`)
    for (const [actions, read] of strange) {
      const rest = `action mirred egress redirect dev ${ports[1]} cookie ${cookie}`
      run(
        'sh',
        '-c',
        `tc filter add dev ${ports[0]} ingress protocol ip prio 7 flower ip_proto tcp action ${actions} ${rest}`,
      )
      const seen = []
      for await (const flow of dpif.dump()) seen.push(flow)
      t.same(
        seen.map((flow) => flow.actions),
        [read],
        actions,
      )
      tc(`filter del dev ${ports[0]} ingress`)
    }
    tc(
      `filter add dev ${ports[0]} ingress protocol ip prio 7 flower action mirred egress mirror dev ${ports[1]} cookie ${cookie}`,
    )
    for await (const { actions } of dpif.dump()) t.same(actions, [{ output: 2 }, foreign('no end')])
  })
}
