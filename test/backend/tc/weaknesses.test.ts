import t from 'tap'
import { create } from '../create.js'
import type { Action } from '../../../types/action.js'
import type { FlowView } from '../../../types/backend.js'
import type { FlowKey, TunnelKey } from '../../../types/flow.js'
import type { Transport } from '../../../types/transport.js'
import { type Abilities, readActions, translateActions } from '../../../lib/backend/tc/action/index.js'
import { TcBackend } from '../../../lib/backend/tc/flows.js'
import { messagesOf } from '../../../lib/netlink/reader.js'
import { Writer } from '../../../lib/netlink/writer.js'
import { ParsedUfid } from '../../../lib/ovs/ufid.js'
import { type TcAction, tcActions } from '../../../lib/tc/action/index.js'
import { everything, frames, portsWith } from './actions.js'

// What the translation of others gets wrong: rows of the list of weak points in the reference, each by its number and its subject.

const ports = portsWith()
const translate = (actions: readonly Action[], frame: keyof typeof frames = 'tcp', abilities?: Abilities) =>
  translateActions(actions, frames[frame], abilities === undefined ? ports : portsWith(abilities))
const refusals = (actions: readonly Action[], frame?: keyof typeof frames, abilities?: Abilities) =>
  translate(actions, frame, abilities).objections.map(({ path, reason }) => `${path} ${reason}`)
const via = (tunnel: TunnelKey): Action => ({ set: { tunnel: { dst: '10.0.0.1', ttl: 64, ...tunnel } } })
const throughBytes = (list: readonly TcAction[]) => {
  const writer = new Writer()
  tcActions.write(writer, list)
  return { size: writer.length, list: tcActions.read(writer.bytes, 0, writer.length) }
}

t.test(
  '7: every refusal is data of one form, too many actions and a chain after a release among them',
  async (t) => {
    const many = Array.from({ length: 33 }, () => ({ output: 2 }))
    t.same(refusals(many), ['actions TOO_MANY'])
    t.same(refusals(many.slice(1)), [])
    t.same(refusals([{ output: 2 }, { recirc: 5 }], 'decap'), ['actions[1].recirc ORDER'])
    for (const { code, path, reason, problem } of translate([{ hash: {} }, { userspace: { pid: 1 } }])
      .objections) {
      t.match(
        { code, path, reason, problem },
        { code: 'UNSUPPORTED_ACTION', path: /^actions/, reason: /^[A-Z_]+$/, problem: /\w/ },
      )
    }
  },
)

t.test('8: a recirculation id of more than 28 bits is no chain', async (t) => {
  t.same(refusals([{ recirc: 0x0fffffff }]), [])
  t.same(refusals([{ recirc: 0x10000000 }]), ['actions[0].recirc VALUE_TOO_LARGE'])
  t.same(refusals([{ recirc: 0xffffffff }]), ['actions[0].recirc VALUE_TOO_LARGE'])
  t.same(refusals([{ recirc: 5 }], 'tcp', {}), ['actions[0].recirc NOT_SHARED'])
})

t.test('11: a tunnel id of more than 32 bits is not cut', async (t) => {
  t.same(refusals([via({ id: 0xffffffffn })]), [])
  t.same(refusals([via({ id: 1n << 32n })]), ['actions[0].set.tunnel.id VALUE_TOO_LARGE'])
})

t.test(
  '12: "do not fragment" is set where the kernel is known to set it, and refused elsewhere',
  async (t) => {
    t.same(refusals([via({ df: true })]), [])
    t.same(refusals([via({ df: true })], 'tcp', {}), ['actions[0].set.tunnel.df NEEDS_KERNEL'])
  },
)

t.test('13: a group policy is sent with every bit the kernel keeps, and no other', async (t) => {
  t.match(translate([via({ vxlan: { gbp: 0x80000 } })]).actions[0], {
    options: { encap: { vxlan: { gbp: 0x80000 } } },
  })
  t.same(refusals([via({ vxlan: { gbp: 0x10000 } })]), ['actions[0].set.tunnel.vxlan.gbp KERNEL_RULE'])
})

t.test('14: what conntrack would do otherwise is refused where it stands', async (t) => {
  const of = (ct: object) => refusals([{ output: 2 }, { ct: { commit: true, ...ct } }])
  t.same(of({ timeout: 'long' }), ['actions[1].ct.timeout NO_TC_ACTION'])
  t.same(of({ eventMask: 1 }), ['actions[1].ct.eventMask NO_TC_ACTION'])
  for (const part of ['persistent', 'protoHash', 'protoRandom']) {
    t.same(of({ nat: { src: true, [part]: true } }), [`actions[1].ct.nat.${part} NO_TC_ACTION`])
  }
})

t.test('15: a whole header is set whole, or not at all', async (t) => {
  const label = translate([{ set: { ipv6: { label: 5, proto: 17 } } }], 'udp6')
  t.same(label.objections, [])
  t.match(readActions(label.actions, ports), [
    { setMasked: { key: { ipv6: { label: 5 } }, mask: { ipv6: { label: 0xfffff } } } },
  ])
  t.same(refusals([{ set: { ipv6: { proto: 6 } } }], 'udp6'), ['actions[0].set.ipv6.proto NO_TC_ACTION'])
  t.same(
    refusals([{ set: { ipv4: { proto: 6 } } }], 'ip').includes('actions[0].set.ipv4.proto NO_TC_ACTION'),
    true,
  )
})

t.test(
  '28: a verdict that is no jump is not taken for one, and every action’s verdict is looked at',
  async (t) => {
    const gact = (action: number): TcAction => ({ kind: 'gact', options: { parms: { action } } })
    const foreign = (name: string) => ({ unknown: [{ id: 0, data: new TextEncoder().encode(name) }] })
    const end = foreign('no end')
    t.same(readActions([gact(-1)], ports), [foreign('gact'), end])
    t.same(readActions([gact(0x30000005)], ports), [foreign('gact'), end])
    t.same(readActions([gact(0x20000005)], ports), [{ recirc: 5 }])
    t.same(readActions([gact(2)], ports), [])
    const csum: TcAction = { kind: 'csum', options: { parms: { action: -1, updateFlags: 1 } } }
    t.same(readActions([csum, gact(2)], ports), [foreign('csum')])
    const ct: TcAction = { kind: 'ct', options: { parms: { action: 0x10000002 }, flags: 0 } }
    t.same(readActions([ct, gact(2)], ports), [foreign('ct')])
    const police = (result: number): TcAction => ({
      kind: 'police',
      options: { parms: { action: 3, mtu: 9 }, result },
    })
    t.same(readActions([police(-1), gact(2), gact(2)], ports), [foreign('police')])
    // Backwards, onto itself, beyond the end, and from another place than the first.
    for (const target of [0, 1, 3, 0x1ff]) {
      t.same(
        readActions([police(0x10000000 | target), gact(2), gact(2)], ports),
        [foreign('police')],
        `${target}`,
      )
    }
    const late = [
      { kind: 'ct', options: { parms: { action: 3 }, flags: 4 } } as TcAction,
      police(0x10000003),
      gact(2),
      gact(2),
    ]
    t.same(readActions(late, ports), [{ ctClear: true }, foreign('police')])
  },
)

t.test(
  '34: a meter that is no policer is never named, which would make one that limits nothing',
  async (t) => {
    t.same(refusals([{ meter: 99 }]), ['actions[0].meter NO_METER'])
    t.same(refusals([{ meter: 1 }], 'tcp', {}), ['actions[0].meter NO_METER'])
    t.match(translate([{ meter: 1 }]).actions[0], {
      kind: 'police',
      options: { parms: { index: 0x10000001 } },
    })
  },
)

t.test('45: what TC can do is asked of it', async (t) => {
  const eth = { pushEth: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' } }
  const all: readonly Action[] = [
    { psample: { group: 5 } },
    { decTtl: { action: [] } },
    { popEth: true },
    eth,
    { set: { skbMark: 5 } },
    { set: { skbPriority: 5 } },
    { ct: { commit: true, helper: 'ftp' } },
    via({ erspan: Uint8Array.of(1, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0) }),
    { output: 2 },
  ]
  t.same(refusals(all), [])
  t.same(refusals([{ set: { sctp: { src: 1, dst: 2 } } }]), ['actions[0].set.sctp NO_TC_ACTION'])
})

t.test('47: out of a tunnel, to a port and on to a chain is possible the other way round only', async (t) => {
  t.same(refusals([{ output: 2 }, { recirc: 5 }], 'decap'), ['actions[1].recirc ORDER'])
  t.same(refusals([{ ctClear: true }, { recirc: 5 }], 'decap'), [])
})

t.test('66: actions of any size are read back', async (t) => {
  const { actions, objections } = translate(
    Array.from({ length: 16 }, (_, n) => [
      via({
        dst: '0.0.0.0',
        ipv6Dst: `fd00::${n + 1}`,
        id: BigInt(n),
        geneve: new Uint8Array(252).fill(0).map((_, at) => (at % 12 === 3 ? 2 : 7)),
      }),
      { output: 2 } as Action,
    ]).flat(),
  )
  t.same(objections, [])
  const { size, list } = throughBytes(actions)
  t.ok(size > 8000, `${size} bytes`)
  t.equal(readActions(list, ports).length, 32)
})

t.test(
  'flows that share their actions are looked at one by one where the actions depend on them',
  async (t) => {
    let messages = 0
    const transport: Transport = {
      name: 'recorder',
      exchange: async (_protocol, batch) => {
        for (const { type } of messagesOf(batch)) if (type === 44) messages++
        return { count: 0, failures: [], replies: new Uint8Array() }
      },
      dump: () => {
        throw new Error('nothing is dumped here')
      },
      listen: () => {
        throw new Error('nothing is dumped here')
      },
      close: async () => {},
    }
    const backend = new TcBackend(transport, { abilities: everything })
    backend.portsChanged(
      [0, 1, 2].map((number) => ports.byNumber(number) as NonNullable<ReturnType<typeof ports.byNumber>>),
    )
    const put = (actions: readonly Action[], keys: readonly FlowKey[]) => {
      const { mask } = frames.tcp
      const flows = keys.map((more, n): FlowView => {
        const id = new ParsedUfid(`0000000${n}-0000-4000-8000-${messages.toString().padStart(12, '0')}`)
        const key = { recircId: 0, ...frames.tcp.key, ...more }
        const { ufid, w0, w1, w2, w3 } = id
        return { ufid, w0, w1, w2, w3, mode: 'create', inPort: 1, key, mask, actions, ufidGiven: true }
      })
      return create(backend, flows, { backend: 'tc' })
    }
    const ttl = (value: number) => ({ ipv4: { proto: 6, ttl: value } })
    const dec = await put([{ decTtl: { action: [] } }, { output: 2 }], [ttl(64), ttl(1), ttl(9)])
    t.match(dec, [{ index: 1, error: { reason: 'UNPROVEN', path: 'actions[0].decTtl' } }])
    t.equal(dec.length, 1)
    const to = (dst: string) => ({ ethernet: { dst } })
    const host = await put(
      [{ output: 0 }],
      [to('ff:ff:ff:ff:ff:ff'), to('02:00:00:00:00:99'), to('01:00:5e:00:00:01')],
    )
    t.match(host, [{ index: 1, error: { reason: 'UNPROVEN', path: 'actions[0].output' } }])
    t.equal(host.length, 1)
    t.equal(messages, 4)
  },
)
