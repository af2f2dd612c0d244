import type { Action } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'
import type { Transport } from '../../types/transport.js'
import { flow, ufidFlags } from '../../lib/ovs/flow.js'
import { vport } from '../../lib/ovs/vport.js'
import { Writer } from '../../lib/netlink/writer.js'
import type { TcAction } from '../../lib/tc/action/index.js'
import { flower } from '../../lib/tc/flower.js'
import { writeMatch } from '../../lib/tc/match.js'
import { filterInfo, types } from '../../lib/tc/message.js'
import { CREATE, dumpFilters, ECHO, EXCL, filter, Ovs, qdisc, tcpKey } from './helpers.js'

// A conversation with a kernel, word for word: what was asked, and what came back. Held with a real kernel it is the recording
// that the simulated one is compared with. Devices eth0 (ifindex 2) and eth1 (3) have to be there, and nothing else.

const out: readonly Action[] = [{ output: 2 }]
const port80: FlowKey = { etherType: 0xffff, ipv4: { proto: 0xff }, tcp: { src: 0, dst: 0xffff } }
const tcp6: FlowKey = {
  ethernet: {},
  etherType: 0x86dd,
  ipv6: { src: 'fe80::1', dst: 'fe80::2', proto: 58, hlimit: 9 },
  icmpv6: { type: 128, code: 0 },
}
const vlan = { vid: 7, pcp: 3, cfi: 1 }
const tagged: FlowKey = { inPort: 1, ethernet: {}, etherType: 0x8100, vlan, encap: { etherType: 0x1234 } }
const { tcpFlags: _, ...noFlags } = tcpKey

// biome-ignore format: one row per line
const flows: readonly (readonly [string, { key?: FlowKey; mask?: FlowKey; actions?: readonly Action[] }])[] = [
  ['exact', {}],
  ['port 80', { mask: port80 }],
  ['802.2', { key: { ethernet: {} } }],
  ['802.2 with its type', { key: { ethernet: {} }, mask: { etherType: 0xffff } }],
  ['no ethernet', { key: { etherType: 0x1234 } }],
  ['ipv6', { key: tcp6 }],
  ['arp', { key: { ethernet: {}, etherType: 0x0806, arp: { sip: '10.0.0.1', op: 1 } } }],
  ['arp with a large op', { key: { ethernet: {}, etherType: 0x0806, arp: { op: 0x100 } } }],
  ['vlan', { key: tagged }],
  ['vlan, half of it', { key: tagged, mask: { etherType: 0xffff, vlan: { vid: 0xfff, pcp: 0, cfi: 1 }, encap: { etherType: 0xffff } } }],
  ['vlan, empty encap mask', { key: tagged, mask: { etherType: 0xffff, vlan, encap: {} } }],
  ['vlan, no mask', { key: tagged, mask: {} }],
  ['two tags', { key: { ethernet: {}, etherType: 0x88a8, vlan, encap: { etherType: 0x8100, vlan, encap: { etherType: 0x0800, ipv4: {} } } } }],
  ['three tags', { key: { ethernet: {}, etherType: 0x88a8, vlan, encap: { etherType: 0x8100, vlan, encap: { etherType: 0x8100 } } } }],
  ['no cfi', { key: { ...tagged, vlan: { vid: 7, cfi: 0 } } }],
  ['cut tag', { key: { ...tagged, vlan: { cfi: 0 }, encap: {} }, mask: {} }],
  ['cut tag, exact', { key: { ...tagged, vlan: { cfi: 0 }, encap: {} } }],
  ['no tcp flags', { key: noFlags }],
  ['sctp', { key: { ...tcpKey, ipv4: { proto: 132 } } }],
  ['in_port 65535', { key: { ...tcpKey, inPort: 65535 } }],
  ['in_port half masked', { mask: { inPort: 1, etherType: 0xffff } }],
  ['ct_state', { key: { ...tcpKey, ctState: 0x21, ctMark: 7, ctLabels: 5n }, mask: { ctState: 0xff, ctMark: 0xf, ctLabels: 1n } }],
  ['ct_state beyond', { key: { ...tcpKey, ctState: 0x100 } }],
  ['ct_state mask beyond', { mask: { ctState: 0xffffffff } }],
  ['udp mask', { mask: { udp: { src: 1 } } }],
  ['tcp mask without proto', { mask: { etherType: 0xffff, tcp: { src: 1 } } }],
  ['ipv4 mask without type', { mask: { ipv4: { proto: 1 } } }],
  ['half a type', { mask: { etherType: 1, ipv4: { proto: 0xff } } }],
  ['later fragment', { key: { ...tcpKey, ipv4: { proto: 6, frag: 2 } } }],
  ['frag 3', { key: { ...tcpKey, ipv4: { proto: 6, frag: 3 } } }],
  ['unknown key', { key: { ...tcpKey, unknown: [{ id: 33, data: new Uint8Array(4) }] } }],
  ['packet_type', { key: { ...tcpKey, unknown: [{ id: 29, data: new Uint8Array(4) }] } }],
  ['twice', { key: { ...tcpKey, skbPriority: 1, unknown: [{ id: 2, data: new Uint8Array(4) }] } }],
  ['bad length', { key: { ...tcpKey, unknown: [{ id: 2, data: new Uint8Array(3) }] } }],
  ['zero tunnel mask', { mask: { unknown: [{ id: 16, data: Uint8Array.of(5, 0, 4, 0, 0, 0, 0, 0) }] } }],
  ['output 65535', { actions: [{ output: 65535 }] }],
  ['output nowhere', { actions: [{ output: 999 }] }],
  ['push_vlan', { actions: [{ pushVlan: { vid: 1 } }] }],
  ['push_vlan 0x9100', { actions: [{ pushVlan: { tpid: 0x9100, vid: 1 } }] }],
  ['push_vlan no cfi', { actions: [{ pushVlan: { vid: 1, cfi: 0 } }] }],
  ['pop_vlan', { actions: [{ popVlan: true }] }],
  ['pop_vlan without ethernet', { key: { etherType: 0x1234 }, actions: [{ popVlan: true }] }],
  ['drop', { actions: [{ drop: 0 }] }],
  ['set tcp', { actions: [{ set: { tcp: { src: 1, dst: 2 } } }] }],
  ['set udp', { actions: [{ set: { udp: { src: 1, dst: 2 } } }] }],
  ['set tcp, wild proto', { mask: {}, actions: [{ set: { tcp: { src: 1, dst: 2 } } }] }],
  ['set ipv4 proto', { actions: [{ set: { ipv4: { proto: 17 } } }] }],
  ['set arp', { actions: [{ set: { arp: {} } }] }],
  ['set masked', { actions: [{ setMasked: { key: { skbMark: 1 }, mask: { skbMark: 3 } } }] }],
  ['set masked outside', { actions: [{ setMasked: { key: { skbMark: 3 }, mask: { skbMark: 1 } } }] }],
  ['set masked ttl', { actions: [{ setMasked: { key: { ipv4: { ttl: 3 } }, mask: { ipv4: { ttl: 0xff } } } }] }],
  ['set masked proto', { actions: [{ setMasked: { key: { ipv4: {} }, mask: { ipv4: { proto: 0xff } } } }] }],
]

type Line = readonly [asked: string, answer: unknown]

/** Holds the conversation and writes it down. */
export async function converse(transport: Transport): Promise<Line[]> {
  const lines: Line[] = []
  const ask = async <T>(asked: string, answer: Promise<T>): Promise<T> => {
    const got = await answer.catch((error: { errno?: number }) => ({ threw: error.errno }) as T)
    lines.push([asked, plain(got)])
    return got
  }
  await talkOfDatapaths(new Ovs(transport), ask)
  await talkOfFilters(transport, ask)
  return lines
}

type Ask = <T>(asked: string, answer: Promise<T>) => Promise<T>

async function talkOfDatapaths(ovs: Ovs, ask: Ask): Promise<void> {
  await ask('dp without a pid', ovs.datapath('NEW', { name: 'dpa' }))
  const made = await ask('dp', ovs.datapath('NEW', { name: 'dpa', upcallPid: 0 }, 0, ECHO))
  const dp = made.replies[0]?.header.dpIfindex ?? 0
  await ask('dp again', ovs.datapath('NEW', { name: 'dpa', upcallPid: 0 }))
  await ask('dp of a device', ovs.datapath('NEW', { name: 'eth0', upcallPid: 0 }))
  await ask('dp name too long', ovs.datapath('NEW', { name: '0123456789abcdef', upcallPid: 0 }))
  await ask('second dp', ovs.datapath('NEW', { name: 'dpb', upcallPid: 0 }))
  await ask('dp get', ovs.datapath('GET', { name: 'dpa' }))
  await ask('dp get by port', ovs.datapath('GET', { name: 'eth0' }))
  await ask('dp set', ovs.datapath('SET', { userFeatures: 0x10 }, dp))
  const add = (what: string, name: string, more: object = {}, at = dp) =>
    ask(what, ovs.vport('NEW', { name, type: 1, upcallPids: [0], ...more }, at, ECHO))
  await add('port', 'eth0')
  await add('port again', 'eth0')
  await add('port of another dp', 'eth0', {}, dp + 1)
  await add('port number taken', 'eth1', { portNo: 1 })
  await add('port number 65535', 'eth1', { portNo: 65535 })
  await add('no device', 'gone')
  await add('loopback', 'lo')
  await add('no datapath', 'eth1', {}, 99)
  await add('type 99', 'eth1', { type: 99 })
  await add('internal', 'int0', { type: 2, portNo: 7 })
  await add('internal again', 'int0', { type: 2 })
  await add('second port', 'eth1')
  await ask('port by name', ovs.vport('GET', { name: 'eth0' }, 0))
  await ask('port of the other dp', ovs.vport('GET', { name: 'int0' }, dp + 1))
  await ask('port by ifindex', ovs.vport('GET', { ifindex: 2 }, dp))
  await ask('no such port', ovs.vport('GET', { portNo: 5 }, dp))
  await ask('delete port 0', ovs.vport('DEL', { portNo: 0 }, dp))
  await ask('change type', ovs.vport('SET', { portNo: 7, type: 1 }, dp))
  await ask('delete port', ovs.vport('DEL', { portNo: 7 }, dp, ECHO))
  await ask('ports', ovs.dump(vport, dp))
  await ask('ports of nothing', ovs.dump(vport, 99))

  const id = (number: number) => new Uint8Array(16).fill(number)
  for (const [what, parts] of flows) {
    const body = { key: tcpKey, actions: out, ...parts }
    const { errno } = await ask(what, ovs.flow('NEW', { ...body, ufid: id(1) }, dp, CREATE | ECHO))
    if (errno !== 0) continue
    await ask(`${what}: delete`, ovs.flow('DEL', { ufid: id(1) }, dp))
    await ovs.flow('NEW', body, dp, CREATE)
    await ask(`${what}: by key`, ovs.flow('GET', { key: body.key }, dp))
    await ask(`${what}: flush`, ovs.flow('DEL', {}, dp))
  }
  const put = (what: string, body: object, more = 0) =>
    ask(what, ovs.flow('NEW', { key: tcpKey, actions: out, ...body }, dp, more))
  await put('wide', { ufid: id(1), mask: port80 }, CREATE)
  await put('narrow in wide', { ufid: id(2) }, CREATE)
  await put('same without CREATE', { ufid: id(1), mask: port80 })
  const bare = {
    etherType: 0x0800,
    ethernet: {},
    ipv4: { proto: 6 },
    tcp: { dst: 80 },
    tcpFlags: 0,
    inPort: 0,
  }
  await put('bare without CREATE', { ufid: id(1), key: bare, mask: port80 })
  await put('other key without CREATE', {
    ufid: id(1),
    key: { ...tcpKey, tcp: { src: 1, dst: 81 } },
    mask: port80,
  })
  await ask('get by key', ovs.flow('GET', { key: tcpKey }, dp))
  await ask('set actions alone', ovs.flow('SET', { ufid: id(1), actions: [] }, dp))
  await ask('set nothing', ovs.flow('SET', {}, dp))
  await ask('set clear', ovs.flow('SET', { ufid: id(1), clear: true }, dp, ECHO))
  await ask('set', ovs.flow('SET', { ufid: id(1), key: tcpKey, mask: port80, actions: [] }, dp, ECHO))
  await ask('set of no flow', ovs.flow('SET', { ufid: id(3), key: tcpKey, actions: [] }, dp))
  await ask('terse get', ovs.flow('GET', { ufid: id(1), ufidFlags: ufidFlags.OMIT_ALL }, dp))
  await ask('terse dump', ovs.dump(flow, dp, { ufidFlags: ufidFlags.OMIT_ALL }))
  await ask('dump', ovs.dump(flow, dp))
  await ask('no datapath', ovs.flow('GET', { ufid: id(1) }, 99))
  await ask('dump of nothing', ovs.dump(flow, 99))
  await ask(
    'short ufid flags',
    ovs.flow('GET', { ufid: id(1), unknown: [{ id: 10, data: id(0).slice(0, 2) }] }, dp),
  )
  await ask('empty ufid', ovs.flow('GET', { ufid: new Uint8Array(0) }, dp))
  await ask('long ufid', ovs.flow('GET', { ufid: new Uint8Array(17) }, dp))
  await ask('no actions', ovs.flow('NEW', { key: tcpKey }, dp))
  await ask('delete of no flow', ovs.flow('DEL', { ufid: id(9) }, dp))
  await ask('delete dps', ovs.datapath('DEL', { name: 'dpb' }))
  await ask('delete dp', ovs.datapath('DEL', {}, dp))
}

const drop: TcAction = { kind: 'gact', options: { parms: { action: 2 } }, cookie: new Uint8Array(16).fill(7) }
const mirred = (ifindex: number, eaction = 1): TcAction => {
  return {
    kind: 'mirred',
    options: { parms: { action: 4, eaction, ifindex } },
    flags: { value: 1, selector: 1 },
  }
}
const push = (more: object): TcAction => {
  return { kind: 'vlan', options: { parms: { action: 3, vlanAction: 2 }, ...more } }
}
const words = [{ mask: 0xff, value: 1, offset: 8 }]
// biome-ignore format: one row per line
const actionRows: readonly (readonly [string, readonly TcAction[]])[] = [
  ['redirect', [mirred(3)]],
  ['mirror and drop', [{ ...mirred(3, 2), options: { parms: { action: 3, eaction: 2, ifindex: 3 } } } as TcAction, drop]],
  ['to no device', [mirred(99)]],
  ['to device 0', [mirred(0)]],
  ['direction 9', [mirred(3, 9)]],
  ['push', [push({ id: 5 })]],
  ['push with all', [push({ id: 5, priority: 3, protocol: 0x88a8 })]],
  ['push 4095', [push({ id: 4095 })]],
  ['push nothing', [push({})]],
  ['push 0x9100', [push({ id: 5, protocol: 0x9100 })]],
  ['pop', [{ kind: 'vlan', options: { parms: { action: 3, vlanAction: 1 } } }]],
  ['csum', [{ kind: 'csum', options: { parms: { action: 3, updateFlags: 1 } } }]],
  ['pedit', [{ kind: 'pedit', options: { parms: { action: 3, keys: words }, headers: [2] } }]],
  ['pedit without words', [{ kind: 'pedit', options: { parms: { action: 3, keys: [] } } }]],
  ['pedit, odd offset', [{ kind: 'pedit', options: { parms: { action: 3, keys: [{ ...words[0], offset: 3 } as never] }, headers: [2] } }]],
  ['pedit, headers short', [{ kind: 'pedit', options: { parms: { action: 3, keys: [...words, ...words] }, headers: [2] } }]],
  ['gact without parameters', [{ kind: 'gact', options: {} }]],
  ['gact verdict 99', [{ kind: 'gact', options: { parms: { action: 99 } } }]],
  ['mirred without parameters', [{ kind: 'mirred', options: {} }]],
]

const whole = { etherType: 0xffff, ipv4: { proto: 0xff } }
// biome-ignore format: one row per line
const matches: readonly (readonly [string, FlowKey, FlowKey])[] = [
  ['tcp', tcpKey, { ...port80, tcpFlags: 0xfff, ethernet: { src: 'ff:ff:ff:ff:ff:ff', dst: 'ff:00:00:00:00:00' } }],
  ['first fragment', { ...tcpKey, ipv4: { proto: 6, frag: 1 } }, { etherType: 0xffff, ipv4: { proto: 0xff, frag: 0xff } }],
  ['icmp', { ...tcpKey, ipv4: { proto: 1, ttl: 4 }, icmp: { type: 8, code: 0 } }, { ...whole, ipv4: { proto: 0xff, ttl: 0xff }, icmp: { type: 0xff, code: 0xff } }],
  ['ipv6', tcp6, { etherType: 0xffff, ipv6: { src: 'ffff::', proto: 0xff }, icmpv6: { type: 0xff, code: 0 } }],
  ['arp', { etherType: 0x0806, arp: { sip: '1.2.3.4', op: 1 } }, { etherType: 0xffff, arp: { sip: '255.255.0.0', op: 0xffff } }],
  ['sctp', { ...tcpKey, ipv4: { proto: 132 }, sctp: { src: 5, dst: 6 } }, { etherType: 0xffff, ipv4: { proto: 0xff }, sctp: { src: 0xffff, dst: 0xff00 } }],
  ['labels', { etherType: 0x8847, mpls: [{ label: 5, tc: 3, ttl: 9, bos: 1 }] }, { etherType: 0xffff, mpls: [{ label: 0xfffff, tc: 7, ttl: 0xff, bos: 1 }] }],
  ['a tunnel', { etherType: 0x0800, tunnel: { id: 5n, src: '10.0.0.2', dst: '10.0.0.1', tos: 4, ttl: 64, tpSrc: 5, tpDst: 6 } }, { etherType: 0xffff, tunnel: { id: 2n ** 64n - 1n, src: '255.0.0.0', dst: '255.255.255.255', tos: 0xff, ttl: 0xff, tpSrc: 0xff, tpDst: 0xffff } }],
  ['a tunnel over ipv6', { etherType: 0x0800, tunnel: { ipv6Src: 'fd00::1', ipv6Dst: 'fd00::2' } }, { etherType: 0xffff, tunnel: { ipv6Src: 'ffff::', ipv6Dst: 'ffff::ffff' } }],
  ['a connection', { etherType: 0x0800, ctState: 0x22, ctMark: 7, ctLabels: 5n }, { etherType: 0xffff, ctState: 0x23, ctMark: 0xff, ctLabels: 0xffn }],
  ['a state without trk', { etherType: 0x0800, ctState: 0x02 }, { etherType: 0xffff, ctState: 0x02 }],
  ['a state that is new and est', { etherType: 0x0800, ctState: 0x23 }, { etherType: 0xffff, ctState: 0x23 }],
  ['a state that is inv and more', { etherType: 0x0800, ctState: 0x34 }, { etherType: 0xffff, ctState: 0x34 }],
  ['a state that is new and rpl', { etherType: 0x0800, ctState: 0x29 }, { etherType: 0xffff, ctState: 0x29 }],
  ['one tag', { etherType: 0x8100, vlan, encap: { etherType: 0x0800 } }, { etherType: 0xffff, vlan: { vid: 0xfff, pcp: 7, cfi: 1 }, encap: { etherType: 0xffff } }],
  ['one tag, any payload', { etherType: 0x8100, vlan, encap: { etherType: 0x0800 } }, { etherType: 0xffff, vlan: { vid: 0xfff, cfi: 1 } }],
  ['two tags', { etherType: 0x88a8, vlan, encap: { etherType: 0x8100, vlan, encap: { etherType: 0x0800 } } }, { etherType: 0xffff, vlan: { vid: 0xfff }, encap: { etherType: 0xffff, vlan: { vid: 0xfff }, encap: { etherType: 0xffff } } }],
  ['two tags, any payload', { etherType: 0x88a8, vlan, encap: { etherType: 0x8100, vlan, encap: {} } }, { etherType: 0xffff, vlan: { vid: 0xfff }, encap: { etherType: 0xffff, vlan: { vid: 0xfff } } }],
]

function options(key: FlowKey, mask: FlowKey, actions: readonly TcAction[] = [drop], flags = 0): Uint8Array {
  const writer = new Writer()
  writeMatch(writer, key, mask)
  flower.write(writer, { actions, flags })
  return writer.take()
}

async function talkOfFilters(transport: Transport, ask: Ask): Promise<void> {
  const hook = (what: string, type: number, more = 0, kind = 'ingress', ifindex = 2) =>
    ask(`qdisc: ${what}`, qdisc(transport, type, ifindex, more, kind))
  await hook('no device', types.NEWQDISC, CREATE, 'ingress', 99)
  await hook('delete none', types.DELQDISC)
  await hook('without CREATE', types.NEWQDISC)
  await hook('unknown', types.NEWQDISC, CREATE, 'nonsense')
  await hook('new', types.NEWQDISC, CREATE | EXCL)
  await hook('again', types.NEWQDISC, CREATE | EXCL)
  await hook('again, not exclusive', types.NEWQDISC, CREATE)
  await hook('clsact, exclusive', types.NEWQDISC, CREATE | EXCL, 'clsact')
  await hook('clsact', types.NEWQDISC, CREATE, 'clsact')
  await hook('delete clsact', types.DELQDISC, 0, 'clsact')
  await hook('get', types.GETQDISC)

  const ip = { ifindex: 2, info: filterInfo(2, 0x0800) }
  const ok = { options: options(tcpKey, port80) }
  const put = (what: string, name: object, body: object = ok, more = CREATE | EXCL | ECHO) =>
    ask(what, filter(transport, types.NEWTFILTER, { ...ip, ...name }, body, more))
  const get = (what: string, name: object, body: object = {}) =>
    ask(what, filter(transport, types.GETTFILTER, { ...ip, ...name }, body))
  const del = (what: string, name: object, body: object = {}) =>
    ask(what, filter(transport, types.DELTFILTER, { ...ip, ...name }, body, ECHO))

  await put('no qdisc', { ifindex: 3 })
  await put('no device', { ifindex: 99 })
  await put('parent 0', { parent: 0 })
  await put('another parent', { parent: 0x10000 })
  await put('not CREATE', {}, ok, 0)
  await put('prio 0, not CREATE', { info: filterInfo(0, 0x0800) }, ok, 0)
  await put('protocol 0', { info: filterInfo(2, 0) })
  await put('unknown classifier', {}, { ...ok, kind: 'nonsense' })
  await put('no options', {}, {})
  await put('both skips', {}, { options: options(tcpKey, port80, [drop], 3) })
  await put('skip_sw', {}, { options: options(tcpKey, port80, [drop], 2) })
  await put('skip_hw', { handle: 1 }, { options: options(tcpKey, port80, [drop], 1) })
  await del('skip_hw: delete', { handle: 1 })
  await put('no actions', { handle: 1 }, { options: options(tcpKey, port80, []) })
  await del('no actions: delete', { handle: 1 })
  await get('get without a chain', { handle: 1 })
  await del('delete without a chain', { handle: 1 })
  await put('put', { handle: 5 })
  await put('handle taken', { handle: 5 })
  await put('match taken', { handle: 6 })
  await put('match taken, no EXCL', { handle: 6 }, ok, CREATE)
  await put('other handle, not CREATE', { handle: 6 }, ok, 0)
  await put('other protocol', { info: filterInfo(2, 0x86dd) })
  await put('other kind', { handle: 5 }, { ...ok, kind: 'matchall' })
  await put('replace', { handle: 5 }, { options: options(tcpKey, port80, [mirred(3)]) }, ECHO)
  await put('replace key', { handle: 5 }, { options: options({ ...tcpKey, tcp: { dst: 81 } }, port80) }, ECHO)
  await put('replace mask', { handle: 5 }, { options: options(tcpKey, whole) }, 0)
  await put('chain too high', { handle: 7 }, { ...ok, chain: 0x10000000 })
  await put('chain 3', { handle: 7 }, { ...ok, chain: 3 })
  await put('no names', { info: filterInfo(0, 0x0800) })
  await put('no names again', { info: filterInfo(0, 0x86dd) })
  await get('get', { handle: 5 })
  await get('get, handle 0', {})
  await get('get, prio 0', { info: 0 })
  await get('get, other protocol', { handle: 5, info: filterInfo(2, 0x86dd) })
  await get('get, any protocol', { handle: 5, info: filterInfo(2, 0) })
  await get('get, no handle', { handle: 99 })
  await get('get, no prio', { handle: 5, info: filterInfo(9, 0x0800) })
  await del('delete, no handle', { handle: 99 })
  await del('delete, no prio', { handle: 5, info: filterInfo(9, 0x0800) })
  await del('flush with kind', { info: 0 })
  await ask('dump', dumpFilters(transport, 2))
  await ask('dump chain 3', dumpFilters(transport, 2, { chain: 3 }))
  await ask('terse dump', dumpFilters(transport, 2, { dumpFlags: { value: 1, selector: 1 } }))
  await ask('dump without qdisc', dumpFilters(transport, 3))
  await ask('dump without device', dumpFilters(transport, 99))
  await del('delete by priority', {})
  await ask('dump afterwards', dumpFilters(transport, 2))

  const nine = { info: filterInfo(9, 0x0800), handle: 1 }
  for (const [what, actions] of actionRows) {
    const { errno } = await put(what, nine, { options: options(tcpKey, port80, actions) })
    if (errno === 0) await filter(transport, types.DELTFILTER, { ifindex: 2, ...nine })
  }
  for (const [what, key, mask] of matches) {
    const name = { info: filterInfo(9, key.etherType ?? 0), handle: 1 }
    const { errno } = await put(`match ${what}`, name, { options: options(key, mask) })
    if (errno === 0) await filter(transport, types.DELTFILTER, { ifindex: 2, ...name })
  }
  await hook('delete', types.DELQDISC)
  await hook('delete again', types.DELQDISC)
}

/**
 * What differs between two kernels although both are right: counters, clocks, numbers they pick, conntrack zones, which a kernel may
 * be built without (User-mode Linux is), and padding, which depends on the machine.
 */
const passing = new Set(['seq', 'stats', 'megaflowStats', 'times', 'index', 'masksCacheSize', 'ctZone'])

/** Lists of names and values instead of objects, so that order counts; JSON can hold neither bytes nor big integers. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.filter((entry) => !isPadding(entry)).map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.entries(value)
    .filter(([part, held]) => held !== undefined && !passing.has(part))
    .filter(([part, held]) => part !== 'unknown' || !(held as unknown[]).every(isPadding))
    .map(([part, held]) => [
      part,
      held instanceof Uint8Array && part === 'options' ? inside(held) : plain(held),
    ])
}

function isPadding(entry: unknown): boolean {
  const { id, data } = (entry ?? {}) as { id?: number; data?: Uint8Array }
  return id !== undefined && data?.length === 0
}

/** What TCA_OPTIONS hold; those of a qdisc are empty. */
function inside(options: Uint8Array): unknown {
  return plain(flower.read(options, 0, options.length))
}
