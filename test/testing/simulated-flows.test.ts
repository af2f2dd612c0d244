import { ParsedUfid } from '../../lib/ovs/ufid.js'
import t from 'tap'
import type { Action } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'
import { OvsBackend } from '../../lib/backend/ovs/flows.js'
import { flow, ufidFlags } from '../../lib/ovs/flow.js'
import { exactMask } from '../../lib/ovs/view.js'
import { SimulatedKernel } from '../../lib/testing/simulated-kernel/index.js'
import { Families } from '../../lib/transport/family.js'
import { CREATE, ECHO, Ovs, tcpKey, view } from './helpers.js'

async function start() {
  let now = 1000
  const kernel = new SimulatedKernel({ now: () => now })
  const ovs = new Ovs(kernel)
  const { replies } = await ovs.datapath('NEW', { name: 'dp0', upcallPid: 0 }, 0, ECHO)
  const dp = replies[0]?.header.dpIfindex ?? 0
  for (const name of ['eth0', 'eth1']) {
    kernel.addDevice(name)
    await ovs.vport('NEW', { name, type: 1, upcallPids: [0] }, dp)
  }
  return { kernel, ovs, dp, at: (time: number) => (now = time) }
}

const ufid = (number: number) => new Uint8Array(16).fill(number)
const out: readonly Action[] = [{ output: 2 }]
const port80: FlowKey = { etherType: 0xffff, ipv4: { proto: 0xff }, tcp: { src: 0, dst: 0xffff } }

t.test('a flow comes back as the kernel spells it', async (t) => {
  const { ovs, dp } = await start()
  const body = { ufid: ufid(1), key: tcpKey, mask: port80, actions: out }
  t.equal((await ovs.flow('NEW', body, dp, CREATE)).errno, 0)
  const [got] = (await ovs.flow('GET', { ufid: ufid(1) }, dp)).replies
  t.match(got?.body.key, {
    recircId: 0,
    inPort: 0,
    etherType: 0x0800,
    ipv4: { src: '0.0.0.0', proto: 6 },
    tcp: { src: 0, dst: 80 },
  })
  t.same(Object.keys(got?.body.key ?? {}), [
    ...['recircId', 'dpHash', 'skbPriority', 'inPort', 'skbMark', 'ctState', 'ctZone', 'ctMark', 'ctLabels'],
    ...['ethernet', 'etherType', 'ipv4', 'tcp', 'tcpFlags'],
  ])
  t.equal(got?.body.mask?.inPort, 0xffff0000, 'a wild port has the upper half of its mask set')
  t.same(got?.body.mask?.tunnel, { ttl: 0 }, 'the TTL of no tunnel')
  t.same(got?.body.actions, out)
  t.notOk('stats' in (got?.body ?? {}), 'counters that are zero are not sent')
  const again = { ...body, ufid: ufid(2), key: got?.body.key as FlowKey, mask: got?.body.mask as FlowKey }
  await ovs.flow('DEL', { ufid: ufid(1) }, dp)
  t.equal((await ovs.flow('NEW', again, dp, CREATE)).errno, 0, 'what was dumped can be put')
})

t.test('flows are found by ufid, by packet or by exact key', async (t) => {
  const { ovs, dp } = await start()
  const put = (body: object, more: number = CREATE) =>
    ovs.flow('NEW', { key: tcpKey, actions: out, ...body }, dp, more)
  await put({ ufid: ufid(1), mask: port80 })
  t.equal((await put({ ufid: ufid(2) })).errno, 17, 'a narrower flow in the wider one')
  t.equal((await put({})).errno, 17)
  t.equal((await ovs.flow('GET', { key: tcpKey }, dp)).errno, 2, 'a ufid flow has no key to be found by')
  t.equal((await ovs.flow('DEL', { ufid: ufid(9) }, dp)).errno, 2)
  await ovs.flow('DEL', { ufid: ufid(1) }, dp)
  t.equal((await put({ mask: port80 })).errno, 0)
  t.equal((await ovs.flow('GET', { key: tcpKey }, dp)).errno, 0)
  t.equal((await ovs.flow('SET', { key: { ...tcpKey, tcp: { src: 1, dst: 80 } }, actions: [] }, dp)).errno, 2)
  t.equal((await put({ actions: [] }, 0)).errno, 0, 'without CREATE it is replaced')
  const [terse] = await ovs.dump(flow, dp, { ufidFlags: ufidFlags.OMIT_ALL })
  t.same(Object.keys(terse ?? {}), ['key'], 'a flow without a ufid is always told by its key')
  t.equal((await ovs.flow('DEL', {}, dp)).errno, 0)
  t.same(await ovs.dump(flow, dp), [], 'a deletion that names nothing empties the table')
})

t.test('SET answers before it clears, and wants a key beside actions', async (t) => {
  const { kernel, ovs, dp, at } = await start()
  await ovs.flow('NEW', { ufid: ufid(1), key: tcpKey, mask: port80, actions: out }, dp, CREATE)
  at(5000)
  t.same(kernel.receive('eth0', tcpKey, 100), { by: 'ovs', offloaded: false, outputs: ['eth1'] })
  const { replies } = await ovs.flow('SET', { ufid: ufid(1), clear: true }, dp, ECHO)
  t.match(replies[0]?.body, { stats: { packets: 1n, bytes: 100n }, used: 5000n, tcpFlags: 0x10 })
  t.notOk('stats' in ((await ovs.flow('GET', { ufid: ufid(1) }, dp)).replies[0]?.body ?? {}))
  t.equal((await ovs.flow('SET', { ufid: ufid(1), actions: [] }, dp)).errno, 22)
  t.equal((await ovs.flow('SET', { ufid: ufid(1), key: tcpKey, mask: port80, actions: [] }, dp)).errno, 0)
  t.same(kernel.receive('eth0', tcpKey), { by: 'ovs', offloaded: false, outputs: [] })
  t.equal(kernel.receive('eth0', { ...tcpKey, tcp: { src: 1, dst: 81 } }).by, 'miss')
  const [dp0] = (await ovs.datapath('GET', {}, dp)).replies
  t.match(dp0?.body, { stats: { hit: 2n, missed: 1n, flows: 1n }, megaflowStats: { masks: 1 } })
})

const { tcpFlags: _, ...noFlags } = tcpKey
const { ipv4: __, ...noIp } = tcpKey
const vlan = { vid: 7, pcp: 0, cfi: 1 }
const tagged: FlowKey = { inPort: 1, ethernet: {}, etherType: 0x8100, vlan, encap: { etherType: 0x1234 } }

t.test('what the kernel finds wrong is refused', async (t) => {
  const rows: [string, { key?: FlowKey; mask?: FlowKey; actions?: readonly Action[] }, number][] = [
    ['a whole key', {}, 0],
    ['tcp without flags', { key: noFlags }, 22],
    ['eth_type without its header', { key: noIp }, 22],
    ['neither eth nor eth_type', { key: { inPort: 1 } }, 22],
    ['an eth_type below 0x600', { key: { ethernet: {}, etherType: 5 } }, 22],
    ['802.2', { key: { ethernet: {} } }, 0],
    ['in_port 65535', { key: { ...tcpKey, inPort: 65535 } }, 22],
    ['an unknown attribute', { key: { ...tcpKey, unknown: [{ id: 33, data: new Uint8Array(4) }] } }, 22],
    [
      'an attribute twice',
      { key: { ...tcpKey, unknown: [{ id: 2, data: new Uint8Array(4) }], skbPriority: 1 } },
      22,
    ],
    ['a wrong length', { key: { ...tcpKey, unknown: [{ id: 2, data: new Uint8Array(3) }] } }, 22],
    ['ct_state beyond what is known', { key: { ...tcpKey, ctState: 0x100 } }, 22],
    ['a mask without its key', { mask: { udp: { src: 1, dst: 0 } } }, 22],
    ['a mask of tcp without the protocol', { mask: { etherType: 0xffff, tcp: { src: 1, dst: 0 } } }, 22],
    ['a mask of ipv4 without the type', { mask: { ipv4: { proto: 0xff } } }, 22],
    ['half a mask of eth_type', { mask: { etherType: 1, ipv4: { proto: 0xff } } }, 0],
    ['a tag', { key: tagged }, 0],
    ['a tag without CFI', { key: { ...tagged, vlan: { vid: 7, cfi: 0 } } }, 22],
    ['a cut tag', { key: { ...tagged, vlan: { cfi: 0 }, encap: {} }, mask: {} }, 0],
    ['a cut tag matched exactly', { key: { ...tagged, vlan: { cfi: 0 }, encap: {} } }, 22],
    ['a tag without encap', { key: { ethernet: {}, etherType: 0x8100, vlan } }, 22],
    ['a tag without its type in the mask', { key: tagged, mask: { vlan, encap: { etherType: 0xffff } } }, 22],
    [
      'encap in the mask of an untagged flow',
      { mask: { etherType: 0xffff, vlan, encap: { etherType: 1 } } },
      22,
    ],
    ['output to 65535', { actions: [{ output: 65535 }] }, 22],
    ['push_vlan without CFI', { actions: [{ pushVlan: { vid: 1, cfi: 0 } }] }, 22],
    ['push_vlan of another type', { actions: [{ pushVlan: { tpid: 0x9100, vid: 1 } }] }, 22],
    ['drop, which is younger', { actions: [{ drop: 0 }] }, 22],
    ['an unknown action', { actions: [{ unknown: [{ id: 99, data: new Uint8Array(4) }] }] }, 22],
    ['a set of what is there', { actions: [{ set: { tcp: { src: 1, dst: 2 } } }] }, 0],
    ['a set of another protocol', { actions: [{ set: { udp: { src: 1, dst: 2 } } }] }, 22],
    ['a set of a wild protocol', { mask: {}, actions: [{ set: { tcp: { src: 1, dst: 2 } } }] }, 22],
    ['a set that changes the protocol', { actions: [{ set: { ipv4: { proto: 17 } } }] }, 22],
    ['a set of ARP', { actions: [{ set: { arp: {} } }] }, 22],
    [
      'a masked set outside its mask',
      { actions: [{ setMasked: { key: { skbMark: 3 }, mask: { skbMark: 1 } } }] },
      22,
    ],
    ['a masked set', { actions: [{ setMasked: { key: { skbMark: 1 }, mask: { skbMark: 3 } } }] }, 0],
  ]
  const { ovs, dp } = await start()
  for (const [what, parts, errno] of rows) {
    const body = { ufid: ufid(1), key: tcpKey, actions: [], ...parts }
    const answer = await ovs.flow('NEW', body, dp, CREATE)
    t.equal(answer.errno, errno, what)
    t.equal(answer.text, undefined, 'openvswitch says nothing more')
    if (errno === 0) await ovs.flow('DEL', { ufid: ufid(1) }, dp)
  }
})

t.test('a refused policy says which attribute it is about', async (t) => {
  const { ovs, dp } = await start()
  const body = { key: tcpKey, actions: [], unknown: [{ id: 10, data: new Uint8Array(2) }] }
  const answer = await ovs.flow('NEW', body, dp, CREATE)
  t.match(answer, { errno: 34, text: 'Attribute failed policy validation' })
})

t.test('dumps come in pages and see what comes meanwhile', async (t) => {
  const { kernel, ovs, dp } = await start()
  for (let number = 0; number < 200; number++) {
    const id = new Uint8Array(16)
    id[0] = number
    await ovs.flow(
      'NEW',
      { ufid: id, key: { ...tcpKey, tcp: { src: number, dst: 80 } }, actions: out },
      dp,
      CREATE,
    )
  }
  t.equal((await ovs.dump(flow, dp)).length, 200)
  t.equal((await ovs.datapath('GET', {}, dp)).replies[0]?.body.stats?.flows, 200n)
  kernel.removeDevice('dp0')
  await t.rejects(ovs.dump(flow, dp), { code: 'NO_PORT', errno: 19 })
})

t.test('OvsBackend finds in it what it put there', async (t) => {
  const { kernel, dp } = await start()
  const families = new Families(kernel)
  const backend = new OvsBackend(kernel, () => families.id(flow), dp)
  const id = '3f2a9c10-0000-4000-8000-0123456789ab'
  const choice = { backend: 'ovs' } as const
  const one = view(id, { key: tcpKey, actions: out })
  const [made, twice] = await backend.operate([
    { verb: 'create', flow: one, choice },
    { verb: 'create', flow: one, choice },
  ])
  t.notOk(made?.error)
  t.equal(twice?.error?.code, 'EXISTS')
  kernel.receive('eth0', tcpKey, 60)
  for await (const [found] of backend.dump({ terse: false })) {
    t.equal(found?.ufid, id)
    t.match(found?.key, tcpKey)
    t.match(found?.mask, exactMask(tcpKey))
    t.same(found?.actions, out)
    t.match(found?.stats, { packets: 1n, bytes: 60n })
  }
  await backend.flush()
  const [gone] = await backend.operate([{ verb: 'get', id: new ParsedUfid(id) }])
  t.equal(gone?.error?.code, 'NOT_FOUND')
  const [bad] = await backend.operate([{ verb: 'create', flow: view(id, { key: noFlags }), choice }])
  t.match(bad?.error, { code: 'INVALID', path: 'tcpFlags' })
})
