import t from 'tap'
import { call } from './call.js'

const flow = 'in_port(1),eth(),eth_type(0x0800),ipv4()'

// Lines of ovs-dpctl 3.1 (test/kernel/dpctl.test.ts compares them again).
t.test('actions are put under the tags they are done with, and outputs are sorted', async (t) => {
  const groups = async (key: string, actions: string) => {
    const { out } = await call(['normalize-actions', key, actions, '--json'])
    return (JSON.parse(out).groups as { tags: object[]; actions: object[] }[]).map(({ tags, actions }) => [
      tags.length,
      actions,
    ])
  }
  t.same(await groups(flow, '3,1,2'), [[0, [{ output: 1 }, { output: 2 }, { output: 3 }]]])
  t.same(await groups(flow, '3,push_vlan(vid=9,pcp=1),2,1,pop_vlan,5,4'), [
    [0, [{ output: 3 }, { output: 4 }, { output: 5 }].sort((a, b) => a.output - b.output)],
    [1, [{ output: 1 }, { output: 2 }]],
  ])
  t.same(await groups(flow, 'drop'), [])
  t.same(await call(['normalize-actions', flow, '3,push_vlan(vid=9,pcp=1),2,1']), {
    code: 0,
    out: `input flow: ${flow.replace('ipv4()', 'ipv4(src=0.0.0.0,dst=0.0.0.0,proto=0,tos=0,ttl=0,frag=no)').replace('eth()', 'eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00)')}\nno vlan: no mpls: 3vlan(vid=9,pcp=1): no mpls: 1,2`,
    err: '',
  })
})

t.test('ports may have names, and words that are none are named', async (t) => {
  const named = await call(['normalize-actions', flow.replace('1', 'a'), 'b,a', 'a=1', 'b=2'])
  t.match(named, { code: 0, out: /in_port\(1\).*: 1,2$/s })
  t.match(await call(['normalize-actions', flow, '1', 'zork']), { code: 1, err: /expected NAME=NUMBER/ })
  t.match(await call(['normalize-actions', 'zork', '1']), { code: 1, err: /parsing flow: / })
  t.match(await call(['normalize-actions', flow, 'zork']), { code: 1, err: /parsing actions: / })
})
