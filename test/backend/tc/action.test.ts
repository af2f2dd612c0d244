import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import type { Action } from '../../../types/action.js'
import {
  type Abilities,
  type Frame,
  readActions,
  translateActions,
} from '../../../lib/backend/tc/action/index.js'
import { Writer } from '../../../lib/netlink/writer.js'
import { type TcAction, tcActions } from '../../../lib/tc/action/index.js'
import { canonicalActions, anyActions, everything, frames, portsWith, random } from './actions.js'

const ports = portsWith()

/** TC actions as the kernel would get and report them. */
function throughBytes(actions: readonly TcAction[]): readonly TcAction[] {
  const writer = new Writer()
  tcActions.write(writer, actions)
  return tcActions.read(writer.bytes, 0, writer.length)
}

const translate = (
  actions: readonly Action[],
  frame: Frame = frames.tcp,
  abilities: Abilities = everything,
) => translateActions(actions, frame, portsWith(abilities))

const there = (actions: readonly Action[], frame?: Frame) => {
  const { actions: list, objections } = translate(actions, frame)
  return { kinds: list.map(({ kind }) => kind), objections, back: readActions(throughBytes(list), ports) }
}

const refusals = (actions: readonly Action[], frame?: Frame, abilities?: Abilities) =>
  translate(actions, frame, abilities).objections.map(({ path, reason }) => `${path} ${reason}`)

const texts = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)

t.test(
  'whatever is translated is read back as it was, and the rest is refused with a path and a reason',
  async (t) => {
    const pick = random(20261123)
    const names = Object.keys(frames) as (keyof typeof frames)[]
    const carried = new Map<string, number>()
    let refused = 0
    for (let turn = 0; turn < 40_000; turn++) {
      const frame = frames[names[pick(names.length)] as keyof typeof frames]
      const actions = anyActions(pick)
      const { objections, actions: list } = translate(actions, frame)
      if (objections.length > 0) {
        refused++
        const wrong = objections.find(
          ({ path, problem }) => !/^(actions|ipv[46])/.test(path) || problem.length < 10,
        )
        if (wrong !== undefined) t.fail('an objection without a path or a sentence', { wrong, actions })
        continue
      }
      for (const action of actions) {
        const [name = ''] = Object.keys(action)
        carried.set(name, (carried.get(name) ?? 0) + 1)
      }
      const back = readActions(throughBytes(list), ports)
      const wanted = canonicalActions(actions)
      if (isDeepStrictEqual(back, wanted)) continue
      t.same(back, wanted, JSON.stringify(actions, texts))
      return
    }
    t.ok(refused > 1000, `${refused} were refused`)
    const all = [
      'output',
      'set',
      'setMasked',
      'ct',
      'ctClear',
      'pushVlan',
      'popVlan',
      'pushMpls',
      'popMpls',
      'addMpls',
    ]
    const more = [
      'popEth',
      'pushEth',
      'meter',
      'decTtl',
      'psample',
      'sample',
      'clone',
      'checkPktLen',
      'drop',
      'recirc',
    ]
    for (const name of [...all, ...more]) t.ok((carried.get(name) ?? 0) > 20, `${name}: ${carried.get(name)}`)
  },
)

t.test('every list ends: in an output, in a chain, or in a drop', async (t) => {
  const last = (actions: readonly Action[]) => translate(actions).actions.at(-1)
  t.match(last([]), { kind: 'gact', options: { parms: { action: 2 } } })
  t.match(last([{ setMasked: { key: { skbMark: 1 }, mask: { skbMark: 1 } } }]), { kind: 'gact' })
  t.match(last([{ output: 1 }]), { kind: 'mirred', options: { parms: { action: 4, eaction: 1 } } })
  t.match(last([{ output: 1 }, { drop: 0 }]), { kind: 'gact', options: { parms: { action: 2 } } })
  t.match(last([{ recirc: 9 }]), { kind: 'gact', options: { parms: { action: 0x20000009 } } })
  t.match(last([{ clone: [{ output: 1 }] }]), { kind: 'mirred', options: { parms: { action: 4 } } })
})

t.test('a list that ends in the verdict of its last action is read, as OVS writes them', async (t) => {
  const popVlan = { popVlan: true } as const
  const rewrite = { setMasked: { key: { ipv4: { ttl: 9 } }, mask: { ipv4: { ttl: 0xff } } } }
  for (const actions of [[popVlan], [popVlan, { ctClear: true } as const], [rewrite]]) {
    const list = translate(actions).actions.slice(0, -1)
    const last = list.at(-1) as { readonly options: { readonly parms: object } }
    const parms = { ...last.options.parms, action: 2 }
    const ended = [...list.slice(0, -1), { ...last, options: { ...last.options, parms } }] as TcAction[]
    t.same(readActions(throughBytes(ended), ports), canonicalActions(actions))
  }
})

t.test('longer packets go on, the others jump over them', async (t) => {
  const check = {
    checkPktLen: {
      size: 1500,
      greater: [{ output: 2 }],
      lessEqual: [{ popVlan: true } as const, { output: 3 }],
    },
  }
  const { actions } = translate([check], frames.tagged)
  t.match(actions[0], { kind: 'police', options: { parms: { action: 3, mtu: 1500 }, result: 0x10000002 } })
  t.same(
    actions.map(({ kind }) => kind),
    ['police', 'mirred', 'vlan', 'mirred'],
  )
  t.same(there([check], frames.tagged).back, [check])
  const empty = { checkPktLen: { size: 9, greater: [], lessEqual: [] } }
  t.same(there([empty]).kinds, ['police', 'gact', 'gact'])
  t.same(refusals([{ ctClear: true }, check]), ['actions[1].checkPktLen ORDER'])
  t.same(refusals([check, { output: 1 }]), ['actions[0].checkPktLen ORDER'])
  const within = { checkPktLen: { size: 9, greater: [check], lessEqual: [{ output: 9 }] } }
  t.same(refusals([within]), [
    'actions[0].checkPktLen.greater[0].checkPktLen ORDER',
    'actions[0].checkPktLen.lessEqual[0].output NO_PORT',
  ])
})

t.test('each way of a packet that came through a tunnel releases it once', async (t) => {
  const kinds = (actions: readonly Action[]) => there(actions, frames.decap).kinds
  t.same(kinds([{ output: 2 }, { output: 3 }]), ['tunnel_key', 'mirred', 'mirred'])
  t.same(kinds([]), ['gact'])
  t.same(kinds([{ recirc: 5 }]), ['gact'])
  const ways = { checkPktLen: { size: 9, greater: [{ output: 2 }], lessEqual: [{ output: 3 }] } }
  t.same(kinds([ways]), ['police', 'tunnel_key', 'mirred', 'tunnel_key', 'mirred'])
})

t.test('a copy is flattened only where nobody sees a difference', async (t) => {
  t.same(there([{ clone: [{ output: 2 }] }, { output: 3 }]).back, [{ output: 2 }, { output: 3 }])
  const changes = [{ popVlan: true } as const, { output: 2 }]
  t.same(there([{ clone: changes }], frames.tagged).back, changes)
  t.same(refusals([{ clone: changes }, { output: 3 }], frames.tagged), ['actions[0].clone[0].popVlan ORDER'])
  t.same(refusals([{ clone: [{ recirc: 5 }] }, { output: 3 }])[0], 'actions[0].clone[0].recirc ORDER')
  t.same(refusals([{ sample: { probability: 5, actions: [] } }]), [
    'actions[0].sample.probability NO_TC_ACTION',
  ])
})

t.test('a TTL is decremented only where it is known not to run out', async (t) => {
  const dec = { decTtl: { action: [] } }
  const set = { setMasked: { key: { ipv4: { ttl: 2 } }, mask: { ipv4: { ttl: 0xff } } } }
  t.same(refusals([dec, { output: 2 }], frames.tcp), [])
  t.same(refusals([dec, { output: 2 }], frames.ip), ['actions[0].decTtl UNPROVEN'])
  t.same(refusals([set, dec, { output: 2 }], frames.ip), [])
  t.same(refusals([set, dec, dec, { output: 2 }], frames.ip), ['actions[2].decTtl UNPROVEN'])
  t.same(refusals([dec, dec, { output: 2 }], frames.udp6), [])
  t.same(refusals([dec, dec, dec, { output: 2 }], frames.udp6), ['actions[2].decTtl UNPROVEN'])
  t.same(refusals([{ decTtl: { action: [{ output: 1 }] } }]), ['actions[0].decTtl.action LOST_VALUE'])
  t.match(translate([dec], frames.tcp).actions[1], { kind: 'csum', options: { parms: { updateFlags: 1 } } })
})

t.test('a port of the host gets a packet for whom openvswitch would say it is', async (t) => {
  const to = (dst: string) => ({ ...frames.tcp, key: { ...frames.tcp.key, ethernet: { dst } } })
  const type = (dst: string) => translate([{ output: 0 }], to(dst)).actions[0]
  t.match(type('02:00:00:00:00:10'), { kind: 'skbedit', options: { ptype: 0 } })
  t.match(type('ff:ff:ff:ff:ff:ff'), { options: { ptype: 1 } })
  t.match(type('01:00:5e:00:00:01'), { options: { ptype: 2 } })
  t.same(refusals([{ output: 0 }], to('02:00:00:00:00:99')), ['actions[0].output UNPROVEN'])
  t.same(refusals([{ output: 0 }], to('02:00:00:00:00:10'), {}), ['actions[0].output UNPROVEN'])
  t.same(there([{ output: 0 }, { output: 2 }]).back, [{ output: 0 }, { output: 2 }])
})

t.test('headers are rewritten only where TC looks for them', async (t) => {
  const ttl = { setMasked: { key: { ipv4: { ttl: 2 } }, mask: { ipv4: { ttl: 0xff } } } }
  const tcp = { setMasked: { key: { tcp: { dst: 2 } }, mask: { tcp: { dst: 0xffff } } } }
  t.same(refusals([ttl], frames.tagged), [])
  t.same(refusals([ttl], frames.twice), ['actions[0].setMasked.ipv4 NO_TC_ACTION'])
  t.same(refusals([{ popVlan: true }, ttl], frames.twice), [])
  t.same(refusals([ttl], frames.arp), ['actions[0].setMasked.ipv4 UNPROVEN'])
  t.same(refusals([tcp], frames.ip), ['actions[0].setMasked.tcp UNPROVEN'])
  t.same(refusals([tcp], frames.udp6), ['actions[0].setMasked.tcp UNPROVEN'])
  const label = { label: 5, ttl: 64, bos: 1, etherType: 0x8847 }
  t.same(refusals([{ pushMpls: label }, ttl]), ['actions[1].setMasked.ipv4 UNPROVEN'])
  t.same(refusals([{ ct: {} }], frames.twice), ['actions[0].ct NO_TC_ACTION'])
})

t.test('a packet without an Ethernet header gets one before it leaves', async (t) => {
  const eth = { pushEth: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' } }
  t.same(refusals([{ popEth: true }, { output: 2 }]), ['actions[1].output NO_TC_ACTION'])
  t.same(refusals([{ popEth: true }, eth, { output: 2 }]), [])
  t.same(refusals([eth]), ['actions[0].pushEth KERNEL_RULE'])
})
